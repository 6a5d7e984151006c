"""English and Spanish: both are whole, hold the same facts, and every page speaks one of them."""

from __future__ import annotations

import dataclasses
import json
import re
import string
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo
from flask import Flask
from werkzeug.routing import Rule

from smtpweb.accounts import tokens
from smtpweb.app import create_app
from smtpweb.database.models import Check, User
from smtpweb.database.secret_box import digest_of
from smtpweb.database.session import db
from smtpweb.mailcheck import Outcome, Report, Stage, Step
from smtpweb.mailcheck.core.types import AddressOutcome, Notice
from smtpweb.mailcheck.diagnosis.catalogue import causes as all_causes
from smtpweb.mailcheck.diagnosis.facts import WARNINGS
from smtpweb.mailcheck.diagnosis.matcher import diagnose
from smtpweb.mailcheck.diagnosis.rendering import OPTIONAL, names_in
from smtpweb.validators import LANGUAGES
from smtpweb.web.presentation import causes, labels, times
from tests.conftest import settings_for
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.examples import EXAMPLES, seen
from tests.support.factories import SECRET, for_server, make_check, only_check
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person
from translations import collect

FILES = collect.files()
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.parent.name)
WANTED = collect.template()


def pairs(message: Message) -> Iterator[tuple[str, str]]:
    """Each English text with what stands for it."""
    if isinstance(message.id, str):
        yield message.id, str(message.string)
    else:
        assert isinstance(message.string, tuple | list)
        for number, text in enumerate(message.string):
            yield message.id[min(number, 1)], text


def facts(text: str) -> set[str]:
    """What a text names in the two ways of the house, and its marks."""
    named = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    return named | set(re.findall(r"%\(\w+\)[sd]|%(?!\()|`[^`]*`|</?[a-z][^>]*>", text))


def test_languages_but_english_have_a_file_each() -> None:
    assert {path.parent.parent.name for path in FILES} == set(LANGUAGES) - {"en"}


@EACH
def test_texts_of_the_pages_are_all_translated(path: Path) -> None:
    catalog = collect.read(path)
    told = {(message.id, message.context) for message in catalog if message.id}
    wanted = {(message.id, message.context) for message in WANTED if message.id}
    assert wanted - told == set(), "run `make words` and translate what is new"
    assert told - wanted == set(), "run `make words`: these are gone from the pages"
    assert collect.lacking(catalog) == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


@EACH
def test_translation_names_the_same_facts(path: Path) -> None:
    for message in collect.read(path):
        if not message.id:
            continue
        known = facts("".join(message.id))
        for english, text in pairs(message):
            if isinstance(message.id, str):
                assert facts(text) == facts(english), text
            else:  # "one app" needs no number in it
                assert facts(text) <= known, text
            assert text == text.strip() and text, english


@EACH
def test_compiled_catalogue_equals_its_source(path: Path) -> None:
    def texts(catalog: Catalog) -> set[tuple[str, str]]:
        return {("".join(one.id), "".join(one.string or ())) for one in catalog if one.id}

    compiled = read_mo(BytesIO(path.with_suffix(".mo").read_bytes()))
    assert texts(compiled) == texts(collect.read(path)), "run `make words`"


# --- what a check found --------------------------------------------------------------------


def report_of(example: dict[str, Any]) -> Report:
    found = seen(example)
    told = diagnose(found)
    return Report(
        accepted=False,
        stage=found.stage,
        code=told.id,
        title=told.title,
        meaning=told.meaning,
        advice=told.steps,
        temporary=told.temporary,
        side=told.side,
        facts=told.facts,
    )


