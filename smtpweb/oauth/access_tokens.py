"""The access token of an SMTP server: from the cache, or requested by one worker at a time.

A worker that requests a token holds a lease on the grant, so that no refresh token is sent twice,
and no transaction is open while the network is awaited. A rotated refresh token is stored in a
transaction of its own before anything is done with the access token. If a worker dies between
answer and commit, its lease runs out, and the next one uses the refresh token that is stored; if
the provider refuses that one then, the diagnosis says that the new one may have been lost.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..database.models import Smtp, SmtpOauth, new_id
from ..database.session import cause, db, now, writing
from ..errors import SecretUnreadable
from ..mailcheck.diagnosis.token import Grant, NetworkFault, TokenFailure
from ..providers import oauth
from ..registry import grants
from . import client
from .client import Application, Granted
from .failure import NoGrant, TokenNotObtained

log = logging.getLogger(__name__)

_LEASE = timedelta(seconds=25)  # a request takes at most ten, storing its answer three attempts
# The error of a grant that nobody has signed in for yet; no authorization server sends it
SIGN_IN_NEEDED = "smtpweb_sign_in_needed"
_PACE = 0.1  # seconds between two looks
_MARGIN = timedelta(minutes=2)  # an access token is not used that close to its end
_UNKNOWN_LIFE = timedelta(minutes=5)  # if the authorization server does not say
# The request was sent, and whatever was granted did not arrive
_ANSWER_LOST = frozenset(
    {
        NetworkFault.TIMEOUT, NetworkFault.CONNECTION_LOST, NetworkFault.TOO_LARGE,
        NetworkFault.NOT_JSON, NetworkFault.TOKEN_UNUSABLE, NetworkFault.NO_TOKEN,
    }
)  # fmt: skip
_ATTEMPTS = 3  # at storing what the authorization server has answered


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token and the end of its life, as far as that is known.

    ``is_new``: it was requested just now.
    """

    value: str = field(repr=False)
    expires: datetime
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """All that a request needs, as plain values: it is made without a transaction."""

    id: str
    smtp_id: str
    application: Application
    secret: str | None = field(repr=False)  # a client secret, or the key of a service account
    refresh_token: str | None = field(repr=False)
    interrupted: bool


@dataclass(frozen=True, slots=True)
class UnsavedGrant:
    """A grant that is not stored, as plain values."""

    application: Application
    secret: str | None = field(repr=False)


def unsaved(smtp: Smtp, row: SmtpOauth) -> UnsavedGrant | None:
    """Return a grant that is about to be rolled back, to be used with :func:`request`.

    Return None if it needs a refresh token: a new one that the server answers would be lost.
    """
    if Grant(row.grant) in grants.USES_REFRESH_TOKEN:
        return None
    return UnsavedGrant(application_of(smtp, row), grants.unseal(smtp, row, "clientsecret"))


def request(grant: UnsavedGrant, timeout: float) -> AccessToken:
    """Request an access token that is not stored; raise :class:`TokenNotObtained`."""
    granted = _granted(grant.application, grant.secret, None, timeout)
    return _access_token(granted)


def uncounted() -> None:
    """Do not limit the requests: something else does."""


def obtain(
    smtp_id: str,
    *,
    timeout: float = client.TIMEOUT,
    count: Callable[[], None] = uncounted,
) -> AccessToken:
    """Return an access token for an SMTP server; request one if there is none cached.

    ``timeout``: seconds for all of it. ``count`` is called in a write transaction before a request
    is sent, and may refuse it by raising. Raises :class:`TokenNotObtained`, :class:`NoGrant` and
    :class:`SecretUnreadable`.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = _cached_or_lease(smtp_id, count)
        left = deadline - time.monotonic()
        if isinstance(found, AccessToken):
            return found
        if isinstance(found, Lease):
            return store(found, ask(found, partial(_request, found, max(left, _PACE))))
        if left <= 0:
            raise TokenNotObtained(_not_in_time(found, timeout))
        time.sleep(_PACE)


def _not_in_time(app: Application, timeout: float) -> TokenFailure:
    """Return the failure of a token that another worker has requested and not received yet."""
    return client.failure(app, (), app.token_url, network=NetworkFault.TIMEOUT, timeout=timeout)


def cached(smtp_id: str) -> AccessToken | None:
    """Return the cached access token of an SMTP server; raise :class:`NoGrant`."""
    found = _read(smtp_id)
    db.session.rollback()  # ends the read transaction: nothing is open while we wait
    if found is None:
        raise NoGrant
    return _cached(*found)


def _cached_or_lease(smtp_id: str, count: Callable[[], None]) -> AccessToken | Lease | Application:
    """Return the cached token, else a lease to request one.

    If another worker has the lease, return what it asks for.
    """
    found = _read(smtp_id)
    db.session.rollback()  # ends the read transaction: nothing is open while we wait
    if found is None:
        raise NoGrant
    if cached := _cached(*found):
        return cached
    if is_leased(found[1]):
        return application_of(*found)
    with writing():
        found = _read(smtp_id, for_update=True)
        if found is None:
            raise NoGrant
        smtp, row = found
        if cached := _cached(smtp, row):
            return cached
        if is_leased(row):
            return application_of(smtp, row)
        if not grants.is_ready(row):
            app = application_of(smtp, row)
            raise TokenNotObtained(client.failure(app, (), app.token_url, error=SIGN_IN_NEEDED))
        count()
        return take(smtp, row)


def _read(smtp_id: str, *, for_update: bool = False) -> tuple[Smtp, SmtpOauth] | None:
    statement = select(Smtp, SmtpOauth).join(SmtpOauth, SmtpOauth.smtp_id == Smtp.id)
    statement = statement.where(Smtp.id == smtp_id)
    if for_update:
        statement = statement.with_for_update(of=SmtpOauth)
    options = {"populate_existing": True}
    row = db.session.execute(statement, execution_options=options).one_or_none()
    return None if row is None else (row[0], row[1])


def is_leased(row: SmtpOauth) -> bool:
    """Check whether a worker is requesting a token with this grant."""
    return row.renewing_until is not None and row.renewing_until > now()


def _cached(smtp: Smtp, row: SmtpOauth) -> AccessToken | None:
    until = row.accesstoken_until
    if until is None or until < now() + _MARGIN:
        return None
    try:
        token = grants.unseal(smtp, row, "accesstoken")
    except SecretUnreadable:  # its use has changed since: it is requested again
        return None
    return None if token is None else AccessToken(token, until)


def take(smtp: Smtp, row: SmtpOauth) -> Lease:
    """Take the lease on a grant, in the caller's transaction; an older one counts no more."""
    if row.renewing_by is not None and Grant(row.grant) in grants.USES_REFRESH_TOKEN:
        row.interrupted = True  # whoever had it neither stored an answer nor an error
    lease = Lease(
        new_id(),
        smtp.id,
        application_of(smtp, row),
        grants.unseal(smtp, row, "clientsecret"),
        grants.unseal(smtp, row, "refreshtoken"),
        row.interrupted,
    )
    row.renewing_by, row.renewing_until = lease.id, now() + _LEASE
    return lease


