"""A headless browser: follows links, submits the real forms, rejects malformed pages.

It has cookies and CSRF protection is on; it posts what the form on the page contains, so that a
form that lacks a field, or its token, fails the test.
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from urllib.parse import urlsplit

import html5lib
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from tests.support.databases import ONE_DATABASE
from tests.support.people import PASSWORD, Person

_OWN_SCRIPTS = ("/static/", "/bootstrap/")
# For input that a form refuses before it reaches any database: once is enough.
one_database = ONE_DATABASE

_UNLABELLED = ("hidden", "submit")


class Page:
    """A response, parsed as a browser parses it."""

    def __init__(self, reply: TestResponse) -> None:
        self.status = reply.status_code
        self.headers = reply.headers
        self.url = reply.request.path
        self.address = reply.request.full_path  # with its query
        self.html = reply.text
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        self.root: ET.Element = parser.parse(self.html)
        self.refuse_if_badly_made()

    def all(self, *tags: str) -> Iterator[ET.Element]:
        """Yield the elements with these tags, in document order."""
        return (element for element in self.root.iter() if element.tag in tags)

    def one(self, tag: str) -> ET.Element:
        found = list(self.all(tag))
        assert len(found) == 1, f"{len(found)} <{tag}> on {self.url}"
        return found[0]

    @property
    def heading(self) -> str:
        return words(self.one("h1"))

    @property
    def text(self) -> str:
        return words(self.one("main"))

    def links(self) -> dict[str, str]:
        """Return the addresses of all links by link text."""
        return {words(link): link.get("href", "") for link in self.all("a")}

    def errors(self) -> dict[str, str]:
        """Return the error messages by field name; check that the summary repeats them."""
        found = {}
        for field in self.all("input", "select", "textarea", "fieldset"):
            for name in field.get("aria-describedby", "").split():
                if name.endswith("-error"):
                    message = words(self.by_id(name))
                    summary = self.root.find(".//*[@role='alert']")
                    assert summary is not None
                    assert message in words(summary), f"{message!r} is not in the summary"
                    found[field.get("name") or name.removesuffix("-error")] = message
        return found

    def by_id(self, name: str) -> ET.Element:
        found = self.root.find(f".//*[@id='{name}']")
        assert found is not None, f"nothing has the id {name!r} on {self.url}"
        return found

    def form(self, action: str | None = None) -> Form:
        """Return the form in the main part of the page, or the one submitted to ``action``."""
        forms = [Form(self, form) for form in self.one("main").iter("form")]
        if action is not None:
            forms = [form for form in forms if form.action == action]
        assert len(forms) == 1, f"{len(forms)} forms on {self.url}"
        return forms[0]

    def refuse_if_badly_made(self) -> None:
        """Check the requirements that apply to every page."""
        title, heading = words(self.one("title")), self.heading
        assert heading, "an empty h1"
        assert title.startswith(heading), f"the title {title!r} does not begin with {heading!r}"
        assert self.one("html").get("lang")
        ids = [element.attrib["id"] for element in self.root.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), f"ids twice: {sorted(ids)}"
        labelled = {label.get("for") for label in self.all("label")}
        for element in self.root.iter():
            self._refuse_element(element, set(ids), labelled)

    def _refuse_element(
        self, element: ET.Element, ids: set[str | None], labelled: set[str | None]
    ) -> None:
        shown = ET.tostring(element, encoding="unicode")[:200]
        for name, value in element.attrib.items():
            assert not name.startswith("on"), f"an event handler: {shown}"
            assert name != "style", f"an inline style: {shown}"
            assert not value.strip().lower().startswith("javascript:"), f"a script: {shown}"
            if name in ("aria-describedby", "aria-labelledby", "for"):
                assert set(value.split()) <= ids, f"refers to nothing: {shown}"
        if element.tag == "style":
            raise AssertionError("an inline style sheet")
        if element.tag == "script":
            assert (element.get("src") or "").startswith(_OWN_SCRIPTS), f"a script: {shown}"
            assert not (element.text or "").strip(), f"an inline script: {shown}"
        if element.tag == "link":
            assert (element.get("href") or "").startswith(_OWN_SCRIPTS), f"from elsewhere: {shown}"
        if element.tag == "img":
            assert element.get("alt") is not None, f"no text instead: {shown}"
        if element.tag in ("input", "select", "textarea") and "hidden" not in element.attrib:
            named = element.get("id") in labelled or element.get("aria-label")
            assert named or element.get("type") in _UNLABELLED, f"no label: {shown}"
        if element.tag in ("a", "button"):
            assert words(element) or element.get("aria-label"), f"without words: {shown}"
        if element.tag == "form" and element.get("method", "get").lower() == "post":
            names = [field.get("name") for field in element.iter("input")]
            assert "csrf_token" in names, f"without a CSRF token: {shown}"


class Form:
    """A form on the page, with the values it would submit."""

    def __init__(self, page: Page, element: ET.Element) -> None:
        self.action = element.get("action") or ""
        self.method = element.get("method", "get").lower()
        self.values: dict[str, list[str]] = {}
        self.choices: dict[str, list[str]] = {}
        self.buttons: dict[str, tuple[str, str] | None] = {}
        for field in element.iter():
            name, kind = field.get("name"), field.get("type", "text")
            if field.tag == "button" or (field.tag == "input" and kind == "submit"):
                label = words(field) or field.get("value", "")
                self.buttons[label] = (name, field.get("value", "")) if name else None
            elif field.tag == "select" and name:
                options = [option.get("value") or "" for option in field.iter("option")]
                chosen = [
                    o.get("value") or "" for o in field.iter("option") if "selected" in o.attrib
                ]
                self.choices[name] = options
                self.values[name] = chosen or options[:1]
            elif field.tag == "input" and name and kind in ("radio", "checkbox"):
                self.choices.setdefault(name, []).append(field.get("value", "on"))
                self.values.setdefault(name, [])
                if "checked" in field.attrib:
                    self.values[name].append(field.get("value", "on"))
            elif field.tag == "input" and name:
                self.values[name] = [field.get("value", "")]
            elif field.tag == "textarea" and name:
                self.values[name] = [field.text or ""]

    def fill(self, **typed: str | bool | list[str]) -> Form:
        """Fill in fields, which must exist. True and False are for check boxes."""
        for name, value in typed.items():
            assert name in self.values, f"no field {name!r} among {sorted(self.values)}"
            if isinstance(value, bool):
                self.values[name] = self.choices[name][:1] if value else []
            else:
                self.values[name] = [value] if isinstance(value, str) else value
        return self

    def value(self, name: str) -> str:
        return self.values[name][0] if self.values[name] else ""


class _Compiled(BytecodeCache):
    """Templates compiled by another test; every test has an application of its own."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


