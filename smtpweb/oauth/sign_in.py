"""Sign in at a provider, once, for an SMTP server: authorization code with PKCE, or device code.

A sign-in that was started is kept, sealed, with the grant, for minutes, and bound to the browser
session that started it. It is used up before its code is exchanged, so an answer counts only once.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from authlib.oauth2.client import OAuth2Client

from .. import validators
from ..database.models import Smtp, SmtpOauth
from ..database.secret_box import digest_of
from ..database.session import db, now, writing
from ..errors import Busy, SecretUnreadable, Sentence, SmtpwebError
from ..mailcheck.diagnosis.token import Grant
from ..providers import oauth
from ..registry import grants, smtps
from . import access_tokens, client
from .client import Application
from .failure import NoGrant, TokenNotObtained

LIFE = timedelta(minutes=15)  # of a sign-in with an authorization code
_CHALLENGE = "S256"
_PENDING, _SLOWER = "authorization_pending", "slow_down"  # RFC 8628 3.5


class SignInOver(SmtpwebError):
    """The sign-in was not started in this browser session, took too long, or is complete."""

    code = "OAUTH_SIGN_IN_OVER"
    title = Sentence("This sign-in is over")

    def __init__(self) -> None:
        super().__init__(
            Sentence(
                "It took too long, is complete already, or was started in another browser session."
                " Start it again on the page of the SMTP server."
            )
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that was started. ``until`` and ``next_at`` are seconds since the epoch.

    With a device code, ``user_code`` is to be entered at ``uri``; with an authorization code,
    ``uri`` is to be opened.
    """

    session: str
    until: float
    uri: str
    state: str = field(default="", repr=False)
    verifier: str = field(default="", repr=False)
    redirect_uri: str = ""
    device_code: str = field(default="", repr=False)
    user_code: str = ""
    interval: int = 5
    next_at: float = 0.0


def start(
    user_id: str, smtp_id: str, session_key: str, redirect_uri: str, count: Callable[[], None]
) -> None:
    """Start a sign-in for an SMTP server of the user.

    ``redirect_uri``: where the provider sends the browser back to. ``count``: here and below, see
    :func:`.access_tokens.obtain`. Raises :class:`NotFound`,
    :class:`NoGrant`, and :class:`TokenNotObtained` if no device code was given.
    """
    smtp, row = _grant(user_id, smtp_id)
    app = access_tokens.application_of(smtp, row)
    device_url, extra = row.deviceurl, _extra(row)
    bound = grants.use_of(smtp, row)
    if app.grant is Grant.AUTHORIZATION_CODE:
        pending = _code(app, smtp_id, row.authurl or "", session_key, redirect_uri, extra)
    else:
        with writing():
            count()
        db.session.close()  # nothing is open while we wait for the network
        pending = _device(app, device_url or "", session_key)
    with writing():
        smtp, row = _grant(user_id, smtp_id, for_update=True)
        if grants.use_of(smtp, row) == bound:
            row.pending_sealed = grants.seal(smtp, row, "pending", json.dumps(asdict(pending)))


def _code(
    app: Application,
    smtp_id: str,
    url: str,
    session_key: str,
    redirect_uri: str,
    extra: dict[str, str],
) -> Pending:
    state = f"{smtp_id}.{secrets.token_urlsafe(32)}"
    verifier = secrets.token_urlsafe(64)
    authorization = OAuth2Client(
        None,
        client_id=app.client_id,
        scope=app.scope,
        redirect_uri=redirect_uri,
        code_challenge_method=_CHALLENGE,
    )
    hint = {"login_hint": app.username} if "@" in app.username else {}
    uri, _state = authorization.create_authorization_url(
        url, state=state, code_verifier=verifier, **extra, **hint
    )
    return Pending(
        session=digest_of(session_key),
        until=(now() + LIFE).timestamp(),
        uri=str(uri),
        state=state,
        verifier=verifier,
        redirect_uri=redirect_uri,
    )


def _device(app: Application, url: str, session_key: str) -> Pending:
    found = client.device_code(app, url)
    moment = now().timestamp()
    return Pending(
        session=digest_of(session_key),
        until=moment + found.life,
        uri=found.verification_uri,
        device_code=found.device_code,
        user_code=found.user_code,
        interval=found.interval,
        next_at=moment + found.interval,
    )


def pending(user_id: str, smtp_id: str, session_key: str) -> Pending | None:
    """Return the sign-in that was started in this browser session, if it can still end."""
    return _pending(*_grant(user_id, smtp_id), session_key)


def finish(
    user_id: str, session_key: str, state: str, code: str, count: Callable[[], None]
) -> tuple[str, bool]:
    """Exchange the authorization code of a sign-in.

    Returns the id of the SMTP server, and whether there is a refresh token now. Raises
    :class:`SignInOver` and :class:`TokenNotObtained`.
    """
    lease, started = _claim(user_id, session_key, state, count)
    granted = access_tokens.ask(
        lease, lambda app: client.by_code(app, code, started.verifier, started.redirect_uri)
    )
    access_tokens.store(lease, granted)
    return lease.smtp_id, granted.refresh_token is not None


