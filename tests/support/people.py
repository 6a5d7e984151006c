"""The users of smtpweb in tests: people with an account, and their actions over the API."""

from __future__ import annotations

import json
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from smtpweb.accounts import tokens
from smtpweb.database.models import User
from smtpweb.database.session import db

PASSWORD = "correct horse battery staple"
# Hashing is slow on purpose, so tests use the least that Argon2 can do.
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_HASH = QUICK_HASHER.hash(PASSWORD)


class Reply(TestResponse):
    """A response of the API: JSON, or empty."""

    @property
    def json(self) -> Any:
        return self.get_json()


class Visitor:
    """An API client, with or without a token; checks the requirements for every response."""

    def __init__(self, app: Flask, token: str | None = None) -> None:
        self.app = app
        self.token = token

    def request(self, method: str, path: str, **options: Any) -> Reply:
        headers = dict(options.pop("headers", {}))
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        client = FlaskClient(self.app, Reply, use_cookies=False)
        reply = client.open(path, method=method, headers=headers, **options)
        assert isinstance(reply, Reply)
        assert reply.status_code != 500, reply.text
        if reply.status_code >= 400:
            assert reply.mimetype == "application/problem+json", reply.text
            assert reply.json["status"] == reply.status_code
            assert reply.data.isascii()
            assert b"\n" not in reply.data
        return reply

    def get(self, path: str, **parameters: Any) -> Reply:
        return self.request("GET", path, query_string=parameters)

    def post(self, path: str, **parameters: Any) -> Reply:
        return self.request("POST", path, data=parameters)

    # The calls that most tests start with.

    def make_app(self, name: str = "shop", **parameters: Any) -> dict[str, Any]:
        reply = self.post("/private/apps/save", name=name, **parameters)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = json.loads(reply.data)
        return shown

    def make_smtp(self, idapp: str, **parameters: Any) -> dict[str, Any]:
        given = {"host": "mail.example.net", "port": 25, "idapp": idapp} | parameters
        reply = self.post("/private/smtps/save", **given)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = json.loads(reply.data)
        return shown

    def smtp(self, idsmtp: str) -> dict[str, Any]:
        reply = self.get("/private/smtps/findById", idsmtp=idsmtp)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = json.loads(reply.data)
        return shown

    def smtps(self, idapp: str) -> list[dict[str, Any]]:
        reply = self.get("/private/smtps/findByApp", idapp=idapp)
        assert reply.status_code == 200, reply.text
        shown: list[dict[str, Any]] = json.loads(reply.data)
        return shown


class Person(Visitor):
    """A user with an account, using a sign-in token."""

    token: str

    def __init__(self, app: Flask, user_id: str, name: str, token: str) -> None:
        super().__init__(app, token)
        self.user_id = user_id
        self.name = name
        self.password = PASSWORD

    def with_scopes(self, *scopes: str) -> Visitor:
        """Return the same person, using a personal token."""
        with self.app.app_context():
            user = db.session.get_one(User, self.user_id)
            return Visitor(self.app, tokens.personal_token(user, "test", scopes))


def make_person(app: Flask, name: str, *, is_admin: bool = False) -> Person:
    with app.app_context():
        user = User(
            name=name,
            name_key=name,
            email=f"{name}@example.com",
            password_hash=_HASH,
            is_admin=is_admin,
        )
        db.session.add(user)
        db.session.commit()
        token = tokens.login_token(user)
        return Person(app, user.id, name, token)