class Browser:
    """A user with a browser."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        app.jinja_env.bytecode_cache = _compiled
        self.client = app.test_client()

    def get(self, path: str, *, status: int = 200) -> Page:
        """Return a page, following redirects."""
        page = self._read(self.client.get(path, follow_redirects=True))
        assert page.status == status, f"{page.status} from {path}: {page.text}"
        return page

    def send(self, page: Page, form: Form, button: str | None = None) -> Page:
        """Press a button of a form, by default its first one, and follow redirects."""
        assert form.method == "post"
        data = {name: list(values) for name, values in form.values.items()}
        label = button or next(iter(form.buttons))
        pressed = form.buttons[label]
        if pressed:
            data[pressed[0]] = [pressed[1]]
        return self.post(form.action or page.url, data)

    def post(self, path: str, data: dict[str, list[str]]) -> Page:
        return self._read(self.client.post(path, data=data, follow_redirects=True))

    def submit(self, path: str, button: str | None = None, **typed: str | bool | list[str]) -> Page:
        """Open a page, fill in its form and submit it."""
        page = self.get(path)
        return self.send(page, page.form().fill(**typed), button)

    def press(self, page: Page, action: str) -> Page:
        """Press the button of the form that is submitted to ``action``."""
        return self.send(page, page.form(action))

    def result(self, page: Page) -> Page:
        """Return the result of the check on this page, reloading while the page requests it."""
        assert page.url.startswith("/checks/"), f"{page.url}: {page.text}"
        for _ in range(1000):
            if page.root.find(".//meta[@http-equiv='refresh']") is None:
                return page
            time.sleep(0.02)
            page = self.get(page.url)
        raise AssertionError(f"it never ended: {page.text}")

    def _read(self, reply: TestResponse) -> Page:
        assert reply.status_code < 500, f"{reply.status_code} from {reply.request.path}"
        assert reply.mimetype == "text/html", reply.mimetype
        assert reply.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        for step in reply.history:
            assert not urlsplit(step.location).netloc, f"leads elsewhere: {step.location}"
        return Page(reply)


def signed_in(app: Flask, person: Person) -> Browser:
    """Return a browser in which this person has signed in with the sign-in form."""
    browser = Browser(app)
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.client.get("/login").text)
    assert found
    data = {"csrf_token": found[1], "name": person.name, "password": PASSWORD}
    assert browser.client.post("/login", data=data).status_code == 303
    return browser


def words(element: ET.Element) -> str:
    """Return the text of an element, with whitespace collapsed."""
    return " ".join("".join(element.itertext()).split())
