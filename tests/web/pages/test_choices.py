"""Fields with choices: what is not among them is refused, what is not sent stays as it is."""

from __future__ import annotations

import pytest

from tests.support.browser import Browser, Page, one_database
from tests.support.people import Person

# The pages with such fields, without the id of the app or server
PAGES = {
    "/apps/new": ("strategy", "checkevery", "emailevery"),
    "/apps/{app}/edit": ("strategy", "checkevery", "emailevery"),
    "/apps/{app}/smtps/new": ("encryption", "mechanism", "oauthprovider", "oauthclientauth"),
    "/smtps/{smtp}/edit": ("encryption", "mechanism", "oauthprovider", "oauthclientauth"),
    "/smtps/{smtp}/transfer": ("app",),
    "/apps/{app}/maintenance": ("hours", "repeat", "smtp"),
    "/explain": ("provider",),
}
CASES = [(path, name) for path, names in PAGES.items() for name in names]


def send(browser: Browser, alice: Person, idapp: str, path: str, **changed: list[str]) -> Page:
    """Send the form of a page, valid except for these values."""
    smtp = alice.make_smtp(idapp)["_id"]
    page = browser.get(path.format(app=idapp, smtp=smtp))
    form = page.form()
    for name, value in {"name": "new", "host": "mail.example.net", "port": "25"}.items():
        if form.values.get(name) == [""]:
            form.values[name] = [value]
    if "username" in form.values:
        form.values["auth"] = []
    if "text" in form.values:
        form.values["text"] = ["535 5.7.8 no"]
    assert set(changed) <= set(form.values)
    form.values |= changed
    return browser.send(page, form)


@one_database
@pytest.mark.parametrize(("path", "name"), CASES)
@pytest.mark.parametrize("value", [" ", "nothing", "\u0663"])
def test_value_that_is_no_choice_is_refused(
    browser: Browser, alice: Person, idapp: str, path: str, name: str, value: str
) -> None:
    page = send(browser, alice, idapp, path, **{name: [value]})
    assert page.status == 422
    assert list(page.errors()) == [name]


@pytest.mark.parametrize(("path", "name"), CASES)
def test_choice_that_is_not_sent_breaks_nothing(
    browser: Browser, alice: Person, idapp: str, path: str, name: str
) -> None:
    assert send(browser, alice, idapp, path, **{name: []}).status in (200, 422)


@pytest.mark.parametrize(
    ("path", "name"), [("/apps/new", "checkevery"), ("/apps/new", "emailevery")]
)
def test_empty_value_is_refused_where_it_is_no_choice(
    browser: Browser, alice: Person, idapp: str, path: str, name: str
) -> None:
    page = send(browser, alice, idapp, path, **{name: [""]})
    assert page.status == 422
    assert list(page.errors()) == [name]


def test_schedule_of_an_app_that_is_not_sent_stays_as_it_is(
    browser: Browser, alice: Person
) -> None:
    idapp = alice.make_app("slow", checkevery=240, emailevery="never")["_id"]
    page = send(browser, alice, idapp, "/apps/{app}/edit", checkevery=[], emailevery=[])
    assert page.status == 200
    app = alice.get("/private/apps/findById", idapp=idapp).json
    assert (app["checkevery"], app["emailevery"]) == (240, "never")
