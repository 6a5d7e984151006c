"""Access tokens for checks and for the apps' own mailers."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from datetime import datetime

from .. import mailcheck
from ..accounts.tokens import Caller
from ..config import settings
from ..database.session import db, writing
from ..errors import SmtpwebError
from ..mailcheck import Report, Target
from ..mailcheck.diagnosis.matcher import Diagnosis
from ..oauth import access_tokens, metadata
from ..oauth.access_tokens import UnsavedGrant
from ..oauth.failure import NoGrant, TokenNotObtained
from ..registry import smtps
from ..registry.grants import OauthChanges
from . import limits

_SHARE = 0.4  # of the time of a check that its token request may take


class TokenRefused(SmtpwebError):
    """The authorization server gave no token; ``diagnosis`` is shown as that of a failed check."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.meaning)
        self.code, self.title, self.diagnosis = diagnosis.id, diagnosis.title, diagnosis


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token with the user name that it is for."""

    username: str
    token: str = field(repr=False)
    expires: datetime


def may_need_one(target: Target) -> bool:
    """Check whether the server of this target may sign in with an access token."""
    return target.auth and not target.password and not target.access_token


def with_token(
    smtp_id: str, target: Target, unsaved: UnsavedGrant | None = None
) -> Target | Report:
    """Return the target with an access token if its server signs in with one.

    The time that it took is subtracted from that of the check. If there is no token, the report
    says why. ``unsaved``: the grant to use in place of the stored one.
    """
    if not may_need_one(target):
        return target
    begun = time.monotonic()
    timeout = target.timeout * _SHARE
    try:
        if unsaved is None:
            token = access_tokens.obtain(smtp_id, timeout=timeout)
        else:
            token = access_tokens.request(unsaved, timeout)
    except NoGrant:
        return target
    except TokenNotObtained as error:
        return mailcheck.no_token(
            error.failure,
            host=target.host,
            port=target.port,
            rcpt_to=target.rcpt_to,
            encryption=target.encryption,
            milliseconds=round((time.monotonic() - begun) * 1000, 1),
        )
    taken = time.monotonic() - begun
    return dataclasses.replace(
        target,
        access_token=token.value,
        token_milliseconds=round(taken * 1000, 1) if token.is_new else None,
        timeout=target.timeout - taken,
    )


def with_metadata(user_id: str, given: OauthChanges) -> OauthChanges:
    """Return the settings with the endpoints of their issuer, see :func:`.metadata.completed`.

    Also raises :class:`TooMany` and :class:`Busy`.
    """
    if not metadata.is_needed(given):
        return given
    with limits.token_requests(user_id) as count:
        with writing():
            count()
        return metadata.completed(given)


def issue(caller: Caller, smtp_id: str) -> Issued:
    """Return an access token of the caller's SMTP server, for the app's own mailer.

    Raises :class:`NotFound`, :class:`NoGrant`, :class:`TokenRefused`, :class:`TooMany` and
    :class:`Busy`.
    """
    smtp = smtps.find(caller.user_id, smtp_id)
    db.session.close()  # nothing is open while we wait for the network
    token = access_tokens.cached(smtp.id)
    if token is None:
        timeout = settings().check_timeout * _SHARE
        with limits.token_requests(caller.user_id) as count:
            try:
                token = access_tokens.obtain(smtp.id, timeout=timeout, count=count)
            except TokenNotObtained as error:
                raise TokenRefused(mailcheck.diagnose_token_error(error.failure)) from None
    return Issued(smtp.username or "", token.value, token.expires)
