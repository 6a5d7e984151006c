"""Authorization servers on loopback: a real one from PyPI, and one that misbehaves on purpose.

``real_oauth`` runs nanoidp: client credentials, refresh tokens that rotate, codes with PKCE, device
codes. ``fake_oauth`` answers what the test sets, and knows the one grant that nanoidp lacks: the
assertion of a service account (RFC 7523).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.serving import clean_environment, free_port, program

# nanoidp does not decode what RFC 6749 2.3.1 has clients encode, so nothing here needs it
CLIENT_ID, CLIENT_SECRET = "smtpweb-app", "s3cret-of.the_client~1"
USER, USER_PASSWORD = "shop@example.com", "password of the mailbox"
AUDIENCE = "smtp.example.com"

_SETTINGS = """\
config_version: 1
server: {{host: 127.0.0.1, port: {port}}}
oauth:
  issuer: "http://127.0.0.1:{port}"
  audience: "{audience}"
  refresh_token_rotation: true
  scopes_supported: ["openid", "offline_access", "smtp.send"]
  clients:
    - client_id: "{client_id}"
      client_secret: "{client_secret}"
session: {{secret_key: "of a test", enforce_password_check: true}}
"""
_USERS = """\
config_version: 1
users:
  {user}: {{password: "{password}", email: "{user}"}}
"""


@dataclass
class RealOauth:
    """A running nanoidp."""

    url: str

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def ask(self, **parameters: str) -> dict[str, Any]:
        """Make a token request with the client's secret, as any client would."""
        pair = b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        request = urllib.request.Request(
            self.token_url, urlencode(parameters).encode(), {"Authorization": f"Basic {pair}"}
        )
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def refresh_token(self) -> str:
        """Return a new refresh token of the user."""
        answer = self.ask(
            grant_type="password", username=USER, password=USER_PASSWORD,
            scope="openid offline_access",
        )  # fmt: skip
        token: str = answer["refresh_token"]
        return token

    def accepts(self, refresh_token: str) -> bool:
        """Check whether a refresh token is still valid; uses it up if it is."""
        try:
            self.ask(grant_type="refresh_token", refresh_token=refresh_token)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True


@contextlib.contextmanager
def real_oauth(folder: Path) -> Iterator[RealOauth]:
    """Run nanoidp with one client and one user."""
    port = free_port()
    config = folder / "nanoidp"
    config.mkdir()
    (config / "settings.yaml").write_text(
        _SETTINGS.format(
            port=port, audience=AUDIENCE, client_id=CLIENT_ID, client_secret=CLIENT_SECRET
        )
    )
    (config / "users.yaml").write_text(_USERS.format(user=USER, password=USER_PASSWORD))
    command = [str(Path(sys.executable).parent / "nanoidp"), "--config", str(config)]
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"{url}/.well-known/openid-configuration").close()
        except OSError:
            return False
        return True

    env = clean_environment(folder)
    with program(command, env=env, log=folder / "nanoidp.log", cwd=folder) as served:
        served.wait_for(answers)
        yield RealOauth(url)


HANG, DRIP, FLOOD = "hang", "drip", "flood"


@dataclass
class Answer:
    """One response: a JSON object, or a body as it is."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeOauth:
    """What the server got, and what it answers, the last one for all further requests.

    An answer may be a function of the parameters.
    """

    url: str
    answers: list[Any]
    requests: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"


Answers = Answer | str | Callable[[dict[str, str]], Answer]


def token(value: str = "a-token", **members: Any) -> Answer:
    """Return a good answer."""
    return Answer(
        body={"access_token": value, "token_type": "Bearer", "expires_in": 3600} | members
    )


def refusal(error: str, description: str = "", **members: Any) -> Answer:
    """Return an error of RFC 6749 5.2."""
    return Answer(400, {"error": error, "error_description": description} | members)


def asserted(key: RSAKey, audience: str, now: float | None = None) -> Callable[..., Answer]:
    """Answer assertions of a service account as Google does; ``now``: the server's clock."""

    def answer(parameters: dict[str, str]) -> Answer:
        try:
            claims = jwt.decode(parameters["assertion"], key, algorithms=["RS256"]).claims
        except Exception:
            return refusal("invalid_grant", "Invalid JWT Signature.")
        clock = now if now is not None else time.time()
        if claims["aud"] != audience:
            return refusal("invalid_grant", "Invalid JWT: Failed audience check.")
        if not claims["iat"] - 300 <= clock <= claims["exp"]:
            return refusal(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
                " timeframe. Check your iat and exp values in the JWT claim.",
            )
        return token(f"for.{re.sub('[^a-z]', '-', claims['sub'])}.{len(claims['scope'])}")

    return answer


@contextlib.contextmanager
def fake_oauth(*answers: Answers) -> Iterator[FakeOauth]:
    """Run an authorization server that answers as told."""
    fake = FakeOauth("", list(answers) or [token()])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.respond({name: values[0] for name, values in parse_qs(text).items()})

        def respond(self, parameters: dict[str, str]) -> None:
            place = min(len(fake.requests), len(fake.answers) - 1)
            fake.requests.append(parameters | {"path": urlsplit(self.path).path})
            fake.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = fake.answers[place]
            if callable(answer):
                answer = answer(parameters)
            with contextlib.suppress(OSError):
                self.write(answer)

        def write(self, answer: Answer | str) -> None:
            if answer == HANG:
                fake.stopped.wait(60)
            elif answer == DRIP:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not fake.stopped.wait(0.02):
                    self.wfile.write(b"x")
            elif answer == FLOOD:
                self.send_response(200)
                self.end_headers()
                for _ in range(160):  # 10 MiB
                    self.wfile.write(b" " * 65536)
            elif isinstance(answer, Answer):
                plain = isinstance(answer.body, str)
                body = answer.body if plain else json.dumps(answer.body)
                # Not send_response, which adds a Date of its own
                self.send_response_only(answer.status)
                kind = "text/html" if plain else "application/json"
                for name, value in ({"Content-Type": kind} | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
