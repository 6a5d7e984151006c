"""A real Dovecot submission service whose users sign in with access tokens.

It asks an introspection endpoint (RFC 7662) about each token, as in an installation beside
Keycloak or Authentik, and hands its mails to a real Postfix.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.real import certificates
from tests.real.dovecot import CONFIGURATION, IMPLICIT, USERS
from tests.real.full_postfix import relay
from tests.real.jail import Jail, jail
from tests.real.servers import LOGIN, Door, RealServer, answers, answers_over_tls, maildir
from tests.support.serving import free_port

OAUTH = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}}
"""
INTROSPECTION = """
introspection_mode = post
introspection_url = http://127.0.0.1:{port}/introspect
force_introspection = yes
username_attribute = username
active_attribute = active
active_value = true
scope = mail
"""


@dataclass
class AuthorizationServer:
    """The introspection endpoint. ``tokens``: each valid token with its user and scope."""

    port: int
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    """Run the endpoint in a thread."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            sent = urllib.parse.parse_qs(self.rfile.read(size).decode())
            token = sent.get("token", [""])[0]
            state.asked.append(token)
            known = state.tokens.get(token)
            answer: dict[str, object] = {"active": known is not None}
            if known is not None:
                answer |= {"username": known[0], "scope": known[1], "token_type": "Bearer"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing: the request line could hold a token."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as serving:
        state = AuthorizationServer(serving.server_port)
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            serving.shutdown()
            thread.join()


@contextmanager
def dovecot_with_tokens() -> Iterator[tuple[RealServer, AuthorizationServer]]:
    """Run Dovecot, its relay, and the endpoint that it asks."""
    ports = {Door.SUBMISSION: free_port(), Door.TLS: free_port()}
    with (
        authorization_server() as authority,
        relay() as behind,
        jail(["dovecot-core", "dovecot-submissiond"], users=USERS) as here,
    ):
        _set_up(here, authority)
        here.write(
            "/etc/dovecot/oauth.conf",
            CONFIGURATION.format(
                name="oauth", port=ports[Door.SUBMISSION], certificate="server",
                more=OAUTH.replace("{{", "{").replace("}}", "}"),
                listener=IMPLICIT.format(port=ports[Door.TLS]), relay=behind.port,
            ),
        )  # fmt: skip
        started = here.serving("oauth", "/usr/sbin/dovecot", "-F", "-c", "/etc/dovecot/oauth.conf")
        with started as running:
            running.wait_for(
                lambda: answers(ports[Door.SUBMISSION]) and answers_over_tls(ports[Door.TLS])
            )
            store = behind.folder / "mail" / "test"
            server = RealServer("Dovecot", ports, lambda: maildir(store))
            yield server, authority


def _set_up(here: Jail, authority: AuthorizationServer) -> None:
    here.directory("/mail", 1003)
    here.directory("/dev/shm", mode=0o1777)
    (here.folder / "dev/stderr").symlink_to("null")
    here.write("/etc/dovecot/logins", f"{LOGIN}:not used here\n")
    here.write("/etc/dovecot/oauth2.conf", INTROSPECTION.format(port=authority.port))
    here.write("/tls/ca.crt", certificates.authority())
    key, chain = certificates.certificate()
    here.write("/tls/server.key", key)
    here.write("/tls/server.crt", chain)
