"""Email, through a working SMTP server of the app or its owner, never through the broken one."""

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
    """The servers to try, best first: of the app before the owner's others, active before degraded.

    ``avoid``: the ids of servers that are never tried. One at the same host as one of these comes
    after all others. Reads only; nothing is open when it returns.
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
    found = []
    config = settings()
    for smtp in db.session.scalars(statement.limit(MOST_SERVERS * 3)):
        sender = checkability.sender(smtp, smtp.app.defaultfromemail)
        try:
            password = smtps.open_password(smtp) or ""
        except SecretUnreadable:
            continue
        if not sender:
            continue
        found.append(
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
        if len(found) == MOST_SERVERS:
            break
    return found


def content_of(message: Message, message_id: str) -> Content:
    """The message as an email. ``message_id`` stays the same each time that it is tried."""
    subject = cut(cleaned(message.subject).replace("=?", "= ?"), _LONGEST_SUBJECT)
    return Content(subject, message.text + "\n", f"{message_id}.alarm")


def send(servers: list[Target]) -> Attempt:
    """Send by the first of the servers that accepts it."""
    if not servers:
        return Attempt(
            False, "No other SMTP server of this account works, so no email can be sent.", ours=True
        )
    failures = []
    deadline = time.monotonic() + TIMEOUT
    for place, target in enumerate(servers):
        # Whoever is silent leaves time to those that come after
        share = (deadline - time.monotonic()) / (len(servers) - place)
        report = mailcheck.check(
            dataclasses.replace(target, timeout=max(1.0, min(target.timeout, share)))
        )
        where = f"{report.host}:{report.port}"
        if report.accepted:
            return Attempt(True, cut(f"Accepted by {where}. {report.queue_id}".strip(), 300))
        failures.append(f"{where}: {report.title}")
    return Attempt(False, cut("; ".join(failures), 300))
