"""Set up an account, apps and SMTP servers over the API."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.serving import clean_environment, flask, installation_settings

SECRET = "correct horse battery staple"


@dataclass
class Client:
    """A client of a service that speaks the API."""

    url: str
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, **form: object) -> Any:
        request = urllib.request.Request(
            self.url + path, urlencode(form).encode(), self.headers if self.token else {}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def get(self, path: str) -> tuple[bytes, dict[str, str]]:
        request = urllib.request.Request(self.url + path, headers=self.headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read(), dict(reply.headers)


def signed_in(url: str, folder: Path, settings: dict[str, str], name: str = "ana") -> Client:
    """Create an account of an installation, and sign in over the API."""
    flask(
        clean_environment(folder, **(installation_settings(folder) | settings)),
        "users", "create", name, "--email", f"{name}@bench.example", "--password-stdin",
        given=SECRET,
    )  # fmt: skip
    client = Client(url)
    client.token = client.post("/auth/login", username=name, password=SECRET)["token"]
    return client


def app_with(client: Client, servers: int) -> str:
    """Create an app with SMTP servers that authenticate; return its id."""
    app = client.post("/private/apps/save", name=f"{servers} servers", testemail="a@example.com")
    for number in range(servers):
        client.post(
            "/private/smtps/save",
            idapp=app["_id"], host=f"smtp{number}.example.net", port=587, priority=number,
            auth="true", starttls="true", username=f"shop{number}@example.com",
            password=f"correct horse {number}", defaultfromemail=f"shop{number}@example.com",
            defaultfromname="Shop",
        )  # fmt: skip
    app_id: str = app["_id"]
    return app_id
