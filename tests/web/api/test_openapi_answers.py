"""Every answer of the API is as described, and everything described is really answered."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from smtpweb.app import create_app
from smtpweb.checking import limits
from smtpweb.config import Settings
from smtpweb.database.models import Check, Smtp, StartedWork
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.web.api import openapi, parameters
from tests.conftest import settings_for
from tests.support.factories import use_share
from tests.support.fake_certificates import ca_file
from tests.support.fake_smtp import fake_smtp
from tests.support.oauth_servers import fake_oauth, refusal, token
from tests.support.people import Person, Reply

DOCUMENT = openapi.document()
CALLS = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]
NOBODYS = "f" * 24


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def response_of(method: str, path: str, status: int) -> dict[str, Any]:
    return openapi.resolve(operation(method, path)["responses"][str(status)])


@dataclass(frozen=True)
class Seen:
    """An answer of the API."""

    method: str
    path: str
    reply: Reply

    @property
    def where(self) -> tuple[str, str, int]:
        return self.method, self.path, self.reply.status_code


class Story:
    """Somebody who does with the API all that it can do, and keeps what it answered."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.seen: list[Seen] = []

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = "",
        app: Flask | None = None,
        **options: Any,
    ) -> Reply:
        client = FlaskClient(app or self.person.app, Reply, use_cookies=False)
        token = self.person.token if token == "" else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        reply = client.open(path, method=method.upper(), headers=headers, **options)
        assert isinstance(reply, Reply)
        self.seen.append(Seen(method, path, reply))
        return reply

    def example(self, path: str, headers: Any = None, **changes: Any) -> Any:
        """Make the call as its example does, with ids that exist."""
        (method,) = DOCUMENT["paths"][path]
        if method == "get":
            nodes = map(openapi.resolve, operation(method, path)["parameters"])
            given = {node["name"]: node["example"] for node in nodes if node["in"] == "query"}
            reply = self.ask(method, path, query_string=given | changes, headers=headers or {})
        else:
            content = operation(method, path)["requestBody"]["content"]
            reply = self.ask(method, path, data=content[openapi.FORM]["example"] | changes)
        return reply.json if reply.data else None

    def live(self) -> None:
        """Every call with every outcome that is up to the caller."""
        self.example("/auth/login")
        app = self.example("/private/apps/save")["_id"]
        self.example("/private/apps/findAll")
        self.example("/private/apps/findById", idapp=app)
        self.example("/private/apps/save")  # the name is taken
        smtp = self.example("/private/smtps/save", idapp=app)["_id"]
        self.example("/private/smtps/findById", idsmtp=smtp)
        self.example("/private/smtps/findByApp", idapp=app)
        self.example("/private/smtps/findById", {"If-None-Match": "*"}, idsmtp=smtp)
        self.example("/private/smtps/findByApp", {"If-None-Match": "*"}, idapp=app)
        self.example("/private/smtps/disable", idsmtp=smtp)
        self.example("/private/smtps/enable", idsmtp=smtp)
        self.example("/private/smtps/save", idapp=app, port="70000", username="")
        alarm = self.example("/private/alarms/save", idapp=app)["_id"]
        self.example("/private/alarms/findByApp", idapp=app)
        self.example("/private/alarms/test", idalarm=alarm)
        self.example("/private/smtps/status", idapp=app)
        self.check(app, smtp)
        self.example("/private/alarms/test", idalarm=alarm)  # too many
        mail = {"idapp": app, "kind": "email", "target": "ops@yourserver.net"}
        self.reuse_key("/private/alarms/save", mail, mail | {"label": "other"})
        self.example("/private/alarms/remove", idalarm=alarm)
        self.watch(app, smtp)
        self.sign_in_with_tokens(app, smtp)
        self.reuse_key("/private/apps/save", {"name": "once"}, {"name": "twice"})
        one = {"idapp": app, "host": "smtp.yourserver.net", "port": 587}
        self.reuse_key("/private/smtps/save", one, one | {"port": 465})
        self.example("/private/smtps/explain")
        self.example("/private/smtps/remove", idsmtp=smtp)
        self.example("/private/apps/remove", idapp=app)
        known = services(self.person.app)
        none = limits.Allowance(0, 600)
        known.limits = dataclasses.replace(known.limits, explanations=none)
        for path in DOCUMENT["paths"]:
            if path.startswith("/private/") and not path.endswith("/findAll"):
                nobodys = {"idapp": NOBODYS}
                if "/apps/" not in path and "ByApp" not in path:
                    nobodys["idsmtp"] = NOBODYS
                self.example(path, **nobodys)

    def watch(self, app: str, smtp: str) -> None:
        for page in (0, 99):
            self.example("/private/smtps/checks", idsmtp=smtp, page=page, size=1)
        job = self.example("/private/smtps/checkByApp", idapp=app)["idjob"]
        self.example("/private/smtps/progress", idjob=job)
        self.example("/private/smtps/progress", idjob="no job")
        with self.person.app.app_context():
            db.session.get_one(Smtp, smtp).enabled = True
            db.session.commit()
        self.example("/private/smtps/status", idapp=app)
        with self.person.app.app_context():
            db.session.query(Check).filter(Check.queued.is_not(None)).delete()
            db.session.commit()

    def sign_in_with_tokens(self, app: str, smtp: str) -> None:
        expired = "AADSTS7000222: The provided client secret keys are expired."
        with fake_oauth(refusal("invalid_client", expired), token("the-access-token")) as server:
            given = {
                "oauthgrant": "client_credentials",
                "oauthtokenurl": server.token_url,
                "oauthclientid": "an-app",
                "oauthclientsecret": "s3cret",
                "oauthexpires": "2027-11-30",
            }
            self.example("/private/smtps/save", idapp=app, idsmtp=smtp, password="", **given)
            self.example("/private/smtps/token", idsmtp=smtp)
            with self.person.app.app_context():
                use_share(self.person, 120, kind=limits.TOKEN)
            self.example("/private/smtps/token", idsmtp=smtp)
            with self.person.app.app_context():
                db.session.query(StartedWork).filter_by(kind=limits.TOKEN).delete()
                db.session.commit()
            self.example("/private/smtps/token", idsmtp=smtp)
            self.example("/private/smtps/findById", idsmtp=smtp)
            self.example("/private/smtps/findByApp", idapp=app)

    def reuse_key(self, path: str, *bodies: dict[str, Any]) -> None:
        for body in bodies:
            self.ask("post", path, data=body, headers={"Idempotency-Key": "key-1"})

    def check(self, app: str, smtp: str) -> None:
        login = ("user@yourserver.net", "smtppassword1234")
        refusal = "535 5.7.8 Authentication credentials invalid"
        with fake_smtp(tls="starttls", login=login) as good:
            self.move(app, smtp, good.host, good.port)
            self.example("/private/smtps/check", idsmtp=smtp)
        with fake_smtp(tls="starttls", login=login, replies={"AUTH": refusal}) as bad:
            self.move(app, smtp, bad.host, bad.port)
            self.example("/private/smtps/check", idsmtp=smtp)
        self.example("/private/smtps/findById", idsmtp=smtp)
        with self.person.app.app_context():
            db.session.get_one(Smtp, smtp).checking_until = now() + timedelta(minutes=10)
            db.session.commit()
        self.example("/private/smtps/check", idsmtp=smtp)
        with self.person.app.app_context():
            row = db.session.get_one(Smtp, smtp)
            row.checking_until = None
            db.session.commit()
            use_share(self.person, 30)
        self.example("/private/smtps/check", idsmtp=smtp)

    def move(self, app: str, smtp: str, host: str, port: int) -> None:
        given = {"idapp": app, "idsmtp": smtp, "host": host, "port": port}
        self.example("/private/smtps/save", **given)

    def suffer(self, monkeypatch: pytest.MonkeyPatch, lost: Flask) -> None:
        """Every call with every outcome that is not about what it asks for."""
        for method, path in CALLS:
            self.ask(method, path)
            self.ask(method, path, token=None)
            self.ask(method, path, token="smw_unknown")
            self.ask(method, path, app=lost, data={"username": "alice", "password": "x"})
            if method == "post":
                self.ask(method, path, data=b"x" * (2 * 1024 * 1024), content_type=openapi.FORM)
                self.ask(method, path, data=b"<x/>", content_type="text/xml")
        for _ in range(11):
            self.ask("post", "/auth/login", data={"username": "mallory", "password": "x"})
        with monkeypatch.context() as patch:
            patch.setattr(parameters, "_pairs", lambda: 1 / 0)  # a bug, for once
            for method, path in CALLS:
                self.ask(method, path)


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, ca_file=ca_file())


