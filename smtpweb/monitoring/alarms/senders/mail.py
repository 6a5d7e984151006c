"""Send email through a working SMTP server of the app or its owner, never the failed one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import case, select

from .... import mailcheck
from ....accounts.ownership import visible_smtps
from ....checking import connections, tokens
from ....database.models import Smtp
from ....database.session import db
from ....errors import SecretUnreadable
from ....mailcheck import Content, Report, Target
from ....mailcheck.core.redaction import cleaned, cut
from ....registry import checkability, grants, states
from ....registry.states import SmtpState
from .outcome import Attempt, Message

MOST_SERVERS = 3  # that are tried, one after the other
TIMEOUT = 25.0  # seconds for all of them
_FROM_NAME = "smtpweb"
_LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server to try; its access token, if it needs one, is only asked for then."""

    smtp_id: str
    target: Target


def servers(
    user_id: str, app_id: str | None, avoid: Collection[str], to: str, content: Content
) -> list[Server]:
    """Return the servers to try, best first: active before degraded, the app's before others.

    ``avoid``: ids of servers that must not be used; other servers on their hosts come last.
    """
    statement = visible_smtps(user_id).where(
        states.smtp_is(SmtpState.ACTIVE, SmtpState.DEGRADED), Smtp.id.not_in(avoid)
    )
    same_host = Smtp.host.in_(select(Smtp.host).where(Smtp.id.in_(avoid)))
    statement = statement.order_by(
        case((states.smtp_is(SmtpState.ACTIVE), 0), else_=1),
        case((same_host, 1), else_=0),
        case((Smtp.app_id == app_id, 0), else_=1),
        Smtp.priority,
        Smtp.created,
        Smtp.id,
    )
    chosen = []
    for smtp in db.session.scalars(statement.limit(MOST_SERVERS * 3)):
        sender = checkability.sender(smtp, smtp.app.defaultfromemail)
        try:
            grants.require_readable(smtp)
            if not sender or connections.refusal(smtp, to):
                continue
            target = connections.target_of(
                smtp, sender, to, from_name=_FROM_NAME, other_modes=(), content=content
            )
        except SecretUnreadable:
            continue
        chosen.append(Server(smtp.id, target))
        if len(chosen) == MOST_SERVERS:
            break
    return chosen


def content_of(message: Message, message_id: str) -> Content:
    """Return the message as an email; ``message_id`` is the same for all attempts."""
    subject = cut(cleaned(message.subject).replace("=?", "= ?"), _LONGEST_SUBJECT)
    return Content(subject, message.text + "\n", f"{message_id}.alarm")


def send(chosen: list[Server]) -> Attempt:
    """Send through the first of the servers that accepts the email."""
    if not chosen:
        return Attempt(
            False, "No other SMTP server of this account works, so no email can be sent.", ours=True
        )
    failures = []
    deadline = time.monotonic() + TIMEOUT
    for place, server in enumerate(chosen):
        # Divide the remaining time, so that a server that does not respond leaves some.
        share = (deadline - time.monotonic()) / (len(chosen) - place)
        limit = max(1.0, min(server.target.timeout, share))
        target = tokens.with_token(
            server.smtp_id, dataclasses.replace(server.target, timeout=limit)
        )
        report = target if isinstance(target, Report) else mailcheck.check(target)
        address = f"{report.host}:{report.port}"
        if report.accepted:
            return Attempt(True, cut(f"Accepted by {address}. {report.queue_id}".strip(), 300))
        failures.append(f"{address}: {report.title}")
    return Attempt(False, cut("; ".join(failures), 300))
