"""The API's description and the API: the same calls, names, limits and defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

import smtpweb
from smtpweb import validators
from smtpweb.config import ROOT
from smtpweb.mailcheck import Side, Stage
from smtpweb.registry import fields
from smtpweb.web.api import openapi
from smtpweb.web.http import auth
from tests.support.people import Person

DOCUMENT = openapi.document()
TO_CREATE = {"/private/apps/save": {"name"}, "/private/alarms/save": {"kind", "target"}}
CALLS = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]
SCHEMAS = DOCUMENT["components"]["schemas"]
# Members of an SMTP or an app that nobody sends
NOT_GIVEN = {"_id", "idapp", "iduser", "numerrors", "created", "modified", "status"}


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def scope_of(method: str, path: str) -> str:
    return "".join(operation(method, path)["security"][0]["token"]) if path[1] == "p" else ""


def test_document_is_openapi_3_1() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_document_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == smtpweb.__version__
    assert DOCUMENT["info"]["license"]["identifier"] == project["license"]


def test_document_is_served_whole(app: Flask) -> None:
    reply = app.test_client().get("/openapi.json")
    assert reply.content_type == "application/json"
    assert reply.json == DOCUMENT


@pytest.mark.parametrize("base", [server["url"].rstrip("/") for server in DOCUMENT["servers"]])
def test_document_has_every_route_and_no_other(app: Flask, base: str) -> None:
    routed = {
        (method.lower(), rule.rule.removeprefix(base))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith((f"{base}/auth/", f"{base}/private/"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routed == set(CALLS)


def test_calls_need_the_scope_that_their_view_asks_for(app: Flask) -> None:
    needed = {
        rule.rule: auth.needs_of(app.view_functions[rule.endpoint]).scope
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/private/")
    }
    assert needed == {path: scope_of(method, path) for method, path in CALLS if path[1] == "p"}
    assert operation("post", "/auth/login")["security"] == []


def test_posts_take_the_same_in_every_form() -> None:
    for method, path in CALLS:
        if method == "post":
            content = operation(method, path)["requestBody"]["content"]
            assert set(content) == {openapi.FORM, "multipart/form-data", "application/json"}
            assert len({media["schema"]["$ref"] for media in content.values()}) == 1


OBJECTS = [("SaveSmtp", "Smtp", fields.SMTP), ("SaveApp", "App", fields.APP)]


@pytest.mark.parametrize(("sent", "shown", "table"), OBJECTS, ids=["smtp", "app"])
def test_names_and_spellings_are_those_of_the_table(
    sent: str, shown: str, table: Mapping[str, fields.Field]
) -> None:
    described = SCHEMAS[sent]["properties"]
    aliases = {name: of["x-alias-of"] for name, of in described.items() if "x-alias-of" in of}
    assert aliases == {
        spelling: field.name for field in table.values() for spelling in field.spellings
    }
    names = set(table) | (set(fields.OAUTH) if table is fields.SMTP else set())
    assert set(described) - set(aliases) - {"idsmtp", "idapp"} == names
    members = [name for name in SCHEMAS[shown]["required"] if name not in NOT_GIVEN]
    documented = [field for field in table.values() if not field.extra]
    assert members == [field.shown_as or field.name for field in documented]
    assert set(members) <= set(SCHEMAS[shown]["properties"])


@pytest.mark.parametrize(("sent", "shown", "table"), OBJECTS, ids=["smtp", "app"])
def test_defaults_and_requirements_are_those_of_the_table(
    sent: str, shown: str, table: Mapping[str, fields.Field]
) -> None:
    described = SCHEMAS[sent]["properties"]
    defaults = {name: of["default"] for name, of in described.items() if "default" in of}
    assert defaults == fields.defaults(table)
    required = set(SCHEMAS[sent].get("required", ())) - {"idapp"}
    # The name of an app is needed for a new one only, which a schema cannot say
    assert required == {name for name, field in table.items() if field.required} - {"name"}


# --- limits, defaults, required parameters -----------------------------------------------------


def test_numbers_and_words_are_those_of_the_rules() -> None:
    for name in ("SaveSmtp", "Smtp"):
        ports, priorities = (SCHEMAS[name]["properties"][key] for key in ("port", "priority"))
        assert (ports["minimum"], ports["maximum"]) == validators.PORTS
        assert (priorities["minimum"], priorities["maximum"]) == validators.PRIORITIES
    for name in ("SaveApp", "App"):
        assert set(SCHEMAS[name]["properties"]["strategy"]["enum"]) == set(validators.STRATEGIES)
    stages = SCHEMAS["FailedCheck"]["properties"]["stage"]["enum"]
    assert stages == [str(stage) for stage in Stage]
    sides = SCHEMAS["FailedCheck"]["properties"]["side"]["enum"]
    assert set(sides) == {str(side) for side in Side} - {"none"}
    for scope in validators.SCOPES:
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
def test_longest_value_is_accepted_and_one_more_character_is_not(
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
        required |= TO_CREATE.get(path, set())
        if path in ("/private/smtps/remove", "/private/smtps/check"):
            required = {"idapp"}  # or idsmtp
        reply = alice.request(method.upper(), path)
        assert reply.status_code == 400
        assert {error["parameter"] for error in reply.json["errors"]} == required, path