@pytest.fixture
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application, with its storage gone."""
    nowhere = tmp_path_factory.mktemp("lost") / "nowhere" / "smtpweb.db"
    app = create_app(settings_for(f"sqlite:///{nowhere}"))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def answers(alice: Person, lost: Flask, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    story = Story(alice)
    story.live()
    story.suffer(monkeypatch, lost)
    return story.seen


def closed(node: Any, *, open_: bool = False) -> Any:
    """The schema, with members that it does not describe refused: clients must expect more ones.

    For us one that is missing in the description is a mistake.
    """
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return closed(openapi.resolve(node), open_=open_)
    copy = {
        name: [closed(one, open_=True) for one in inner] if name == "allOf" else closed(inner)
        for name, inner in node.items()
    }
    if "properties" in node and not open_:
        copy["unevaluatedProperties"] = False
    return copy


def faults(response: dict[str, Any], reply: Reply) -> list[str]:
    """In what an answer differs from its description."""
    found = [
        f"no {name}" for name in response.get("headers", {}) if name not in reply.headers
    ]  # the media type comes next
    content = response.get("content")
    if content is None:
        return found + (["a body"] if reply.data else [])
    if reply.mimetype not in content:
        return [*found, f"media type {reply.mimetype}"]
    validator = Draft202012Validator(closed(content[reply.mimetype]["schema"]))
    return found + [error.message for error in validator.iter_errors(json.loads(reply.data))]


def masked(body: Any) -> str:
    """The body without what is different every time."""
    text = json.dumps(body)
    text = re.sub(r"\b[0-9a-f]{24}\b", "ID", text)
    text = re.sub(r"ID-[0-9]{13}\b", "JOB", text)
    text = re.sub(r'"milliseconds": \{[^}]*\}', '"milliseconds": {}', text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "NUMBER", text)
    text = re.sub(r'"certificatePin": "[\w+/]{43}="', '"certificatePin": "PIN"', text)
    text = re.sub(r"whsec_[\w+/=]+", "SECRET", text)
    text = re.sub(r"smw_[\w-]{43}", "TOKEN", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]{12}", "TIME", text)


def test_answers_are_as_described_and_descriptions_are_all_answered(
    answers: list[Seen],
) -> None:
    described = {
        (method, path, int(status))
        for method, path in CALLS
        for status in operation(method, path)["responses"]
    }
    assert {one.where for one in answers} == described
    for one in answers:
        assert faults(response_of(*one.where), one.reply) == [], (one.where, one.reply.text)


def test_examples_are_what_was_really_answered(answers: list[Seen]) -> None:
    given: dict[tuple[str, str, int], set[str]] = {}
    anywhere = set()
    for one in answers:
        if one.reply.data:
            told = masked(json.loads(one.reply.data))
            given.setdefault(one.where, set()).add(told)
            anywhere.add(told)
    for method, path in CALLS:
        for status, node in operation(method, path)["responses"].items():
            for media in openapi.resolve(node).get("content", {}).values():
                example = masked(media["example"])
                # Answers that many calls share have one example.
                known = anywhere if "$ref" in node else given[method, path, int(status)]
                assert example in known, (method, path, status)


def test_answers_that_differ_from_the_description_are_noticed(alice: Person) -> None:
    app = alice.make_app()
    reply = alice.get("/private/apps/findById", idapp=app["_id"])
    described = response_of("get", "/private/apps/findById", 200)
    assert faults(described, reply) == []
    for changes in ({"strategy": "X"}, {"created": "2026-01-01T00:00:00Z"}, {"surprise": 1}):
        reply.data = json.dumps(app | changes)
        assert len(faults(described, reply)) == 1
    reply.data = json.dumps({name: app[name] for name in app if name != "name"})
    assert len(faults(described, reply)) == 1