@pytest.fixture(scope="module")
def bare_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application that no test asks for its database."""
    return create_app(settings_for(f"sqlite:///{tmp_path_factory.mktemp('words')}/unused.db"))


@pytest.fixture
def spanish(bare_app: Flask) -> Iterator[None]:
    """A page in Spanish is being made."""
    with bare_app.test_request_context("/login", headers={"Accept-Language": "es"}):
        yield


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize(("cause", "example"), EXAMPLES)
def test_cause_is_said_in_spanish_with_the_facts_of_the_check(
    cause: str, example: dict[str, Any]
) -> None:
    report = report_of(example)
    entry = next(one for one in all_causes() if one.id == cause)
    told = causes.said(report)
    assert told
    given = [(entry.title, report.title, told.title), (entry.meaning, report.meaning, told.meaning)]
    steps = [
        step for step in entry.steps
        if not any(name not in report.facts for name in names_in(step) & OPTIONAL)
    ]  # fmt: skip
    given += zip(steps, report.advice, told.advice, strict=True)
    for template, english, text in given:
        assert text != english or english == "STARTTLS"
        assert "{" not in text
        for name in names_in(template):
            value = report.facts.get(name, "")
            if name not in ("stage", "outcomes") and value not in set(causes.texts()):
                assert value in text
    row = Check(code=report.code, title=report.title, facts=report.facts)
    assert causes.title(row) == told.title


@pytest.mark.usefixtures("spanish")
def test_warnings_and_addresses_of_a_report_are_said_in_spanish() -> None:
    words = {"day": "2026-12-01", "days": "9", "address": "192.0.2.1", "outcome": "timed out"}
    report = dataclasses.replace(
        report_of(EXAMPLES[0][1]),
        warnings=tuple(Notice(warning, words) for warning in WARNINGS),
        addresses=(AddressOutcome("192.0.2.1", "refused"), AddressOutcome("::1", "EWHATEVER")),
    )
    told = causes.said(report)
    assert told
    texts = [str(notice) for notice in told.warnings]
    assert not set(texts) & {str(notice) for notice in report.warnings}
    assert "La dirección 192.0.2.1 no ha respondido: sin respuesta a tiempo." in texts
    assert [one.outcome for one in told.addresses] == ["rechazada", "EWHATEVER"]


@pytest.mark.usefixtures("spanish")
def test_check_whose_entry_is_gone_keeps_its_words() -> None:
    report = dataclasses.replace(report_of(EXAMPLES[0][1]), code="SMTP_GONE", title="Long ago")
    said = causes.said(report)
    assert said
    assert said.title == "Long ago"


@pytest.mark.usefixtures("spanish")
def test_cause_of_a_check_from_before_facts_were_kept_shows_its_stored_text() -> None:
    stored = report_of(EXAMPLES[0][1]).to_dict() | {"title": "Long ago", "warnings": ["Noticed."]}
    del stored["facts"]
    told = causes.said(Report.from_dict(stored))
    assert told
    assert (told.title, [str(notice) for notice in told.warnings]) == ("Long ago", ["Noticed."])


# --- the pages -----------------------------------------------------------------------------

# Words that no Spanish text holds. Names of commands and what people typed are set apart by tags.
ENGLISH = re.compile(
    r"\b(the|and|your|with|this|not|was|were|from|are|of|for|to|is|it|check|failed|priority|server"
    r"|password|user|name|settings|language|account|save|add|edit|remove|mail|page|test)\b",
    re.IGNORECASE,
)
_NOT_PROSE = {"code", "pre", "blockquote", "script", "option"}
_NAMES = re.compile(
    # commands, examples, scopes of tokens, libraries, and names of parameters before their fault
    r"\S+@\S+|MAIL FROM|RCPT TO|\S*example\.com|Mail Send|^page:|PRIORITY|Flask-Mail|Jakarta Mail"
    r"|(read|write|check|secrets) \(\w.*?\)"
)


def english_in(page: Page) -> list[str]:
    """What a page says in English."""
    found = []

    def look(element: Element, apart: bool) -> None:
        apart = apart or element.tag in _NOT_PROSE or element.get("lang") == "en"
        if not apart and element.text:
            found.append(element.text)
        names = ("aria-label", "title", "placeholder", "alt", "data-done", "data-failed")
        found.extend(element.get(name) or "" for name in names)
        for child in element:
            look(child, apart)
            if not apart and child.tail:
                found.append(child.tail)

    look(page.root, False)
    return [text.strip() for text in found if ENGLISH.search(_NAMES.sub("", text.strip()))]


def in_spanish(browser: Browser) -> Browser:
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "es-MX,es;q=0.9,en;q=0.5"
    return browser


@one_database
def test_pages_are_in_spanish_for_a_spanish_browser(alice: Person, idapp: str) -> None:
    browser = in_spanish(signed_in(alice.app, alice))
    replies = {"AUTH": "535 5.7.8 Username and Password not accepted"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        given = for_server(server, smtp_secret="other")
        page = browser.submit(
            f"/apps/{idapp}/smtps/new",
            "Guardar y enviar un correo de prueba a alice@example.com",
            **given,
        )
        failed = browser.result(page)
    with alice.app.app_context():
        token = "x" * 43
        others = [
            make_check(alice, idapp, host="one.example.net"),
            make_check(alice, idapp, finished=False, ends_in=60, host="two.example.net"),
            make_check(alice, idapp, finished=False, ends_in=-1, host="three.example.net"),
        ]
        others[0].stage = "accepted"
        others[0].arrival_digest = digest_of(token)
        alice_user = db.session.get_one(User, alice.user_id)
        tokens.personal_token(alice_user, "uno", ["read"])
        token_id = tokens.personal_tokens(alice_user)[0].id
        db.session.commit()
        checks = [only.id for only in others] + [failed.url.rpartition("/")[2]]
        smtps = {only.smtp_id for only in db.session.query(Check)}
    ids: dict[str, Collection[str]] = {
        "app_id": [idapp],
        "smtp_id": smtps,
        "check_id": checks,
        "token": [token],
    }
    ids["token_id"] = [token_id]
    ids["provider"] = ["ses", "other"]
    ids["count"] = ["1"]
    ids["channel_id"] = [
        alice.post("/private/alarms/save", idapp=idapp, kind=kind, target=target).json["_id"]
        for kind, target in (("email", "a@example.com"), ("webhook", "https://a.example/x"))
    ]
    seen_pages = 0
    for rule in alice.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint.split(".")[0] in (
            "static",
            "bootstrap",
        ):
            continue
        for path in paths_of(rule, ids):
            reply = browser.client.get(path)
            if reply.mimetype != "text/html" or reply.status_code in (301, 302, 303):
                reply.close()
                continue
            page = Page(reply)
            assert page.one("html").get("lang") == "es", path
            assert reply.headers["Content-Language"] == "es"
            assert "Accept-Language" in reply.headers["Vary"]
            assert english_in(page) == [], path
            seen_pages += 1
    assert seen_pages > 20
    assert browser.get("/", status=200).one("html").get("lang") == "es"


def paths_of(rule: Rule, ids: dict[str, Collection[str]]) -> Iterator[str]:
    if "private" in rule.rule:
        return
    found = [rule.rule]
    for name in rule.arguments - set(rule.defaults or ()):
        found = [
            re.sub(rf"<[^>]*{name}>", value, path) for path in found for value in sorted(ids[name])
        ]
    yield from found


@one_database
@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/checks/" + "0" * 24, 404), ("/apps?page=x", 400), ("/logout", 405)],
)
def test_error_page_speaks_spanish(alice: Person, path: str, status: int) -> None:
    page = in_spanish(signed_in(alice.app, alice)).get(path, status=status)
    assert page.one("html").get("lang") == "es"
    assert english_in(page) == []


@one_database
def test_form_errors_are_in_spanish(alice: Person, idapp: str) -> None:
    browser = in_spanish(signed_in(alice.app, alice))
    pages = [
        browser.submit(
            f"/apps/{idapp}/smtps/new", "Guardar sin comprobar", host="smtp://a:1",
            port="x", smtp_login="a\x00", defaultfromemail="nobody",
        ),
        browser.submit("/apps/new", name="shop", testemail="a b@example.com"),
        browser.submit("/apps/new", name="", testemail="a..b@example.com"),
    ]  # fmt: skip
    page = browser.get("/account")
    wrong = {"old_password": "no", "password": "password1234", "again": "password1234"}
    pages += [
        browser.send(page, page.form("/account/password").fill(**given))
        for given in (wrong, wrong | {"password": "", "again": "x"})
    ]
    for page in pages:
        assert page.status == 422
        assert page.errors()
        assert english_in(page) == []


@one_database
def test_failed_check_is_in_spanish_on_its_page_and_in_english_in_the_api(
    alice: Person, idapp: str
) -> None:
    browser = in_spanish(signed_in(alice.app, alice))
    replies = {"AUTH": "535 5.7.8 Username and Password not accepted"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        given = for_server(server, smtp_secret=SECRET)
        new = browser.get(f"/apps/{idapp}/smtps/new")
        button = next(label for label in new.form().buttons if label.startswith("Guardar y"))
        page = browser.result(browser.send(new, new.form().fill(**given), button))
        idsmtp = only_check(alice.app).smtp_id
        reply = alice.request(
            "POST", "/private/smtps/check", data={"idsmtp": idsmtp},
            headers={"Accept-Language": "es"},
        )  # fmt: skip
    events = browser.client.get(f"{page.url}/progress").text
    assert json.loads(events.rpartition("data: ")[2])["said"] == "La comprobación ha terminado."
    assert page.heading == "Nombre de usuario o contraseña incorrectos"
    assert "El servidor no acepta este nombre de usuario con esta contraseña." in page.text
    assert "535 5.7.8 Username and Password not accepted" in page.text
    row = browser.get(f"/apps/{idapp}").text
    assert "en AUTH: Nombre de usuario o contraseña incorrectos" in row
    assert reply.json["title"] == "Wrong user name or password"
    assert reply.headers.get("Content-Language") is None


@one_database
@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("es", "es"), ("es-419,en;q=0.1", "es"), ("de,fr;q=0.9", "en"), ("en;q=0.5,es;q=0.9", "es"),
     ("*", "en"), ("", "en"), ("es;q=0,en", "en"), ("x;q=,,es", "es")],
)  # fmt: skip
def test_visitor_is_spoken_to_as_the_browser_asks(app: Flask, asked: str, spoken: str) -> None:
    client = app.test_client()
    reply = client.get("/docs", headers={"Accept-Language": asked})
    assert Page(reply).one("html").get("lang") == spoken
    assert ("Todas las llamadas" in reply.text) == (spoken == "es")


@one_database
def test_first_visit_speaks_spanish(app: Flask) -> None:
    browser = in_spanish(Browser(app))
    page = browser.submit("/setup", code="x", name="", email="nobody", password="p", again="q")
    assert page.one("html").get("lang") == "es"
    assert page.errors()
    assert english_in(page) == []


@pytest.mark.parametrize(
    ("seconds", "english", "spanish_words"),
    [
        (1, "1 second", "1 segundo"), (59, "59 seconds", "59 segundos"),
        (60, "1 minute", "1 minuto"), (180, "3 minutes", "3 minutos"),
        (3600, "1 hour", "1 hora"), (86400, "1 day", "1 día"),
        (6 * 86400, "6 days", "6 días"), (10 * 86400, "10 days", "10 días"),
        (90 * 86400, "90 days", "90 días"),
    ],
)  # fmt: skip
def test_span_of_time_is_in_the_unit_that_fits_days_at_most(
    bare_app: Flask, seconds: int, english: str, spanish_words: str
) -> None:
    for language, words in (("en", english), ("es", spanish_words)):
        with bare_app.test_request_context("/login", headers={"Accept-Language": language}):
            assert times.span(seconds) == words


def test_stage_of_the_access_token_is_listed_only_where_it_happened(app: Flask) -> None:
    def names(outcome: Outcome, *, tokens: bool = False) -> set[Stage]:
        with app.test_request_context():
            return {one.stage for one in labels.rungs([Step(Stage.TOKEN, outcome)], tokens=tokens)}

    for outcome in (Outcome.SKIPPED, Outcome.NOT_REACHED):
        assert names(outcome) == set()
        assert names(outcome, tokens=True) == {Stage.TOKEN}
    for outcome in (Outcome.UNDER_WAY, Outcome.DONE, Outcome.FAILED):
        assert names(outcome) == {Stage.TOKEN}
