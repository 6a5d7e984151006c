"""How an SMTP server gets its OAuth access tokens: the stored grant, sealed and bound.

A secret is bound like a password: it is sealed together with a digest of the host, port,
encryption and user name of the SMTP server, and of the token URL, client ID, scope and grant. If
one of them changes, the secret does not open any more, and has to be entered again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, case, delete, or_, select

from .. import installation
from ..database.models import Smtp, SmtpOauth
from ..database.rows import SmtpRow
from ..database.session import db, fetch
from ..errors import BadInput, SecretUnreadable, Sentence
from ..mailcheck.diagnosis.token import Grant
from ..providers import oauth
from . import fields, oauth_rules


class OauthChanges(TypedDict, total=False):
    """The OAuth settings to change, named as in ``fields.OAUTH``; those left out are kept."""

    oauthgrant: str
    oauthprovider: str
    oauthtenant: str | None
    oauthclientid: str | None
    oauthclientsecret: str | None
    oauthkey: str | None
    oauthrefreshtoken: str | None
    oauthscope: str | None
    oauthissuer: str | None
    oauthtokenurl: str | None
    oauthauthurl: str | None
    oauthdeviceurl: str | None
    oauthclientauth: str | None


# A person signs in once; then there is a refresh token.
INTERACTIVE = frozenset({Grant.AUTHORIZATION_CODE, Grant.DEVICE_CODE})
USES_REFRESH_TOKEN = INTERACTIVE | {Grant.REFRESH_TOKEN}
_URLS = ("oauthtokenurl", "oauthauthurl", "oauthdeviceurl")
_BOUND = ("grant", "clientid", "scope", "tokenurl", "deviceurl")
_SHOWN = tuple(field for field in fields.OAUTH.values() if not field.secret)
_REQUIRED = Sentence("Is required.")
_NEEDED = {
    Grant.CLIENT_CREDENTIALS: ("oauthclientid", "oauthtokenurl"),
    Grant.REFRESH_TOKEN: ("oauthclientid", "oauthtokenurl"),
    Grant.AUTHORIZATION_CODE: ("oauthclientid", "oauthtokenurl", "oauthauthurl"),
    Grant.DEVICE_CODE: ("oauthclientid", "oauthtokenurl", "oauthdeviceurl"),
    Grant.JWT_BEARER: ("oauthtokenurl",),
}


def awaits_sign_in(smtp_id: str) -> bool:
    """Check if a person has to sign in at the provider before there are access tokens."""
    row = find(smtp_id)
    return row is not None and row.grant in INTERACTIVE and row.refreshtoken_sealed is None


def find(smtp_id: str, *, for_update: bool = False) -> SmtpOauth | None:
    """Return the grant of an SMTP server; locked until this write ends if it is ``for_update``."""
    return db.session.get(
        SmtpOauth, smtp_id, with_for_update=for_update or None, populate_existing=for_update
    )


def content_of(smtp_id: str) -> tuple[Any, ...] | None:
    """Return what an access token is requested with, secrets sealed, or None without a grant."""
    columns = (*(field.column for field in _SHOWN), "clientsecret_sealed", "refreshtoken_sealed")
    statement = select(*(getattr(SmtpOauth, name) for name in columns))
    row = db.session.execute(statement.where(SmtpOauth.smtp_id == smtp_id)).one_or_none()
    return None if row is None else tuple(row)


# --- sealing -------------------------------------------------------------------------------


def seal(smtp: Smtp, row: SmtpOauth, name: str, secret: str) -> str:
    """Seal a secret of the column ``name`` for its current use."""
    plain = json.dumps({"for": _use(smtp, row, name), "secret": secret})
    return installation.secret_box().seal(row.smtp_id, plain)


def unseal(smtp: Smtp, row: SmtpOauth, name: str) -> str | None:
    """Return the secret of a column; raise :class:`SecretUnreadable`, also if its use changed."""
    sealed: str | None = getattr(row, f"{name}_sealed")
    if sealed is None:
        return None
    content = json.loads(installation.secret_box().open(row.smtp_id, sealed))
    if not hmac.compare_digest(content["for"], _use(smtp, row, name)):
        raise SecretUnreadable
    secret: str = content["secret"]
    return secret


def require_readable(smtp: Smtp) -> None:
    """Raise :class:`SecretUnreadable` if the secrets of a server's grant cannot be opened."""
    if smtp.uses_oauth and (row := find(smtp.id)) is not None:
        for name in ("clientsecret", "refreshtoken"):
            unseal(smtp, row, name)


def use_of(smtp: Smtp, row: SmtpOauth) -> str:
    """Return the digest of everything that the secrets of a grant are bound to."""
    return _use(smtp, row, "")


def _use(smtp: Smtp, row: SmtpOauth, name: str) -> str:
    """Return the digest of everything that a secret may be used for."""
    use = (
        name, smtp.host, smtp.port, smtp.starttls, smtp.ssltls, smtp.username,
        *(getattr(row, column) for column in _BOUND),
    )  # fmt: skip
    return hashlib.sha256(json.dumps(use).encode()).hexdigest()


# --- saving --------------------------------------------------------------------------------