def refused(user_id: str, session_key: str, state: str, error: str, said: str) -> str:
    """End a sign-in that the provider refused; return the id of the SMTP server.

    Raises :class:`SignInOver`, and :class:`TokenNotObtained` with what the provider said.
    """
    lease, _started = _claim(user_id, session_key, state)
    access_tokens.give_back(lease, answer_lost=False)
    app = lease.application
    found = client.failure(app, (), app.token_url, error=error, error_description=said)
    raise TokenNotObtained(found)


def smtp_of(state: str) -> str:
    """Return the id of the SMTP server that a state was made for; it proves nothing.

    Raises :class:`SignInOver` if it is none.
    """
    smtp_id = state.partition(".")[0]
    try:
        return validators.object_id(smtp_id)
    except ValueError:
        raise SignInOver from None


def poll(user_id: str, smtp_id: str, session_key: str, count: Callable[[], None]) -> bool:
    """Ask whether the person has entered the device code; return whether the sign-in is complete.

    Asks no more often than the provider wants. Raises :class:`SignInOver` and
    :class:`TokenNotObtained`.
    """
    with writing():
        smtp, row = _grant(user_id, smtp_id, for_update=True)
        started = _pending(smtp, row, session_key)
        if started is None or not started.device_code:
            raise SignInOver
        moment = now().timestamp()
        if moment < started.next_at or access_tokens.is_leased(row):
            return False
        count()
        _wait(smtp, row, started, moment + started.interval)
        lease = access_tokens.take(smtp, row)
    try:
        granted = access_tokens.ask(
            lease, lambda app: client.by_device_code(app, started.device_code)
        )
    except TokenNotObtained as error:
        if error.failure.error not in (_PENDING, _SLOWER):
            _forget(user_id, smtp_id)
            raise
        if error.failure.error == _SLOWER:
            _slow_down(user_id, smtp_id, started)
        return False
    access_tokens.store(lease, granted)
    return True


# --- what is kept --------------------------------------------------------------------------


def _grant(user_id: str, smtp_id: str, *, for_update: bool = False) -> tuple[Smtp, SmtpOauth]:
    find = smtps.find_for_update if for_update else smtps.find
    smtp = find(user_id, smtp_id)
    row = grants.find(smtp.id, for_update=for_update)
    if row is None or Grant(row.grant) not in grants.INTERACTIVE:
        raise NoGrant
    return smtp, row


def _pending(smtp: Smtp, row: SmtpOauth, session_key: str) -> Pending | None:
    try:
        content = grants.unseal(smtp, row, "pending")
    except SecretUnreadable:  # the settings or the keys have changed since
        return None
    if content is None:
        return None
    found = Pending(**json.loads(content))
    mine = hmac.compare_digest(found.session, digest_of(session_key))
    return found if mine and found.until > now().timestamp() else None


def _claim(
    user_id: str, session_key: str, state: str, count: Callable[[], None] = access_tokens.uncounted
) -> tuple[access_tokens.Lease, Pending]:
    """Use up the sign-in with this state: no second answer counts."""
    with writing():
        try:
            smtp, row = _grant(user_id, smtp_of(state), for_update=True)
        except SmtpwebError:
            raise SignInOver from None
        started = _pending(smtp, row, session_key)
        if started is None or not hmac.compare_digest(started.state.encode(), state.encode()):
            raise SignInOver
        if access_tokens.is_leased(row):  # or the refresh token that its answer brings is lost
            raise Busy(
                Sentence("A token is being requested for this SMTP server. Reload this page."),
                retry_after=5,
            )
        count()
        row.pending_sealed = None
        return access_tokens.take(smtp, row), started


def _wait(smtp: Smtp, row: SmtpOauth, started: Pending, until: float, slower: int = 0) -> None:
    changed: dict[str, Any] = {"next_at": until, "interval": started.interval + slower}
    content = json.dumps(asdict(started) | changed)
    row.pending_sealed = grants.seal(smtp, row, "pending", content)


def _slow_down(user_id: str, smtp_id: str, started: Pending) -> None:
    with writing():  # RFC 8628 3.5: five seconds more
        smtp, row = _grant(user_id, smtp_id, for_update=True)
        if row.pending_sealed is not None:
            _wait(smtp, row, started, now().timestamp() + started.interval + 5, 5)


def _forget(user_id: str, smtp_id: str) -> None:
    with writing():
        _smtp, row = _grant(user_id, smtp_id, for_update=True)
        row.pending_sealed = None


def _extra(row: SmtpOauth) -> dict[str, str]:
    provider = oauth.named(row.provider)
    return dict(provider.extra) if provider else {}
