"""Send email through a working SMTP server of the app or its owner, never the failed one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

from sqlalchemy import case, select

from .... import mailcheck
from ....accounts.ownership import visible_smtps
from ....config import settings
from ....database.models import Smtp
from ....database.session import db
from ....errors import SecretUnreadable
from ....mailcheck import Content, Target
from ....mailcheck.core.redaction import cleaned, cut
from ....registry import checkability, smtps, states
from ....registry.states import SmtpState
from .outcome import Attempt, Message

MOST_SERVERS = 3  # that are tried, one after the other
TIMEOUT = 25.0  # seconds for all of them
_FROM_NAME = "smtpweb"
_LONGEST_SUBJECT = 200


def targets(
    user_id: str, app_id: str | None, avoid: Collection[str], to: str, content: Content
) -> list[Target]:
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
    config = settings()
    for smtp in db.session.scalars(statement.limit(MOST_SERVERS * 3)):
        sender = checkability.sender(smtp, smtp.app.defaultfromemail)
        try:
            password = smtps.open_password(smtp) or ""
        except SecretUnreadable:
            continue
        if not sender:
            continue
        chosen.append(
            Target(
                host=smtp.host,
                port=smtp.port,
                mail_from=sender,
                rcpt_to=to,
                encryption=smtp.encryption,
                auth=smtp.auth,
                username=smtp.username or "",
                password=password,
                from_name=_FROM_NAME,
                ehlo_name=config.ehlo_name,
                timeout=float(config.check_timeout),
                policy=config.egress,
                ca_file=config.ca_file,
                other_modes=(),
                content=content,
            )
        )
        if len(chosen) == MOST_SERVERS:
            break
    return chosen


def content_of(message: Message, message_id: str) -> Content:
    """Return the message as an email; ``message_id`` is the same for all attempts."""
    subject = cut(cleaned(message.subject).replace("=?", "= ?"), _LONGEST_SUBJECT)
    return Content(subject, message.text + "\n", f"{message_id}.alarm")


def send(servers: list[Target]) -> Attempt:
    """Send through the first of the servers that accepts the email."""
    if not servers:
        return Attempt(
            False, "No other SMTP server of this account works, so no email can be sent.", ours=True
        )
    failures = []
    deadline = time.monotonic() + TIMEOUT
    for place, target in enumerate(servers):
        # Divide the remaining time, so that a server that does not respond leaves some.
        share = (deadline - time.monotonic()) / (len(servers) - place)
        report = mailcheck.check(
            dataclasses.replace(target, timeout=max(1.0, min(target.timeout, share)))
        )
        server = f"{report.host}:{report.port}"
        if report.accepted:
            return Attempt(True, cut(f"Accepted by {server}. {report.queue_id}".strip(), 300))
        failures.append(f"{server}: {report.title}")
    return Attempt(False, cut("; ".join(failures), 300))
