"""The API's description and the API: same calls, same limits, and every answer as described."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import html5lib
import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from smtpweb import smtps, values
from smtpweb.app import create_app
from smtpweb.config import ROOT, Settings
from smtpweb.models import Check
from smtpweb.store import db, now
from smtpweb.web import openapi, wire
from tests.conftest import settings_for
from tests.fake_smtp import ca_file, fake_smtp
from tests.people import Person

DOCUMENT = openapi.document()
CALLS = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]
SCHEMAS = DOCUMENT["components"]["schemas"]
NOBODYS = "f" * 24


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def response_of(method: str, path: str, status: int) -> dict[str, Any]:
    return openapi.resolve(operation(method, path)["responses"][str(status)])


def scope_of(method: str, path: str) -> str:
    return "".join(operation(method, path)["security"][0]["token"]) if path[1] == "p" else ""


# --- the description by itself -----------------------------------------------------------------


def test_it_is_openapi_3_1() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_it_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == project["version"]
    assert DOCUMENT["info"]["license"]["identifier"] == project["license"]


def test_it_is_served_whole(app: Flask) -> None:
    reply = app.test_client().get("/openapi.json")
    assert reply.content_type == "application/json"
    assert reply.json == DOCUMENT


@pytest.mark.parametrize("base", [server["url"].rstrip("/") for server in DOCUMENT["servers"]])
def test_it_has_every_route_and_no_other(app: Flask, base: str) -> None:
    routed = {
        (method.lower(), rule.rule.removeprefix(base))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith((f"{base}/auth/", f"{base}/private/"))
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routed == set(CALLS)


def test_each_call_needs_the_scope_that_its_view_asks_for(app: Flask) -> None:
    needed = {
        rule.rule: app.view_functions[rule.endpoint].needs_scope  # type: ignore[attr-defined]
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/private/")
    }
    assert needed == {path: scope_of(method, path) for method, path in CALLS if path[1] == "p"}
    assert operation("post", "/auth/login")["security"] == []


def test_each_post_takes_the_same_in_every_form() -> None:
    for method, path in CALLS:
        if method == "post":
            content = operation(method, path)["requestBody"]["content"]
            assert set(content) == {openapi.FORM, "multipart/form-data", "application/json"}
            assert len({media["schema"]["$ref"] for media in content.values()}) == 1


def test_names_and_spellings_are_those_that_are_read() -> None:
    described = SCHEMAS["SaveSmtp"]["properties"]
    aliases = {name: of["x-alias-of"] for name, of in described.items() if "x-alias-of" in of}
    assert aliases == wire._ALIASES
    assert set(described) - set(aliases) == {"idsmtp", "idapp", *wire._SMTP_RULES}


# --- limits, defaults, required parameters -----------------------------------------------------


def test_numbers_and_words_are_those_of_the_rules() -> None:
    for schema in ("SaveSmtp", "Smtp"):
        ports, priorities = (SCHEMAS[schema]["properties"][name] for name in ("port", "priority"))
        assert (ports["minimum"], ports["maximum"]) == values.PORTS
        assert (priorities["minimum"], priorities["maximum"]) == values.PRIORITIES
    for schema in ("SaveApp", "App"):
        assert set(SCHEMAS[schema]["properties"]["strategy"]["enum"]) == set(values.STRATEGIES)
    stages = SCHEMAS["FailedCheck"]["properties"]["stage"]["enum"]
    assert stages == [str(stage) for stage in smtps.Stage]
    sides = SCHEMAS["FailedCheck"]["properties"]["side"]["enum"]
    assert set(sides) == {str(side) for side in smtps.Side} - {"none"}
    for scope in values.SCOPES:
        assert scope in DOCUMENT["components"]["securitySchemes"]["token"]["description"]


def of_length(schema: dict[str, Any], length: int, name: str) -> str:
    """An otherwise acceptable value of this length."""
    if schema.get("format") == "email":
        domain = "d" * 60 + "." + "e" * 60 + "." + "f" * 60
        return f"{'a' * (length - len(domain) - 5)}@{domain}.org"
    if name == "host":
        return ("h" * 49 + ".") * 5 + "i" * (length - 250)
    return "x" * length


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path, schema in (("/private/apps/save", "SaveApp"), ("/private/smtps/save", "SaveSmtp"))
        for name, described in SCHEMAS[schema]["properties"].items()
        if "maxLength" in described
    ],
)
def test_the_longest_value_is_accepted_and_one_more_character_is_not(
    alice: Person, path: str, name: str
) -> None:
    schema = SCHEMAS["SaveApp" if "apps" in path else "SaveSmtp"]["properties"][name]
    given = {"idapp": alice.make_app()["_id"], "host": "h.example", "port": 25, "name": "other"}
    most = schema["maxLength"]
    assert alice.post(path, **given | {name: of_length(schema, most, name)}).status_code == 200
    reply = alice.post(path, **given | {name: of_length(schema, most + 1, name)})
    assert reply.status_code == 400
    told = [error["parameter"] for error in reply.json["errors"]]
    assert told == [schema.get("x-alias-of", name)]


def test_page_numbers_and_sizes_end_where_described(alice: Person) -> None:
    limits = {
        node["name"]: (node["schema"]["minimum"], node["schema"]["maximum"])
        for node in operation("get", "/private/apps/findAll")["parameters"]
    }
    for name, (least, most) in limits.items():
        for value, status in ((least, 200), (most, 200), (least - 1, 400), (most + 1, 400)):
            given = {"page": 0, "size": 5} | {name: value}
            assert alice.get("/private/apps/findAll", **given).status_code == status


def test_defaults_are_those_that_are_stored(alice: Person) -> None:
    app = alice.make_app()
    smtp = alice.make_smtp(app["_id"])
    assert app["strategy"] == SCHEMAS["SaveApp"]["properties"]["strategy"]["default"]
    described = {
        "sslTls" if name == "ssltls" else name: schema["default"]
        for name, schema in SCHEMAS["SaveSmtp"]["properties"].items()
        if "default" in schema
    }
    assert len(described) == 5
    assert {name: smtp[name] for name in described} == described


def test_required_parameters_are_required_and_no_others(alice: Person) -> None:
    for method, path in CALLS:
        required = {
            one.name
            for call in openapi.calls()
            if call.path == path
            for one in call.parameters
            if one.required
        }
        required |= {"/private/apps/save": {"name"}}.get(path, set())  # to create one
        if path in ("/private/smtps/remove", "/private/smtps/check"):
            required = {"idapp"}  # or idsmtp
        reply = alice.request(method.upper(), path)
        assert reply.status_code == 400
        assert {error["parameter"] for error in reply.json["errors"]} == required, path


# --- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """An answer of the API."""

    method: str
    path: str
    reply: TestResponse

    @property
    def where(self) -> tuple[str, str, int]:
        return self.method, self.path, self.reply.status_code


class Story:
    """Somebody who does with the API all that it can do, and keeps what it answered."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.client = person.app.test_client(use_cookies=False)
        self.seen: list[Seen] = []

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = "",
        app: Flask | None = None,
        **options: Any,
    ) -> TestResponse:
        client = app.test_client(use_cookies=False) if app else self.client
        token = self.person.token if token == "" else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = client.open(path, method=method.upper(), headers=headers, **options)
        self.seen.append(Seen(method, path, reply))
        return reply

    def example(self, path: str, **changes: Any) -> Any:
        """Make the call as its example does, with ids that exist."""
        (method,) = DOCUMENT["paths"][path]
        if method == "get":
            nodes = map(openapi.resolve, operation(method, path)["parameters"])
            given = {node["name"]: node["example"] for node in nodes} | changes
            reply = self.ask(method, path, query_string=given)
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
        self.example("/private/smtps/save", idapp=app, port="70000", username="")
        self.check(app, smtp)
        self.example("/private/smtps/remove", idsmtp=smtp)
        self.example("/private/apps/remove", idapp=app)
        for path in DOCUMENT["paths"]:
            if path.startswith("/private/") and not path.endswith("/findAll"):
                changes = {"idapp": NOBODYS} if "/apps/" in path or "ByApp" in path else {}
                self.example(path, **changes or {"idapp": NOBODYS, "idsmtp": NOBODYS})

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
            db.session.get_one(smtps.Smtp, smtp).checking_until = now() + checks.CHECK_WINDOW
            db.session.commit()
        self.example("/private/smtps/check", idsmtp=smtp)
        with self.person.app.app_context():
            row = db.session.get_one(smtps.Smtp, smtp)
            row.checking_until = None
            for _ in range(checks.CHECKS_PER_USER):
                db.session.add(
                    Check(
                        smtp_id=smtp, user_id=self.person.user_id, smtp_version=1, ends_by=now(),
                        finished=now(), accepted=True, stage="accepted",
                    )
                )  # fmt: skip
            db.session.commit()
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
            patch.setattr(wire, "_pairs", lambda: 1 / 0)  # a bug, for once
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


