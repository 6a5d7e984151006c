"""The overview: what needs somebody now, the worst first; and the list of all servers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from smtpweb.database.models import App, Check, Due, Smtp, new_id
from smtpweb.database.session import db, now
from tests.support.browser import Browser, Page, one_database, signed_in, words
from tests.support.counting import statements
from tests.support.people import Person


def change(app: Flask, smtp_id: str, **columns: object) -> None:
    with app.app_context():
        smtp = db.session.get_one(Smtp, smtp_id)
        for name, value in columns.items():
            setattr(smtp, name, value)
        db.session.commit()


def make(alice: Person, app_name: str, *hosts: str, **parameters: object) -> list[str]:
    idapp = alice.make_app(app_name)["_id"]
    return [str(alice.make_smtp(idapp, host=host, **parameters)["_id"]) for host in hosts]


def titles(page: Page) -> list[str]:
    """The names of the rows of the first list."""
    return [
        words(link)
        for link in page.one("main").iter("a")
        if "row-title" in (link.get("class") or "")
    ]


def test_home_leads_whoever_has_no_app_to_the_apps(browser: Browser) -> None:
    assert browser.get("/").url == "/apps"


def test_home_shows_problems_with_the_worst_first(browser: Browser, alice: Person) -> None:
    half, other = make(alice, "half", "half.example", "works.example")
    (down,) = make(alice, "zzz-down", "down.example")
    (slow,) = make(alice, "slow", "slow.example")
    (blocked,) = make(alice, "blocked", "blocked.example")
    change(alice.app, half, enabled=False)
    change(alice.app, other, judged=True)
    change(alice.app, down, enabled=False)
    change(alice.app, slow, judged=True, degraded_since=now())
    change(alice.app, blocked, uncheckable="SMTP_POLICY_PORT")
    page = browser.get("/")
    assert page.url == "/"
    assert titles(page) == [
        "down.example:25", "half.example:25", "blocked.example:25", "slow.example:25",
    ]  # fmt: skip
    assert page.text.count("cannot send: no SMTP server is active") == 1
    assert f'href="/smtps/{down}/fix"' in page.html


def test_home_names_the_cause_of_a_problem(browser: Browser, alice: Person) -> None:
    (smtp_id,) = make(alice, "shop", "down.example")
    change(alice.app, smtp_id, enabled=False)
    with alice.app.app_context():
        db.session.add(
            Check(
                smtp_id=smtp_id, smtp_version=1, ends_by=now(), finished=now(), accepted=False,
                stage="auth", code="SMTP_AUTH_REFUSED", title="Wrong user name or password",
            )
        )  # fmt: skip
        db.session.commit()
    assert "Wrong user name or password" in browser.get("/").text


def test_home_shows_nothing_of_others(alice: Person, charlie: Person) -> None:
    (smtp_id,) = make(alice, "secret-shop", "secret.example")
    change(alice.app, smtp_id, enabled=False, certificate_expires=now())
    make(charlie, "mine", "mine.example")
    theirs = signed_in(charlie.app, charlie)
    for path in ("/", "/smtps", "/smtps?provider=other", "/smtps?q=secret"):
        assert "secret" not in theirs.get(path).text.replace("q=secret", ""), path


def test_home_says_what_expires_next_and_leaves_out_what_is_off(
    browser: Browser, alice: Person
) -> None:
    soon, later, off = make(alice, "shop", "soon.example", "later.example", "off.example")
    change(alice.app, soon, certificate_expires=now() + timedelta(days=3, hours=1))
    change(alice.app, later, certificate_expires=now() + timedelta(days=60))
    change(alice.app, off, certificate_expires=now(), off_since=now())
    page = browser.get("/")
    assert titles(page) == ["soon.example:25"]
    assert "3 days left" in page.text


def test_home_says_what_is_queued_and_what_comes_next(browser: Browser, alice: Person) -> None:
    (smtp_id,) = make(alice, "shop", "a.example")
    with alice.app.app_context():
        db.session.add(Check(smtp_id=smtp_id, smtp_version=1, ends_by=now(), queued=now()))
        db.session.merge(
            Due(smtp_id=smtp_id, user_id=alice.user_id, host="a.example", attempt=0,
                next_at=now() + timedelta(minutes=30))
        )  # fmt: skip
        db.session.commit()
    text = browser.get("/").text
    assert "Queued1" in text
    assert "in 30 minutes" in text


def test_navigation_counts_problems_and_leads_to_the_overview(
    browser: Browser, alice: Person
) -> None:
    one, two = make(alice, "shop", "a.example", "b.example")
    page = browser.get("/smtps")
    assert page.links()["Overview"] == "/"
    change(alice.app, one, enabled=False)
    change(alice.app, two, enabled=False)
    page = browser.get("/smtps")
    assert page.links()["Overview 2 problems"] == "/"
    assert "(2 problems)" in words(page.one("title"))


# What a server is called that has no name of its own
NAMES = {
    "smtp.office365.com:587": "Microsoft 365 · bob@example.com",
    "smtp.office365.com:25": "Microsoft 365",
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a.example:25", "smtp.office365.com:587", "smtp.office365.com:25"]),
        ("q=OFFICE", ["smtp.office365.com:587", "smtp.office365.com:25"]),
        ("q=bob%40", ["smtp.office365.com:587"]),
        ("q=relay", ["smtp.office365.com:25"]),
        ("provider=microsoft&auth=password", ["smtp.office365.com:587"]),
        ("provider=other", ["a.example:25"]),
        ("auth=none", ["a.example:25", "smtp.office365.com:25"]),
        ("state=disabled", ["a.example:25"]),
        ("state=problems", ["a.example:25"]),
        ("certificate=7", ["smtp.office365.com:587"]),
        ("certificate=expired", []),
        ("certificate=unknown", ["a.example:25", "smtp.office365.com:25"]),
        ("sort=host", ["a.example:25", "smtp.office365.com:25", "smtp.office365.com:587"]),
        ("sort=certificate", ["smtp.office365.com:587", "a.example:25", "smtp.office365.com:25"]),
        ("sort=state&q=a.ex", ["a.example:25"]),
    ],
)
def test_list_of_servers_is_filtered_by(
    browser: Browser, alice: Person, query: str, found: list[str]
) -> None:
    first = make(alice, "A shop", "a.example")[0]
    second = make(
        alice, "B shop", "smtp.office365.com", port=587, auth="true", username="bob@example.com",
        password="x", starttls="true",
    )[0]  # fmt: skip
    make(alice, "relay", "smtp.office365.com")
    change(alice.app, first, enabled=False)
    change(alice.app, second, certificate_expires=now() + timedelta(days=5))
    page = browser.get(f"/smtps?{query}")
    assert [NAMES.get(address, address) for address in found] == titles(page)


@one_database
@pytest.mark.parametrize(
    "query",
    ["state=x", "provider=nobody", "auth=x", "certificate=8", "sort=x", "q=" + "x" * 101, "page=0",
     "q=%00"],
)  # fmt: skip
def test_filter_that_cannot_be_is_refused(browser: Browser, alice: Person, query: str) -> None:
    make(alice, "shop", "a.example")
    assert browser.get(f"/smtps?{query}", status=400).status == 400


def test_secret_user_name_is_not_found_by_its_letters(browser: Browser, alice: Person) -> None:
    (smtp_id,) = make(
        alice, "shop", "mail.example", auth="true", username="tok-123", password="tok-123"
    )
    page = browser.get("/smtps?q=tok-")
    assert smtp_id not in page.html
    assert "tok-123" not in browser.get("/smtps").html


def add_many(app: Flask, idapp: str, number: int) -> None:
    """Servers with a problem each, put in by one statement."""
    with app.app_context():
        rows = [
            {"id": new_id(), "app_id": idapp, "host": f"h{place}.example", "port": 25,
             "enabled": False, "certificate_expires": now()}
            for place in range(number)
        ]  # fmt: skip
        db.session.execute(insert(Smtp), rows)
        db.session.commit()


@pytest.mark.parametrize("path", ["/", "/smtps", "/smtps?provider=other&sort=state", "/operation"])
def test_pages_of_everything_take_the_same_few_statements_for_10000_servers(
    browser: Browser, alice: Person, path: str
) -> None:
    idapp = alice.make_app("shop")["_id"]
    add_many(alice.app, idapp, 30)
    browser.get(path)
    with statements() as few:
        browser.get(path)
    add_many(alice.app, idapp, 10_000)
    browser.get(path)  # whoever is first sums up the counters
    with statements() as many:
        page = browser.get(path)
    assert len(many) == len(few) <= 12
    assert len(page.html) < 200_000
    with alice.app.app_context():
        assert db.session.query(App).count() == 1


def test_home_shows_what_expires_next_of_certificates_passwords_and_client_secrets(
    browser: Browser, alice: Person
) -> None:
    far, plain, oauth, both = make(
        alice, "shop", "far.example", "plain.example", "oauth.example", "both.example"
    )
    change(alice.app, far, passwordexpires=now() + timedelta(days=60))
    change(alice.app, plain, passwordexpires=now() + timedelta(days=9, hours=1))
    change(alice.app, oauth, passwordexpires=now() + timedelta(days=5, hours=1), uses_oauth=True)
    change(
        alice.app, both, certificate_expires=now() + timedelta(days=20, hours=1),
        clientcertificate_expires=now() + timedelta(days=25, hours=1),
        passwordexpires=now() - timedelta(days=1),
    )  # fmt: skip
    section = browser.get("/").text.partition("Expires next")[2]
    found = [
        f"{name} {state}"
        for name, state in (
            ("both.example:25 Password · shop", "Expired"),
            ("oauth.example:25 Client secret · shop", "5 days left"),
            ("plain.example:25 Password · shop", "9 days left"),
            ("both.example:25 Certificate · shop", "20 days left"),
            ("both.example:25 Client certificate · shop", "25 days left"),
        )
    ]
    places = [section.find(text) for text in found]
    assert -1 not in places, section
    assert places == sorted(places)
    assert "far.example" not in section


def test_servers_are_filtered_by_sign_in_with_tokens(browser: Browser, alice: Person) -> None:
    plain, oauth, _ = make(alice, "shop", "plain.example", "oauth.example", "open.example")
    change(alice.app, plain, auth=True)
    change(alice.app, oauth, auth=True, uses_oauth=True)
    for wanted, host in (("password", "plain"), ("oauth", "oauth"), ("none", "open")):
        page = browser.get(f"/smtps?auth={wanted}")
        assert [title.partition(".")[0] for title in titles(page)] == [host]