def is_wanted(smtp: Smtp, changes: Mapping[str, Any], given: OauthChanges | None) -> bool:
    """Check whether an SMTP server will sign in with access tokens after these changes."""
    auth = changes.get("auth", smtp.auth)
    if not given:
        # A password that is entered replaces the access tokens
        return bool(auth and smtp.uses_oauth and not changes.get("password"))
    if given.get("oauthgrant") == oauth_rules.NONE:
        return False
    faults: dict[str, list[str]] = {}
    if not auth:
        faults["oauthgrant"] = [Sentence("Turn authentication on, or OAuth off.")]
    if changes.get("password"):
        faults["password"] = [Sentence("Leave it empty: with OAuth there is no password.")]
    if faults:
        raise BadInput(faults)
    return True


def has_secret(given: OauthChanges | None) -> bool:
    """Check whether a secret of the grant was entered."""
    return any(field.secret and (given or {}).get(name) for name, field in fields.OAUTH.items())


def settle(smtp: Smtp, given: OauthChanges | None, *, moved: bool) -> bool:
    """Store the grant of an SMTP server with its current settings; remove it if it uses none.

    Return whether the grant has changed.

    ``moved``: the server has changed in a way that a password must not follow. Raises
    :class:`BadInput` for what is missing, and for secrets that must be entered again.
    """
    if not smtp.uses_oauth:
        db.session.execute(delete(SmtpOauth).where(SmtpOauth.smtp_id == smtp.id))
        return True
    row = find(smtp.id, for_update=True)
    before = None if row is None else [getattr(row, name) for name in _BOUND]
    given = given or OauthChanges()
    values = _completed(smtp, row, given)
    if row is None:
        row = SmtpOauth(smtp_id=smtp.id)
        db.session.add(row)
    for name, value in values.items():
        setattr(row, fields.OAUTH[name].column, value)
    rebound = moved or before != [getattr(row, name) for name in _BOUND]
    _settle_secrets(smtp, row, given, rebound=rebound)
    return db.session.is_modified(row)


def _completed(smtp: Smtp, row: SmtpOauth | None, given: OauthChanges) -> dict[str, Any]:
    """Return all settings but the secrets: as given, as stored, or as known of the provider."""
    known = oauth.of_host(smtp.host)
    chosen = given.get("oauthgrant") or (row and row.grant)
    if not chosen:
        raise BadInput({"oauthgrant": [_REQUIRED]})
    grant = Grant(chosen)
    provider_id = given.get("oauthprovider") or (row and row.provider)
    if not provider_id:
        names_server = given.get("oauthissuer") or given.get("oauthtokenurl")
        provider_id = known.id if known and not names_server else oauth.OTHER
    values: dict[str, Any] = {
        name: given.get(name) if name in given else row and getattr(row, field.column)
        for name, field in fields.OAUTH.items()
        if not field.secret
    }
    same = row is not None and (row.grant, row.provider) == (grant, provider_id)
    if not same:
        for name in ("oauthscope", "oauthclientauth", "oauthtenant"):
            values[name] = given.get(name)
    values |= {"oauthgrant": grant.value, "oauthprovider": provider_id}
    faults: dict[str, list[str]] = {}
    provider = oauth.named(provider_id)
    if provider is None:
        values["oauthclientauth"] = values["oauthclientauth"] or oauth.POST
        values["oauthtenant"] = None
    else:
        faults |= _filled_in(values, provider, grant, smtp.host, row, given)
    if grant is Grant.JWT_BEARER:
        key = given.get("oauthkey")
        values["oauthclientid"] = (
            json.loads(key)["client_email"] if key else (row and same and row.clientid) or ""
        )
    missing = (name for name in _NEEDED[grant] if not values[name])
    faults = {**{name: [_REQUIRED] for name in missing}, **faults}
    if faults:
        raise BadInput(faults)
    return values


def _filled_in(
    values: dict[str, Any],
    provider: oauth.Provider,
    grant: Grant,
    host: str,
    row: SmtpOauth | None,
    given: OauthChanges,
) -> dict[str, list[str]]:
    """Fill in what is known of a provider; return the faults of what was given."""
    if grant not in provider.grants:
        choices = ", ".join(provider.grants)
        text = Sentence(
            "%(provider)s does not offer this. Choose one of: %(list)s.",
            provider=provider.name,
            list=choices,
        )
        return {"oauthgrant": [text]}
    faults: dict[str, list[str]] = {}
    if provider.tenant is None:
        values["oauthtenant"] = None
    elif not values["oauthtenant"] and provider.needs_tenant(grant):
        faults["oauthtenant"] = [_REQUIRED]
    found = provider.endpoints(grant, host, values["oauthtenant"])
    own = (found.token_url, found.authorization_url, found.device_url)
    urls = dict(zip(_URLS, own, strict=True))
    for name, url in urls.items():
        stored = row and getattr(row, fields.OAUTH[name].column)
        # A client may send back what it was shown
        if given.get(name) not in (None, url, stored):
            text = Sentence(
                "%(provider)s has a URL of its own. Leave this out, or choose another service.",
                provider=provider.name,
            )
            faults[name] = [text]
    values |= urls
    values["oauthissuer"] = None
    values["oauthscope"] = values["oauthscope"] or found.scope
    values["oauthclientauth"] = values["oauthclientauth"] or found.client_auth
    return faults


