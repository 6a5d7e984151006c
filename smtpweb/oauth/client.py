"""Request tokens from an authorization server: Authlib's client over our vetted HTTP.

Every way in which a request can fail ends as :class:`TokenNotObtained`. What the server answers is
hostile input: only what RFC 6749 and 6750 allow is accepted, within bounds.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client

from .. import vetted_http
from ..config import settings
from ..mailcheck.diagnosis.token import Grant, NetworkFault, TokenFailure
from ..providers import oauth
from ..registry import oauth_rules
from ..vetted_http import NoResponse, Obstacle, Response
from .failure import TokenNotObtained

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds for one request, name resolution included
MAX_BODY = 256 * 1024
MAX_LIFE = 10 * 366 * 86400  # seconds
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_VISIBLE = re.compile(r"[ -~]+", re.ASCII)  # RFC 6749 appendix A
_MOST_OF_DEVICE = (8192, 200, 2000)  # characters of device code, user code, URI
_BASIC, _ANONYMOUS = "smtpweb_basic", "smtpweb_anonymous"
# What Authlib raises for hostile responses, which are evaluated here
_UNREADABLE = (
    OAuth2Error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip
_FAULTS = {Obstacle.NOT_HTTP: NetworkFault.NOT_JSON}


@dataclass(frozen=True, slots=True)
class Application:
    """The application at its authorization server, and the mailbox that it sends from."""

    token_url: str
    client_id: str
    client_auth: str
    grant: Grant
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    provider: str = ""  # an id of the catalogue of diagnoses, or ""
    tenant: str | None = None
    username: str = ""
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token. ``life``: seconds, None if the server did not say."""

    access_token: str = field(repr=False)
    life: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person has to enter where (RFC 8628 3.2); ``interval`` and ``life`` in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    interval: int
    life: int


def by_client_credentials(app: Application) -> Granted:
    """Request a token for the application itself (RFC 6749 4.4)."""
    return _request(app, (), lambda client: client.fetch_token(
        app.token_url, grant_type="client_credentials"
    ))  # fmt: skip


def by_refresh_token(app: Application, refresh_token: str) -> Granted:
    """Request a token with a refresh token, which the answer may replace (RFC 6749 6)."""
    return _request(app, (refresh_token,), lambda client: client.refresh_token(
        app.token_url, refresh_token
    ))  # fmt: skip


def by_code(app: Application, code: str, verifier: str, redirect_uri: str) -> Granted:
    """Exchange an authorization code (RFC 6749 4.1.3, RFC 7636 4.5)."""
    return _request(app, (code, verifier), lambda client: client.fetch_token(
        app.token_url,
        grant_type="authorization_code",
        code=code,
        code_verifier=verifier,
        redirect_uri=redirect_uri,
    ))  # fmt: skip


def by_device_code(app: Application, device_code: str) -> Granted:
    """Ask whether the person has signed in (RFC 8628 3.4)."""
    return _request(app, (device_code,), lambda client: client.fetch_token(
        app.token_url, grant_type=DEVICE_GRANT, device_code=device_code
    ))  # fmt: skip


