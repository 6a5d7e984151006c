"""From the stored settings of an SMTP server to how a check connects to it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from .. import mailcheck
from ..config import settings
from ..database.models import Smtp
from ..mailcheck import Report, Target
from ..mailcheck.core.failure import Symptom
from ..mailcheck.core.options import TOKEN_MECHANISMS
from ..mailcheck.core.trust import SYSTEM_TRUST, Trust, TrustKind
from ..registry import connection, smtps


def refusal(smtp: Smtp, rcpt_to: str) -> Report | None:
    """Return the report if the settings of this installation no longer allow the connection."""
    source = smtp.sourceaddress
    if not source or ipaddress.ip_address(source) in settings().source_addresses:
        return None
    return mailcheck.not_tried(
        Symptom.SOURCE_ADDRESS,
        host=smtp.host,
        port=smtp.port,
        rcpt_to=rcpt_to,
        encryption=smtp.encryption,
        source=source,
    )


def target_of(smtp: Smtp, mail_from: str, rcpt_to: str, **more: Any) -> Target:
    """Return the target for an email through this SMTP server, with all that is set for it.

    ``more``: further members of the target, about the email. Raises :class:`SecretUnreadable`.
    """
    config, source = settings(), smtp.sourceaddress
    return Target(
        host=smtp.host,
        port=smtp.port,
        mail_from=mail_from,
        rcpt_to=rcpt_to,
        encryption=smtp.encryption,
        auth=smtp.auth,
        username=smtp.username or "",
        password=smtps.open_password(smtp) or "",
        timeout=float(config.check_timeout),
        policy=config.egress,
        ca_file=config.ca_file,
        mechanism=smtp.mechanism or "",
        ehlo_name=smtp.ehloname or config.ehlo_name,
        envelope_from=smtp.envelopefrom or "",
        source_address=ipaddress.ip_address(source) if source else None,
        trust=_trust_of(smtp),
        identity=connection.identity_of(smtp),
        **more,
    )


def with_access_token(target: Target, access_token: str) -> Target:
    """Return the target with a token to sign in with, in place of what is stored."""
    mechanism = target.mechanism if target.mechanism in TOKEN_MECHANISMS else ""
    return replace(target, auth=True, password="", access_token=access_token, mechanism=mechanism)


def _trust_of(smtp: Smtp) -> Trust:
    if smtp.certificatepin:
        return Trust(TrustKind.PIN, pin=smtp.certificatepin)
    if smtp.cacertificates:
        return Trust(TrustKind.CA, ca=smtp.cacertificates)
    return SYSTEM_TRUST