def faults(response: dict[str, Any], reply: TestResponse) -> list[str]:
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
    text = re.sub(r"\b[0-9a-f]{16}\b", "NUMBER", text)
    text = re.sub(r"smw_[\w-]{43}", "TOKEN", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]{12}", "TIME", text)


def test_every_answer_is_as_described_and_every_description_is_answered(
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


def test_every_example_is_what_was_really_answered(answers: list[Seen]) -> None:
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
                told = anywhere if "$ref" in node else given[method, path, int(status)]
                assert example in told, (method, path, status)


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


# --- for people --------------------------------------------------------------------------------


def test_the_page_has_a_section_for_each_call(app: Flask) -> None:
    page = app.test_client().get("/docs").text
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert len(tree.findall(".//h1")) == 1
    sections = {one.get("id"): "".join(one.itertext()) for one in tree.iter("section")}
    assert list(sections) == [call.name for call in openapi.calls()]
    for call in openapi.calls():
        words = sections[call.name].split()
        assert call.path in words
        assert {one.name for one in call.parameters} <= set(words)
        assert {answer.status for answer in call.answers} <= set(words)
        assert "curl" in words
    # Nothing from elsewhere, and no script in the page.
    for node in tree.iter():
        for name in ("src", "href"):
            assert not (node.get(name) or "").startswith(("http", "//"))
        assert not any(name.startswith("on") or name == "style" for name in node.attrib)
    assert all(not (script.text or "").strip() for script in tree.iter("script"))


def test_the_manual_names_each_call_with_its_parameters_and_every_error() -> None:
    manual = (ROOT / "docs" / "api.md").read_text()
    for call in openapi.calls():
        _, found, rest = manual.partition(f"### {call.method} {call.path}\n")
        assert found, call.path
        section = rest.partition("\n### ")[0].partition("\n## ")[0]
        assert "$ curl" in section
        for one in call.parameters:
            for name in (one.name, *one.spellings):
                assert f"`{name}`" in section, (call.path, name)
    statuses = {status for method, path in CALLS for status in operation(method, path)["responses"]}
    for status in statuses - {"200"}:
        assert f"\n| {status} |" in manual, status