def application_of(smtp: Smtp, row: SmtpOauth) -> Application:
    """Return what is asked for the grant of an SMTP server; its client secret is opened here."""
    provider = oauth.named(row.provider)
    grant = Grant(row.grant)
    is_key = grant is Grant.JWT_BEARER
    return Application(
        token_url=row.tokenurl,
        client_id=row.clientid,
        client_auth=row.clientauth,
        grant=grant,
        client_secret=None if is_key else grants.unseal(smtp, row, "clientsecret"),
        scope=row.scope,
        provider=provider.catalogue if provider else "",
        tenant=row.tenant,
        username=smtp.username or "",
    )


# --- request and store ---------------------------------------------------------------------


def ask(lease: Lease, request: Callable[[Application], Granted]) -> Granted:
    """Make the request of a lease; the lease ends if it fails."""
    try:
        return request(lease.application)
    except TokenNotObtained as error:
        log.info("no access token for SMTP %s: %s", lease.smtp_id, error)
        give_back(lease, answer_lost=error.failure.network in _ANSWER_LOST)
        raise TokenNotObtained(
            dataclasses.replace(error.failure, rotation_lost=lease.interrupted)
        ) from None
    except BaseException:
        give_back(lease, answer_lost=True)
        raise


def _request(lease: Lease, timeout: float, app: Application) -> Granted:
    return _granted(app, lease.secret, lease.refresh_token, timeout)


def _granted(
    app: Application, secret: str | None, refresh_token: str | None, timeout: float
) -> Granted:
    app = dataclasses.replace(app, timeout=min(timeout, client.TIMEOUT))
    if app.grant is Grant.CLIENT_CREDENTIALS:
        return client.by_client_credentials(app)
    if app.grant is Grant.JWT_BEARER:
        return client.by_service_account(app, secret or "")
    return client.by_refresh_token(app, refresh_token or "")


def store(lease: Lease, granted: Granted) -> AccessToken:
    """Store the refresh token, if there is a new one, and the access token; return the latter.

    A refresh token that is not stored is lost, so a busy database is asked again.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _stored(lease, granted)
        except (OperationalError, PoolTimeout) as error:
            log.error("the tokens of SMTP %s were not stored: %s", lease.smtp_id, cause(error))
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _access_token(granted: Granted) -> AccessToken:
    life = _UNKNOWN_LIFE if granted.life is None else timedelta(seconds=granted.life)
    return AccessToken(granted.access_token, now() + life, is_new=True)


def _stored(lease: Lease, granted: Granted) -> AccessToken:
    token = _access_token(granted)
    with writing():
        found = _read(lease.smtp_id, for_update=True)
        # If the settings were edited meanwhile, the tokens belong to settings that are no more
        if found is not None and found[1].renewing_by == lease.id:
            keep(*found, granted, token)
    return token


def keep(smtp: Smtp, row: SmtpOauth, granted: Granted, token: AccessToken) -> None:
    """Put the tokens into the row of a grant, in the caller's transaction."""
    if granted.refresh_token and Grant(row.grant) in grants.USES_REFRESH_TOKEN:
        row.refreshtoken_sealed = grants.seal(smtp, row, "refreshtoken", granted.refresh_token)
    row.accesstoken_sealed = grants.seal(smtp, row, "accesstoken", token.value)
    row.accesstoken_until = token.expires
    row.renewing_by = row.renewing_until = None
    row.interrupted = False


def give_back(lease: Lease, *, answer_lost: bool) -> None:
    """End a lease whose request gave no token.

    ``answer_lost``: the authorization server may have granted one, and replaced the refresh token.
    """
    with writing():
        found = _read(lease.smtp_id, for_update=True)
        if found is not None and found[1].renewing_by == lease.id:
            row = found[1]
            row.renewing_by = row.renewing_until = None
            if answer_lost and Grant(row.grant) in grants.USES_REFRESH_TOKEN:
                row.interrupted = True