def by_service_account(app: Application, key: str) -> Granted:
    """Request a token for a mailbox with the key of a Google service account (RFC 7523)."""
    # Only here: few processes need it, and it takes as long to import as Flask
    from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
    from joserfc.jwk import RSAKey

    content = json.loads(key)
    key_id = content.get("private_key_id")
    assertion = sign_jwt_bearer_assertion(
        RSAKey.import_key(content["private_key"]),
        issuer=content["client_email"],
        audience=app.token_url,
        subject=app.username,
        claims={"scope": app.scope or ""},  # as a claim, for Google
        header={"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {}),
    )
    return _request(app, (assertion,), lambda client: client.fetch_token(
        app.token_url, grant_type=JWT_GRANT, assertion=assertion
    ))  # fmt: skip


def device_code(app: Application, device_url: str) -> DeviceCode:
    """Ask for a code that a person enters on another device (RFC 8628 3.1)."""
    session = _Session(app.timeout)
    data = {"scope": app.scope} if app.scope else {}
    if _method(app) == _BASIC:
        data["client_id"] = app.client_id
    auth = _client(app, session).client_auth(_method(app))
    try:
        answer = session.post(device_url, data, auth=auth)
    except NoResponse as error:
        raise TokenNotObtained(_unanswered(app, error, (), device_url)) from None
    content = _content(app, answer.response, (), device_url)
    found = _device_code(content) if answer.status_code == 200 else None
    if found is None:
        raise TokenNotObtained(_refused(app, answer.response, content, (), device_url))
    return found


def _device_code(content: Mapping[str, Any]) -> DeviceCode | None:
    code, shown = content.get("device_code"), content.get("user_code")
    uri = content.get("verification_uri") or content.get("verification_url")
    texts = (code, shown, uri)
    if not all(isinstance(text, str) and _VISIBLE.fullmatch(text) for text in texts):
        return None
    try:
        parts = urlsplit(str(uri))
    except ValueError:  # brackets that are no IPv6 address
        return None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return None
    # Together they fit into the column that they are sealed in
    if any(len(str(text)) > most for text, most in zip(texts, _MOST_OF_DEVICE, strict=True)):
        return None
    interval = min(max(_seconds(content.get("interval")) or 5, 1), 60)
    life = min(max(_seconds(content.get("expires_in")) or 600, 1), 3600)
    return DeviceCode(str(code), str(shown), str(uri), interval, life)


# --- one request ---------------------------------------------------------------------------


class _Answer:
    """A response as Authlib reads it."""

    def __init__(self, response: Response) -> None:
        self.response, self.status_code = response, response.status

    def json(self) -> Any:
        return json.loads(self.response.body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ValueError(self.status_code)


class _Session:
    """What Authlib sends its requests with: no cookie, no redirect, no proxy."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self.response: Response | None = None

    def post(
        self,
        url: str,
        data: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        auth: ClientAuth | None = None,
    ) -> _Answer:
        body, sent = urlencode(data), {"Accept": "application/json"} | dict(headers or {})
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        if auth is not None:
            url, sent, body = auth.prepare("POST", url, sent, body)
        self.response = http("POST", url, body.encode(), sent, timeout=self._timeout)
        return _Answer(self.response)


def http(
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Response:
    """Send one request to an authorization server; raise :class:`NoResponse`."""
    config = settings()
    return vetted_http.request(
        method,
        url,
        policy=config.webhook_egress,
        body=body,
        headers=headers,
        ca_file=config.ca_file,
        timeout=timeout,
        max_body=MAX_BODY,
    )


def _anonymous(_client: Any, _method: str, uri: str, headers: dict[str, str], body: str) -> Any:
    """Name no client: the assertion says who asks (RFC 7523 2.1)."""
    return uri, headers, body


def _basic(client: Any, method: str, uri: str, headers: dict[str, str], body: str) -> Any:
    """Encode id and secret before base64, as RFC 6749 2.3.1 requires and Authlib does not."""
    pair = ClientAuth(
        quote_plus(client.client_id), quote_plus(client.client_secret or ""), "client_secret_basic"
    )
    return pair.prepare(method, uri, headers, body)


def _method(app: Application) -> str:
    if app.grant is Grant.JWT_BEARER:
        return _ANONYMOUS
    if app.client_secret is None:
        return "none"
    return _BASIC if app.client_auth == oauth.BASIC else "client_secret_post"


def _client(app: Application, session: _Session) -> OAuth2Client:
    client = OAuth2Client(
        session,
        client_id=app.client_id,
        client_secret=app.client_secret,
        token_endpoint_auth_method=_method(app),
        scope=app.scope,
    )
    client.register_client_auth_method((_BASIC, _basic))
    client.register_client_auth_method((_ANONYMOUS, _anonymous))
    return client


def _request(
    app: Application, sent: tuple[str, ...], ask: Callable[[OAuth2Client], Mapping[str, Any]]
) -> Granted:
    session = _Session(app.timeout)
    try:
        ask(_client(app, session))
    except NoResponse as error:
        raise TokenNotObtained(_unanswered(app, error, sent, app.token_url)) from None
    except _UNREADABLE as error:
        log.debug("Authlib read no token: %s", type(error).__name__)
    if session.response is None:
        raise AssertionError("no request was sent")
    content = _content(app, session.response, sent, app.token_url)
    if session.response.status >= 400 or "error" in content:
        raise TokenNotObtained(_refused(app, session.response, content, sent, app.token_url))
    token = content.get("access_token")
    kind = content.get("token_type", "bearer")
    if not token:
        fault = NetworkFault.NO_TOKEN
    elif not _is_usable(token) or str(kind).lower() != "bearer":
        fault = NetworkFault.TOKEN_UNUSABLE
    else:
        return Granted(
            token,
            _seconds(content.get("expires_in")),
            _refresh_token(content.get("refresh_token")),
            str(content.get("scope") or "")[:1000],
        )
    raise TokenNotObtained(_refused(app, session.response, {}, sent, app.token_url, fault))


def _is_usable(token: object) -> TypeGuard[str]:
    try:
        return isinstance(token, str) and oauth_rules.access_token(token) == token
    except ValueError:
        return False


def _refresh_token(value: object) -> str | None:
    usable = isinstance(value, str) and len(value) <= 8192 and _VISIBLE.fullmatch(value)
    return str(value) if usable else None


def _seconds(value: object) -> int | None:
    """Return a duration; Microsoft sends some as strings."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(min(max(float(value), 0), MAX_LIFE))
    except (ValueError, OverflowError):  # NaN
        return None


def _content(
    app: Application, response: Response, sent: tuple[str, ...], url: str
) -> dict[str, Any]:
    """Return the JSON object of a response; raise :class:`TokenNotObtained` if it is none."""
    if 300 <= response.status < 400:
        target = response.headers.get("location", "")
        try:
            target = urlsplit(target).hostname or ""
        except ValueError:
            target = ""
        fault = NetworkFault.REDIRECT
        raise TokenNotObtained(_refused(app, response, {}, sent, url, fault, target))
    try:
        content = json.loads(response.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        kind = response.headers.get("content-type", "").partition(";")[0]
        raise TokenNotObtained(_refused(app, response, {}, sent, url, NetworkFault.NOT_JSON, kind))
    return content


def _unanswered(
    app: Application, error: NoResponse, sent: tuple[str, ...], url: str
) -> TokenFailure:
    fault = _FAULTS.get(error.obstacle) or NetworkFault(error.obstacle.value)
    return failure(app, sent, url, network=fault, network_words=error.words, setting=error.setting)


def _refused(
    app: Application,
    response: Response,
    content: Mapping[str, Any],
    sent: tuple[str, ...],
    url: str,
    network: NetworkFault = NetworkFault.NONE,
    words: str = "",
) -> TokenFailure:
    codes = content.get("error_codes")
    listed = codes if isinstance(codes, list) else []
    clock = response.clock
    return failure(
        app,
        sent,
        url,
        network=network,
        network_words=words,
        status=response.status,
        error=_text(content.get("error")),
        error_description=_text(content.get("error_description")),
        error_codes=tuple(code for code in listed if type(code) is int)[:8],
        suberror=_text(content.get("suberror")),
        clock_skew=None if clock is None else time.time() - clock,
    )


def _text(value: object) -> str:
    return value[:2000] if isinstance(value, str) else ""


def failure(app: Application, sent: tuple[str, ...], url: str, **found: Any) -> TokenFailure:
    """Return a failed request of this application; ``sent`` are the secrets in it."""
    secrets = (app.client_secret, *sent)
    return TokenFailure(
        provider=app.provider,
        grant=app.grant,
        host=urlsplit(url).hostname or "",
        client_id=app.client_id,
        tenant=app.tenant or "",
        scope=app.scope or "",
        username=app.username,
        secrets=tuple(secret for secret in secrets if secret),
        **{"timeout": app.timeout} | found,
    )
