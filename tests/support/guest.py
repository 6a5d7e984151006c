"""A client with cookies for a smtpweb that is really served: submits pages' forms, uses the API."""

from __future__ import annotations

import http.client
import http.cookies
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.fake_smtp import FakeServer
from tests.support.people import PASSWORD

FORM = "application/x-www-form-urlencoded"


class Guest:
    """``url`` is what a browser would show; ``port`` is the loopback port it is served on."""

    def __init__(self, url: str, port: int | None = None, trust: ssl.SSLContext | None = None):
        self.url = url
        self._trust = trust
        self._name = urlsplit(url).hostname or ""
        self._port = port or urlsplit(url).port
        self._cookies: dict[str, str] = {}
        self.token = ""

    @contextmanager
    def open(
        self, method: str, path: str, data: dict[str, Any] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield the response, to be read as it arrives; redirects are not followed."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as raw:
            connection = http.client.HTTPConnection(urlsplit(self.url).netloc)
            wrapped = (
                self._trust.wrap_socket(raw, server_hostname=self._name) if self._trust else raw
            )
            connection.sock = wrapped
            headers = {
                "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
                "Referer": self.url,
                "Content-Type": FORM,
            }
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            connection.request(method, path, urlencode(data or {}), headers)
            reply = connection.getresponse()
            for header in reply.headers.get_all("Set-Cookie", []):
                for name, morsel in http.cookies.SimpleCookie(header).items():
                    self._cookies[name] = morsel.value
            yield reply
            reply.close()
            connection.close()

    def get(self, path: str) -> str:
        with self.open("GET", path) as reply:
            return reply.read().decode()

    def send(self, path: str, action: str | None = None, **typed: str) -> str:
        """Submit a form of the page at ``path``; return the address it redirects to."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path))
        assert found, path
        with self.open("POST", action or path, {"csrf_token": found[1], **typed}) as reply:
            assert reply.status == 303, reply.read().decode()
            return urlsplit(reply.headers["Location"]).path

    def call(self, path: str, **parameters: Any) -> Any:
        """Call the API."""
        with self.open("POST", path, parameters) as reply:
            body = reply.read()
            assert reply.status == 200, body
            return json.loads(body) if body else None

    def register(self, smtp: FakeServer) -> str:
        """Sign in to the API as ana, and register an SMTP server in a new app; return its id."""
        self.token = self.call("/auth/login", username="ana", password=PASSWORD)["token"]
        app = self.call("/private/apps/save", name="shop", defaultfromemail="shop@example.com")
        given = {"idapp": app["_id"], "host": smtp.host, "port": smtp.port}
        made: str = self.call("/private/smtps/save", **given)["_id"]
        self.token = ""
        return made

    def check(self, smtp_id: str) -> str:
        """Press the check button; return the address of the check's page."""
        where = self.send(f"/smtps/{smtp_id}", f"/smtps/{smtp_id}/check")
        assert where.startswith("/checks/"), where
        return where
