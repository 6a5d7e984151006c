"""The lists of apps and of SMTPs: how each stands, filters, orders, pages, what they cost."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import timedelta
from urllib.parse import unquote

import pytest
from sqlalchemy import insert, select, text

from smtpweb.database.models import App, Check, Smtp, new_id
from smtpweb.database.session import db, now
from smtpweb.registry import overview
from tests.support.browser import Browser, one_database, signed_in, words
from tests.support.counting import statements
from tests.support.databases import ON_SQLITE
from tests.support.lists import add_check, add_smtp, fill_app, hosts, rows
from tests.support.people import Person

MANY = 10_000


# --- how each stands -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "told"),
    [
        # + works, - disabled, ? not checked, ! cannot be checked
        ("", "No SMTP server yet"),
        ("-", "No active SMTP server: this app cannot send"),
        ("-++", "2 of 3 work, using a backup in use: 1.example.net:587 · 1 disabled"),
        ("-?", "Using a backup that has not been checked yet"),
        ("??", "Not checked yet in use: 0.example.net:587"),
        ("+", "It works in use: 0.example.net:587"),
        ("++", "All 2 work"),
        ("+?", "1 of 2 works in use: 0.example.net:587 · 1 not checked yet"),
        ("+-", "1 of 2 works in use: 0.example.net:587 · 1 disabled"),
        ("!", "Cannot be checked in use: 0.example.net:587 · 1 cannot be checked"),
        ("!!", "Cannot be checked in use: 0.example.net:587 · 2 cannot be checked"),
        ("-!", "Using a backup that cannot be checked"),
        ("!-", "Cannot be checked in use: 0.example.net:587 · 1 cannot be checked · 1 disabled"),
        ("+!", "1 of 2 works in use: 0.example.net:587 · 1 cannot be checked"),
        ("?!", "1 of 2 has a problem, the others have not been checked yet"),
    ],
)
def test_app_list_says_the_state_of_each_app(
    browser: Browser, alice: Person, idapp: str, states: str, told: str
) -> None:
    with alice.app.app_context():
        for number, state in enumerate(states):
            add_smtp(
                idapp, number, enabled=state != "-", judged=state == "+",
                uncheckable="SMTP_POLICY_NO_FROM" if state == "!" else None,
            )  # fmt: skip
    (row,) = rows(browser.get("/apps"))
    assert f"alice@example.com {told}" in row


def test_row_says_what_came_of_the_last_check_and_draws_the_last_thirty(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        smtp_id = add_smtp(idapp, 1, enabled=False)
        for minutes in range(10, 50):
            add_check(smtp_id, minutes, accepted=True)
        add_check(smtp_id, 5, accepted=None, finished=None, stage=None)
        add_check(smtp_id, 3, accepted=False, title="App password required", code="SMTP_AUTH")
    page = browser.get(f"/apps/{idapp}")
    (row,) = rows(page)
    assert "Failed 3 minutes ago at AUTH: App password required" in row
    assert page.links()["Fix…"] == f"/smtps/{smtp_id}/fix"
    (drawing,) = (link for link in page.all("a") if "row-bar" in link.get("class", ""))
    assert drawing.get("href") == f"/smtps/{smtp_id}#history"
    assert drawing.get("aria-label") == "30 checks, 28 accepted, 1 failed, 1 without a result"
    (image,) = drawing
    kind, _, picture = unquote(image.get("src") or "").partition(",")
    assert (kind, image.get("alt")) == ("data:image/svg+xml", "")
    accepted, failed, other = [one.get("d") or "" for one in ET.fromstring(picture)]
    # the newest at the right; the shapes differ, not the colours alone
    assert failed == "M145.5 5l3.5 6m0-6l-3.5 6"
    assert other == "M142 8h1"
    assert accepted.count("v12") == 28


def test_mark_of_a_bar_leads_to_the_check_that_was_so_many_before(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    with alice.app.app_context():
        smtp_id, other = add_smtp(idapp, 1), add_smtp(idapp, 2)
        for minutes in range(40):
            add_check(smtp_id, minutes, accepted=True)
            add_check(other, minutes, accepted=True)
        checks = db.session.scalars(
            select(Check.id).where(Check.smtp_id == smtp_id).order_by(Check.started.desc())
        ).all()
    for count, expected in ((0, 0), (7, 7), (29, 29), (30, 29), (10**30, 29)):
        page = browser.get(f"/checks/{checks[0]}/earlier/{count}")
        assert page.url == f"/checks/{checks[expected]}"
    assert browser.get(f"/checks/{checks[5]}/earlier/2").url == f"/checks/{checks[7]}"
    assert browser.get(f"/checks/{checks[38]}/earlier/9").url == f"/checks/{checks[39]}"
    signed_in(alice.app, charlie).get(f"/checks/{checks[0]}/earlier/1", status=404)
    browser.get(f"/checks/{checks[0]}/earlier/-1", status=404)


def test_smtp_shows_its_record_and_how_long_its_certificate_lasts(
    browser: Browser, alice: Person, idapp: str
) -> None:
    report = {
        "accepted": True, "stage": "accepted", "code": "SMTP_ACCEPTED", "title": "Accepted",
        "meaning": "", "advice": [], "temporary": False, "side": "none", "tls": {
            "version": "TLSv1.3", "cipher": "x", "subject": "CN=mail.example.net", "names": [],
            "issuer": "y", "not_after": (now() + timedelta(days=9.5)).isoformat(), "days_left": 40,
        },
    }  # fmt: skip
    with alice.app.app_context():
        smtp_id = add_smtp(idapp, 1)
        db.session.get_one(Smtp, smtp_id).created = now() - timedelta(days=50)
        for days in (40, 3, 2, 1):
            add_check(smtp_id, days * 1440, accepted=days != 3)
        add_check(smtp_id, 1, accepted=True, report_json=report)
    shown = browser.get(f"/smtps/{smtp_id}").text
    assert "5 checks, 4 accepted, 1 failed" in shown
    assert "75% 3 of 4" in shown
    assert "9 days left CN=mail.example.net" in shown


# --- filters, orders, pages ----------------------------------------------------------------


def test_apps_are_filtered_and_sorted_by_the_address(browser: Browser, alice: Person) -> None:
    with alice.app.app_context():
        for minutes, (name, enabled) in enumerate(
            [("Bazaar", True), ("Ärzte", False), ("azimuth 100%", None)]
        ):
            app = App(
                user_id=alice.user_id, name=name, testemail="a@example.com",
                created=now() - timedelta(minutes=minutes),
            )  # fmt: skip
            db.session.add(app)
            db.session.commit()
            if enabled is not None:
                add_smtp(app.id, 1, enabled=enabled)

    def names(query: str) -> list[str]:
        page = browser.get(f"/apps{query}")
        links = [link for link in page.all("a") if "row-title" in link.get("class", "")]
        return [words(link) for link in links]

    assert sorted(names("")) == ["Bazaar", "azimuth 100%", "Ärzte"]
    assert names("?q=AZ&sort=name") == ["azimuth 100%", "Bazaar"]
    assert names("?q=ÄRZ") == names("?q=ärz") == ["Ärzte"]
    assert names("?q=0%25") == ["azimuth 100%"]
    assert names("?q=%25z") == []  # a sign of LIKE is a letter like any other
    assert names("?sort=state") == ["Ärzte", "azimuth 100%", "Bazaar"]
    assert names("?sort=created") == ["Bazaar", "Ärzte", "azimuth 100%"]
    assert names("?state=problems&sort=state") == ["Ärzte", "azimuth 100%"]


def test_smtps_are_filtered_and_sorted_by_the_address(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        add_smtp(idapp, 3)
        add_smtp(idapp, 1, judged=False)
        add_smtp(idapp, 4, uncheckable="SMTP_POLICY_PORT")
        down = add_smtp(idapp, 2, enabled=False)
        add_check(down, 1, accepted=False)
        db.session.get_one(Smtp, down).username = "Postmaster"
        db.session.commit()

    def shown(query: str) -> list[str]:
        return hosts(browser.get(f"/apps/{idapp}{query}"))

    assert shown("") == ["1", "2", "3", "4"]
    assert shown("?state=uncheckable") == ["4"]
    assert shown("?state=active") == ["3"]
    assert shown("?state=disabled") == ["2"]
    assert shown("?state=unchecked") == ["1"]
    assert shown("?q=3.EXAMPLE.net:587") == ["3"]
    assert shown("?q=postm") == ["2"]
    assert shown("?sort=checked") == ["2", "1", "3", "4"]
    assert shown("?sort=host&state=") == ["1", "2", "3", "4"]


@one_database
@pytest.mark.parametrize("query", ["state=x", "sort=x", "q=a%00b", "page=x", "q=" + "x" * 101])
def test_list_parameters_that_make_no_sense_are_a_page_that_says_so(
    browser: Browser, idapp: str, query: str
) -> None:
    for path in ("/apps", f"/apps/{idapp}"):
        assert query.partition("=")[0] in browser.get(f"{path}?{query}", status=400).text


@one_database
def test_empty_list_says_why_and_what_to_do(browser: Browser, alice: Person, idapp: str) -> None:
    page = browser.get("/apps?q=nothing")
    assert "No app matches this filter." in page.text
    assert browser.get(page.links()["Show all apps"]).links()["shop"]
    with alice.app.app_context():
        add_smtp(idapp, 1)
    assert "No app has a problem" in browser.get("/apps?state=problems").text
    page = browser.get(f"/apps/{idapp}?state=disabled")
    assert "No SMTP server of this app matches this filter." in page.text
    page = browser.get(page.links()["Show all SMTP servers"])
    assert hosts(page) == ["1"]
    assert "Back to the first page" in browser.get(f"/apps/{idapp}?page=9").links()


# --- what they cost ------------------------------------------------------------------------


def test_smtp_list_of_ten_thousand_takes_no_more_statements_and_marks_the_one_in_use(
    browser: Browser, alice: Person, idapp: str
) -> None:
    fill_app(alice, idapp, 5, 0)
    with statements() as few:
        browser.get(f"/apps/{idapp}")
    fill_app(alice, idapp, MANY, 60)
    with alice.app.app_context():
        db.session.query(Smtp).filter(Smtp.port == 25, Smtp.priority == 10).update(
            {"enabled": Smtp.host.not_in([f"{n}.example.net" for n in range(60)])}
        )
        db.session.commit()
    with statements() as many:
        first = browser.get(f"/apps/{idapp}")
    assert len(few) == len(many) <= 15, many
    assert not [one for one in many if "report" in one or "progress" in one]
    assert len(rows(first)) == 50
    assert not [row for row in rows(first) if "in use" in row]
    second = browser.get(first.links()["Next"])
    assert ["in use" in row for row in rows(second)].index(True) == 15  # five more come before it
    assert sum("in use" in row for row in rows(second)) == 1
    with statements() as far:
        last = browser.get(f"/apps/{idapp}?page=199&sort=host&state=active&q=example")
    assert len(far) == len(few)
    assert browser.get(last.links()["Previous"]).links()["Next"].count("=") == 4
    assert f"({5 + 60} problems)" in words(first.one("title"))


def test_app_list_of_ten_thousand_takes_no_more_statements(
    browser: Browser, alice: Person, idapp: str
) -> None:
    def grow(many: int) -> None:
        with alice.app.app_context():
            ids = [new_id() for _ in range(many)]
            db.session.execute(
                insert(App),
                [
                    {"id": one, "user_id": alice.user_id, "name": one, "testemail": "a@b.example"}
                    for one in ids
                ],
            )
            db.session.execute(
                insert(Smtp),
                [
                    {"id": new_id(), "app_id": one, "host": "h", "port": 25, "enabled": False}
                    for one in ids
                ],
            )
            db.session.execute(text("ANALYZE"))  # as PostgreSQL itself does within a minute
            db.session.commit()

    grow(4)
    with statements() as few:
        browser.get("/apps?state=problems&sort=state&q=0")
    grow(MANY)
    with statements() as many:
        page = browser.get("/apps?state=problems&sort=state&q=0")
    assert len(few) == len(many) <= 15, many
    assert len(rows(page)) == 50
    follow = browser.get(page.links()["Next"])
    assert follow.one("h1").text == "Apps"
    assert follow.by_id("filter-q").get("value") == "0"


@ON_SQLITE
def test_bar_reads_no_more_of_a_long_history_than_it_draws(alice: Person, idapp: str) -> None:
    """The plan of the statement: a range of the index (smtp_id, started), never all checks."""
    with alice.app.app_context():
        smtp_id = add_smtp(idapp, 1)
        with statements() as seen:
            overview.marks([smtp_id])
        (statement,) = seen
        plan = db.session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {statement}", ("",) * statement.count("?")
        )
        told = [row[3] for row in plan]
    assert [one for one in told if "ix_check_smtp_id_started (smtp_id=? AND started>?)" in one], (
        told
    )
    assert not [one for one in told if one.startswith("SCAN check")], told


# --- the icon ------------------------------------------------------------------------------


def icon_and_title(browser: Browser, path: str, status: int = 200) -> tuple[str, str]:
    page = browser.get(path, status=status)
    icons: list[ET.Element] = [link for link in page.all("link") if link.get("rel") == "icon"]
    return (icons[0].get("href") or "").partition("?")[0], words(page.one("title"))


@one_database
@pytest.mark.parametrize(("enabled", "uncheckable"), [(False, None), (True, "SMTP_POLICY_PORT")])
def test_icon_is_red_and_the_title_says_so_while_there_is_a_problem(
    browser: Browser,
    alice: Person,
    charlie: Person,
    idapp: str,
    enabled: bool,
    uncheckable: str | None,
) -> None:
    with alice.app.app_context():
        smtp_id = add_smtp(idapp, 1)
    assert icon_and_title(browser, "/apps") == ("/static/icon.svg", "Apps · smtpweb")
    with alice.app.app_context():
        smtp = db.session.get_one(Smtp, smtp_id)
        smtp.enabled, smtp.uncheckable = enabled, uncheckable
        db.session.commit()
    for path in ("/apps", f"/smtps/{smtp_id}", "/account"):
        icon, title = icon_and_title(browser, path)
        assert icon == "/static/icon-broken.svg"
        assert title.endswith("· smtpweb (1 problem)")
    assert icon_and_title(browser, "/nothing", 404)[0] == "/static/icon.svg"
    assert icon_and_title(signed_in(alice.app, charlie), "/apps")[0] == "/static/icon.svg"