def _settle_secrets(smtp: Smtp, row: SmtpOauth, given: OauthChanges, *, rebound: bool) -> None:
    """Seal, keep or forget the secrets; raise :class:`BadInput` for one that must be entered."""
    grant = Grant(row.grant)
    faults: dict[str, list[str]] = {}
    is_key = grant is Grant.JWT_BEARER
    of_client = "oauthkey" if is_key else "oauthclientsecret"
    new: dict[str, str | None] = {
        "clientsecret": given.get("oauthkey") if is_key else given.get("oauthclientsecret"),
        "refreshtoken": given.get("oauthrefreshtoken") if grant is Grant.REFRESH_TOKEN else None,
    }
    for name, parameter in (("clientsecret", of_client), ("refreshtoken", "oauthrefreshtoken")):
        column = f"{name}_sealed"
        stored = getattr(row, column) is not None
        if secret := new[name]:
            setattr(row, column, seal(smtp, row, name, secret))
        elif stored and rebound and (name == "clientsecret" or grant is Grant.REFRESH_TOKEN):
            faults[parameter] = [
                Sentence(
                    "For safety, enter it again: the server, the user name, or what it is used for"
                    " changed."
                )
            ]
        elif not stored and _requires(grant, name):
            faults[parameter] = [_REQUIRED]
        elif rebound or (name == "clientsecret" and parameter in given):
            setattr(row, column, None)
    if faults:
        raise BadInput(faults)
    if rebound or any(new.values()):
        forget_tokens(row)


def _requires(grant: Grant, name: str) -> bool:
    if name == "refreshtoken":
        return grant is Grant.REFRESH_TOKEN
    return grant in (Grant.CLIENT_CREDENTIALS, Grant.JWT_BEARER)


def forget_tokens(row: SmtpOauth) -> None:
    """Forget the cached access token, a sign-in under way, and a token request under way."""
    row.accesstoken_sealed = row.accesstoken_until = row.pending_sealed = None
    row.renewing_by = row.renewing_until = None
    row.interrupted = False


def copy(original: Smtp, made: Smtp) -> None:
    """Give a copy of an SMTP server the grant of the original, with its client secret.

    Nobody has signed in for the copy: a refresh token that two servers renew is soon refused.
    Raises :class:`SecretUnreadable`.
    """
    row = find(original.id)
    if row is None:
        return
    values = {field.column: getattr(row, field.column) for field in _SHOWN}
    copied = SmtpOauth(smtp_id=made.id, **values)
    secret = unseal(original, row, "clientsecret")
    if secret is not None:
        copied.clientsecret_sealed = seal(made, copied, "clientsecret", secret)
    db.session.add(copied)


# --- showing -------------------------------------------------------------------------------

_READY: ColumnElement[bool] = or_(
    SmtpOauth.refreshtoken_sealed.is_not(None),
    *(SmtpOauth.grant == grant.value for grant in Grant if grant not in USES_REFRESH_TOKEN),
)
# What the API shows, labelled by parameter
COLUMNS = (
    *(getattr(SmtpOauth, field.column).label(field.name) for field in _SHOWN),
    case((_READY, 1), else_=0).label("oauthready"),
)


def shown(smtp: SmtpRow) -> dict[str, Any]:
    """Return what the API shows of the grant of an SMTP server that has one; never a secret.

    ``smtp``: the entity, or a row with :data:`COLUMNS`.
    """
    row: Any = smtp
    if isinstance(smtp, Smtp):
        (row,) = fetch(select(*COLUMNS).where(SmtpOauth.smtp_id == smtp.id))
    members = {field.name: getattr(row, field.name) for field in _SHOWN}
    given = {name: value for name, value in members.items() if value not in (None, "")}
    return given | {"oauthready": bool(row.oauthready)}


def exported(smtp: Smtp, *, secrets: bool) -> dict[str, Any]:
    """Return the settings of the grant for an export; raise :class:`SecretUnreadable`."""
    row = find(smtp.id)
    if row is None:
        return {}
    members = {field.name: getattr(row, field.column) for field in _SHOWN}
    if secrets:
        is_key = Grant(row.grant) is Grant.JWT_BEARER
        members["oauthkey" if is_key else "oauthclientsecret"] = unseal(smtp, row, "clientsecret")
        members["oauthrefreshtoken"] = unseal(smtp, row, "refreshtoken")
    return {name: value for name, value in members.items() if value not in (None, "")}


def is_interactive(smtp: Smtp) -> bool:
    """Check whether a person signs in at the provider for the access tokens of this server."""
    row = find(smtp.id) if smtp.uses_oauth else None
    return row is not None and Grant(row.grant) in INTERACTIVE


def is_ready(row: SmtpOauth) -> bool:
    """Check whether access tokens can be requested without somebody signing in first."""
    return row.refreshtoken_sealed is not None or Grant(row.grant) not in USES_REFRESH_TOKEN
