"""The pages of apps, SMTPs and checks, as people meet them in a browser."""

from __future__ import annotations

import base64
import html
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from smtpweb import checks
from smtpweb.models import App, Check, Smtp
from smtpweb.store import db, now
from tests.browser import Browser, one_database, signed_in
from tests.counting import statements
from tests.fake_smtp import FakeServer, fake_smtp
from tests.people import Person

SECRET = 'Zwölf <b>Boxkämpfer</b> & "Söhne"'
SAVE, CHECK = "Save without checking", "Save and send a test mail to alice@example.com"
NOBODYS = "0" * 24


@pytest.fixture
def browser(alice: Person) -> Browser:
    return signed_in(alice.app, alice)


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app("shop", defaultfromemail="shop@example.com")["_id"]
    return made


def typed(**changes: Any) -> dict[str, Any]:
    """What is typed into the form of a new SMTP."""
    given = {
        "host": "mail.example.net",
        "port": "587",
        "encryption": "starttls",
        "smtp_login": "shop",
        "smtp_secret": SECRET,
    }
    return given | changes


def for_server(server: FakeServer, **changes: Any) -> dict[str, Any]:
    """What is typed for a server that is really there."""
    login, password = server.knobs["login"]
    given = typed(
        host=server.host, port=str(server.port), encryption="none", smtp_login=login,
        smtp_secret=password,
    )  # fmt: skip
    return given | changes


def only_smtp(app: Flask) -> Smtp:
    with app.app_context():
        return db.session.query(Smtp).one()


def count(app: Flask, model: type[Any]) -> int:
    with app.app_context():
        return db.session.query(model).count()


# --- apps ----------------------------------------------------------------------------------


def test_the_first_page_is_the_list_of_apps(browser):
    page = browser.get("/")
    assert page.url == "/apps"
    assert page.links()["Create the first app"] == "/apps/new"


def test_an_app_is_created_and_leads_to_its_first_smtp(browser, alice):
    page = browser.submit(
        "/apps/new", name="  shop ", defaultfromname="The shop", strategy="RANDOM"
    )
    assert page.heading == "shop"
    assert "Add the first SMTP" in page.links()
    made = alice.get("/private/apps/findAll", page=0, size=9).json["content"][0]
    assert made["name"] == "shop"
    assert made["testemail"] == "alice@example.com"
    assert made["defaultfromemail"] is None
    assert made["defaultfromname"] == "The shop"
    assert made["strategy"] == "RANDOM"


@one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 101),
        ("name", "a\x00b"),
        ("name", "a\r\nb"),
        ("name", "=?utf-8?q?x?="),
        ("testemail", "nobody"),
        ("testemail", "a@example.com\r\nBcc: b@example.com"),
        ("testemail", f"{'a' * 250}@example.com"),
        ("defaultfromemail", "a@example.com, b@example.com"),
        ("defaultfromname", "a\nb"),
        ("strategy", "LOTTERY"),
    ],
)
def test_a_bad_app_form_names_the_field_and_saves_nothing(browser, alice, field, value):
    page = browser.submit("/apps/new", **({"name": "shop"} | {field: value}))
    assert page.status == 422
    assert list(page.errors()) == [field]
    assert count(alice.app, App) == 0
    if field != "name":
        assert page.form().value("name") == "shop"


def test_a_name_that_is_taken_is_said_at_the_name(browser, idapp):
    page = browser.submit("/apps/new", name="shop", defaultfromname="kept")
    assert page.status == 422
    assert "another app named" in page.errors()["name"]
    assert page.form().value("defaultfromname") == "kept"


def test_an_app_is_edited(browser, alice, idapp):
    page = browser.get(f"/apps/{idapp}/edit")
    assert page.form().value("defaultfromemail") == "shop@example.com"
    page = browser.send(page, page.form().fill(name="store", defaultfromemail=""))
    assert page.heading == "store"
    made = alice.get("/private/apps/findById", idapp=idapp).json
    assert (made["name"], made["defaultfromemail"]) == ("store", None)


def test_an_app_changed_meanwhile_is_not_overwritten_unknowingly(browser, alice, idapp):
    form = browser.get(f"/apps/{idapp}/edit")
    alice.post("/private/apps/save", idapp=idapp, name="renamed")
    page = browser.send(form, form.form().fill(name="mine"))
    assert page.status == 409
    assert "Stored now: renamed" in page.text
    assert page.form().value("name") == "mine"
    assert alice.get("/private/apps/findById", idapp=idapp).json["name"] == "renamed"
    assert browser.send(page, page.form()).heading == "mine"  # knowingly it may be


def test_the_removal_of_an_app_asks_first_and_says_what_goes_with_it(browser, alice, idapp):
    alice.make_smtp(idapp, host="one.example.net")
    page = browser.get(f"/apps/{idapp}/remove")
    assert "1 SMTP" in page.text
    assert "one.example.net:25" in page.text
    assert count(alice.app, App) == 1
    page = browser.send(page, page.form())
    assert (page.url, count(alice.app, App), count(alice.app, Smtp)) == ("/apps", 0, 0)
    assert "shop was removed" in page.text


def test_each_app_in_the_list_says_how_it_stands(browser, alice):
    made = {
        name: alice.make_app(name)["_id"] for name in ("a-none", "b-dead", "c-reserve", "d-fine")
    }
    for name, states in (("b-dead", [0]), ("c-reserve", [0, 1, 1]), ("d-fine", [1])):
        for number, enabled in enumerate(states):
            smtp = alice.make_smtp(made[name], host=f"{number}.example.net", priority=number)
            with alice.app.app_context():
                db.session.get_one(Smtp, smtp["_id"]).enabled = bool(enabled)
                db.session.commit()
    text = browser.get("/apps").text
    parts = [text[text.index(name) :] for name in made]
    assert "No SMTP yet" in parts[0].split("b-dead")[0]
    assert "mails will not be sent 0 of 1 active" in parts[1].split("c-reserve")[0]
    assert "Running on reserve 2 of 3 active · in use: 1.example.net:25" in parts[2]
    assert "Active 1 of 1 active · in use: 0.example.net:25" in parts[3]


def test_a_long_list_of_apps_has_pages(browser, alice):
    with alice.app.app_context():
        db.session.add_all(
            App(user_id=alice.user_id, name=f"app {number:03}", testemail="a@example.com")
            for number in range(51)
        )
        db.session.commit()
    first = browser.get("/apps")
    assert "app 049" in first.text
    assert "app 050" not in first.text
    second = browser.get(first.links()["Next"])
    assert "app 050" in second.text
    assert browser.get(second.links()["Previous"]).text == first.text
    assert "nothing on this page" in browser.get("/apps?page=9").text


@one_database
@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "٣", "99999999999", ""])
def test_a_page_that_is_no_number_is_a_clear_error(browser, page):
    assert "page" in browser.get(f"/apps?page={page}", status=400).text


# --- SMTPs ---------------------------------------------------------------------------------


def test_an_smtp_is_saved_without_checking(browser, alice, idapp):
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(host=" mail.example.net "))
    assert page.heading == "mail.example.net:587"
    assert "Active, not checked yet" in page.text
    (smtp,) = alice.smtps(idapp)
    assert (smtp["host"], smtp["port"], smtp["username"]) == ("mail.example.net", 587, "shop")
    assert (smtp["auth"], smtp["starttls"], smtp["sslTls"]) == (True, True, False)
    assert (smtp["password"], smtp["priority"]) == (SECRET, 10)
    assert count(alice.app, Check) == 0


@pytest.mark.parametrize(
    ("encryption", "starttls", "ssltls"),
    [("starttls", True, False), ("implicit", False, True), ("none", False, False)],
)
def test_one_choice_of_encryption_becomes_two_flags(
    browser, alice, idapp, encryption, starttls, ssltls
):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(encryption=encryption))
    (smtp,) = alice.smtps(idapp)
    assert (smtp["starttls"], smtp["sslTls"]) == (starttls, ssltls)
    page = browser.get(f"/smtps/{smtp['_id']}/edit")
    assert page.form().value("encryption") == encryption


@one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", ""),
        ("host", "smtp://mail.example.net"),
        ("host", "mail.example.net:25"),
        ("host", "127.1"),
        ("host", "a\x00b"),
        ("host", "mail.example.net\r\nQUIT"),
        ("host", "x" * 300),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "1e9"),
        ("port", "٣"),
        ("port", ""),
        ("priority", str(2**63)),
        ("priority", "-1"),
        ("encryption", "rot13"),
        ("smtp_login", "a\r\nb"),
        ("smtp_login", "x" * 1025),
        ("smtp_login", ""),
        ("smtp_secret", "a\x00b"),
        ("smtp_secret", "x" * 1025),
        ("smtp_secret", ""),
        ("defaultfromemail", "nobody"),
        ("defaultfromemail", "a@example.com\r\nBcc: b@example.com"),
        ("defaultfromname", "a\nb"),
        ("defaultfromname", "x" * 201),
    ],
)
def test_a_bad_smtp_form_names_the_field_and_saves_nothing(browser, alice, idapp, field, value):
    page = browser.submit(
        f"/apps/{idapp}/smtps/new", SAVE, **typed(**{"defaultfromname": "kept", field: value})
    )
    assert page.status == 422
    assert list(page.errors()) == [field]
    assert count(alice.app, Smtp) == 0
    if field != "defaultfromname":
        assert page.form().value("defaultfromname") == "kept"


def test_text_that_is_not_utf8_is_refused(browser, alice, idapp):
    token = browser.get(f"/apps/{idapp}/smtps/new").form().value("csrf_token")
    reply = browser.client.post(
        f"/apps/{idapp}/smtps/new",
        data=f"csrf_token={token}&host=h&port=25&priority=1&encryption=none"
        "&save=1&defaultfromname=%F1",
        content_type="application/x-www-form-urlencoded",
    )
    assert reply.status_code == 400
    assert count(alice.app, Smtp) == 0


def test_a_server_without_login_needs_neither_user_nor_password(browser, alice, idapp):
    given = typed(auth=False, smtp_login="", smtp_secret="")
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    (smtp,) = alice.smtps(idapp)
    assert (smtp["auth"], smtp["username"], smtp["password"]) == (False, None, None)


def test_an_empty_password_keeps_the_stored_one(browser, alice, idapp):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    page = browser.get(f"/smtps/{smtp.id}/edit")
    secret = page.by_id("smtp_secret")
    assert secret.get("value", "") == ""
    assert secret.get("placeholder") == "leave empty to keep the stored password"
    assert secret.get("autocomplete") == "new-password"
    browser.send(page, page.form().fill(priority="3"), SAVE)
    kept = alice.smtp(smtp.id)
    assert (kept["priority"], kept["password"]) == (3, SECRET)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "other.example.net"),
        ("port", "25"),
        ("smtp_login", "other"),
        ("encryption", "none"),
    ],
)
def test_a_stored_password_goes_nowhere_else(browser, alice, idapp, field, value):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    page = browser.submit(f"/smtps/{smtp.id}/edit", SAVE, **{field: value})
    assert page.status == 422
    assert "Enter the password again" in page.errors()["smtp_secret"]
    assert page.form().value(field) == value
    assert only_smtp(alice.app).version == smtp.version


def test_switching_the_login_off_forgets_the_password(browser, alice, idapp):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    assert "none stored" in browser.submit(f"/smtps/{smtp.id}/edit", SAVE, auth=False).text
    assert only_smtp(alice.app).password_sealed is None


def test_flags_that_the_form_cannot_show_stay_as_they_are(browser, alice, idapp):
    smtp = alice.make_smtp(
        idapp, starttls="true", ssltls="true", auth="true", username="u", password=SECRET
    )
    browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, priority="4")
    kept = alice.smtp(smtp["_id"])
    assert (kept["starttls"], kept["sslTls"], kept["priority"]) == (True, True, 4)
    assert kept["password"] == SECRET


def test_an_smtp_changed_meanwhile_is_not_overwritten_unknowingly(browser, alice, idapp):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    form = browser.get(f"/smtps/{smtp.id}/edit")
    elsewhere = browser.get(f"/smtps/{smtp.id}/edit")
    browser.send(elsewhere, elsewhere.form().fill(priority="1", defaultfromname="Theirs"), SAVE)
    page = browser.send(form, form.form().fill(priority="2"), SAVE)
    assert page.status == 409
    assert "Stored now: 1" in page.text
    assert "Stored now: Theirs" in page.text
    assert page.form().value("priority") == "2"
    assert alice.smtp(smtp.id)["priority"] == 1
    browser.send(page, page.form(), SAVE)
    assert alice.smtp(smtp.id)["priority"] == 2


def test_the_smtps_of_an_app_stand_in_the_order_of_their_use(browser, alice, idapp):
    for priority, host in ((20, "late"), (5, "down"), (10, "used")):
        made = alice.make_smtp(idapp, host=f"{host}.example.net", priority=priority)
        if host == "down":
            with alice.app.app_context():
                db.session.get_one(Smtp, made["_id"]).enabled = False
                db.session.commit()
    text = browser.get(f"/apps/{idapp}").text
    down, used, late = (text.index(f"{host}.example.net") for host in ("down", "used", "late"))
    assert down < used < late
    assert "Disabled by a failed check" in text[down:used]
    assert "in use" not in text[down:used]
    assert "in use" in text[used:late]
    assert "reserve" in text[late:]
    browser.submit(f"/apps/{idapp}/edit", strategy="RANDOM")
    text = browser.get(f"/apps/{idapp}").text
    assert "reserve" not in text
    assert text.count("in use") == 2


def test_an_app_without_an_active_smtp_says_what_that_means(browser, alice, idapp):
    made = alice.make_smtp(idapp)
    with alice.app.app_context():
        db.session.get_one(Smtp, made["_id"]).enabled = False
        db.session.commit()
    assert "mails of this app will not be sent" in browser.get(f"/apps/{idapp}").text


def test_the_removal_of_an_smtp_asks_first_and_names_what_is_lost(browser, alice, idapp):
    made = alice.make_smtp(idapp)
    page = browser.get(f"/smtps/{made['_id']}/remove")
    assert "last active SMTP of shop" in page.text
    assert "never checked" in page.text
    page = browser.send(page, page.form())
    assert page.url == f"/apps/{idapp}"
    assert count(alice.app, Smtp) == 0


# --- checks --------------------------------------------------------------------------------


def test_the_main_button_saves_and_sends_a_real_mail(browser, alice, idapp):
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
    assert page.url.startswith("/checks/")
    assert "Accepted" in page.text
    ((mail_from, recipients, _),) = server.mails
    assert (mail_from, recipients) == ("shop@example.com", ["alice@example.com"])
    smtp = only_smtp(alice.app)
    shown = browser.get(f"/smtps/{smtp.id}").text
    assert "Active" in shown
    assert "Accepted just now" in shown or "Accepted 1 second ago" in shown
    assert "Accepted" in browser.get(f"/apps/{idapp}").text


def test_a_failed_check_names_the_cause_the_steps_and_the_servers_words(browser, alice, idapp):
    replies = {"AUTH": "535 5.7.8 Username and Password not accepted"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        again = browser.press(page, f"/smtps/{only_smtp(alice.app).id}/check")
    smtp = only_smtp(alice.app)
    assert "535 5.7.8 Username and Password not accepted" in page.text
    assert "What to do next" in page.text
    assert len(list(page.all("ol"))) == 3  # where we are, the steps, the ladder
    assert "AUTH Sign in with user name and password failed" in page.text
    assert "MAIL FROM The server accepts the sender not reached" in page.text
    assert "C: EHLO" in page.text
    assert page.links()["Fix…"] == f"/smtps/{smtp.id}/edit"
    assert again.url != page.url
    shown = browser.get(f"/smtps/{smtp.id}")
    assert "Disabled by a failed check" in shown.text
    assert "2 failed checks since the last good one" in shown.text
    assert shown.links()["Fix…"] == f"/smtps/{smtp.id}/edit"
    assert "(2 failures in a row)" in browser.get(f"/apps/{idapp}").text


def test_a_check_that_our_policy_forbids_says_so_and_changes_nothing(browser, alice, idapp):
    given = typed(host="169.254.169.254", encryption="none")
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given)
    assert "Not tried" in page.text
    assert "169.254.169.254" in page.text
    assert "Fix…" not in page.links()
    assert "Active, check not allowed here" in browser.get(f"/apps/{idapp}").text


def test_a_password_that_cannot_be_read_is_said_where_it_can_be_mended(browser, alice, idapp):
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    with alice.app.app_context():
        smtp = db.session.query(Smtp).one()
        smtp.password_sealed = "v1.00000000.x"
        db.session.commit()
        smtp_id = smtp.id
    page = browser.press(browser.get(f"/smtps/{smtp_id}"), f"/smtps/{smtp_id}/check")
    assert page.url == f"/smtps/{smtp_id}"
    assert "enter it again" in page.text


def test_saving_is_not_lost_when_there_is_no_place_for_the_check(browser, alice, idapp):
    with alice.app.app_context():
        for number in range(checks.CHECKS_AT_ONCE):
            _check(alice, idapp, finished=False, ends_in=60, host=f"{number}.example.net")
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **typed())
    assert page.heading == "mail.example.net:587"
    assert "Saved, but not checked." in page.text
    assert "Try again in" in page.text
    assert count(alice.app, Smtp) == checks.CHECKS_AT_ONCE + 1


def test_a_check_under_way_is_not_begun_twice(browser, alice, idapp):
    with alice.app.app_context():
        smtp_id = _check(alice, idapp, finished=False, ends_in=60).smtp_id
    page = browser.get(f"/smtps/{smtp_id}")
    assert "Checking now" in page.text
    page = browser.press(page, f"/smtps/{smtp_id}/check")
    assert "A check of this SMTP is under way." in page.text
    assert count(alice.app, Check) == 1


def _check(
    alice: Person,
    idapp: str,
    *,
    finished: bool = True,
    ends_in: float = 0,
    host: str = "mail.example.net",
    smtp_id: str | None = None,
) -> Check:
    """A check as the database has it; inside an application context."""
    ends_by = now() + timedelta(seconds=ends_in)
    if smtp_id is None:
        smtp = Smtp(app_id=idapp, host=host, port=25)
        if ends_in > 0:
            smtp.checking_until = ends_by
        db.session.add(smtp)
        db.session.flush()
        smtp_id = smtp.id
    check = Check(
        smtp_id=smtp_id,
        user_id=alice.user_id,
        smtp_version=1,
        ends_by=ends_by,
        finished=now() if finished else None,
        accepted=True if finished else None,
    )
    db.session.add(check)
    db.session.commit()
    return check


def test_a_check_under_way_refreshes_itself_and_a_finished_one_does_not(browser, alice, idapp):
    with alice.app.app_context():
        under_way = _check(alice, idapp, finished=False, ends_in=60).id
        interrupted = _check(alice, idapp, finished=False, ends_in=-1).id
    page = browser.get(f"/checks/{under_way}")
    assert page.heading == "Check under way"
    assert page.root.find(".//meta[@http-equiv='refresh']") is not None
    page = browser.get(f"/checks/{interrupted}")
    assert page.heading == "Check interrupted"
    assert "says nothing about the SMTP" in page.text
    assert page.root.find(".//meta[@http-equiv='refresh']") is None


def test_tls_facts_and_addresses_are_shown(browser, alice, idapp):
    with fake_smtp(tls="starttls", certificate="self-signed", login=("shop", "s3cret")) as server:
        given = for_server(server, host="localhost", encryption="starttls")
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given)
    assert page.heading != "Accepted"
    assert "TLSv1.3" in page.text
    assert "127.0.0.1" in page.text
    assert "days left" in page.text


def test_a_long_history_has_pages(browser, alice, idapp):
    with alice.app.app_context():
        smtp_id = _check(alice, idapp).smtp_id
        for _ in range(20):
            _check(alice, idapp, smtp_id=smtp_id)
    first = browser.get(f"/smtps/{smtp_id}")
    assert len(list(first.one("tbody"))) == 20
    second = browser.get(first.links()["Next"])
    assert len(list(second.one("tbody"))) == 1
    assert "nothing on this page" in browser.get(f"/smtps/{smtp_id}?page=3").text


# --- for everybody ---------------------------------------------------------------------------


def _everything(alice: Person, idapp: str) -> list[str]:
    """The address of every page about something of alice's."""
    with alice.app.app_context():
        check = _check(alice, idapp)
        return [
            f"/apps/{idapp}", f"/apps/{idapp}/edit", f"/apps/{idapp}/remove",
            f"/apps/{idapp}/smtps/new", f"/smtps/{check.smtp_id}", f"/smtps/{check.smtp_id}/edit",
            f"/smtps/{check.smtp_id}/remove", f"/checks/{check.id}",
        ]  # fmt: skip


def test_what_is_somebody_elses_is_not_there(alice, charlie, idapp):
    stranger = signed_in(alice.app, charlie)
    pages = _everything(alice, idapp)
    token = stranger.get("/apps/new").form().value("csrf_token")
    for path in pages:
        nobodys = stranger.get("/".join(_nobodys(part) for part in path.split("/")), status=404)
        assert stranger.get(path, status=404).html == nobodys.html
    pages.append(pages[4] + "/check")
    for path in (page for page in pages if page.count("/") > 2):
        assert stranger.post(path, {"csrf_token": [token], "name": ["mine"]}).status == 404
    assert "Create the first app" in stranger.get("/apps").links()
    assert (count(alice.app, App), count(alice.app, Smtp), count(alice.app, Check)) == (1, 1, 1)


def _nobodys(part: str) -> str:
    return NOBODYS if len(part) == len(NOBODYS) else part


@one_database
@pytest.mark.parametrize(
    "path",
    ["/apps/x", "/apps/%00", f"/apps/{'A' * 24}", "/smtps/" + "0" * 25, "/checks/٣", "/nothing"],
)
def test_what_is_no_address_is_a_page_that_says_so(browser, path):
    assert browser.get(path, status=404).heading == "Not Found"


def test_a_wrong_method_is_a_page_that_says_so(browser, idapp):
    assert browser.get(f"/smtps/{NOBODYS}/check", status=405).heading == "Method Not Allowed"


def test_a_body_that_is_too_large_is_a_page_that_says_so(browser, alice):
    token = browser.get("/apps/new").form().value("csrf_token")
    page = browser.post("/apps/new", {"csrf_token": [token], "name": ["x" * 2_000_000]})
    assert page.status == 413
    assert count(alice.app, App) == 0


def test_no_page_ever_holds_the_password_in_any_writing(browser, alice, idapp):
    replies = {"AUTH": f"535 no: {SECRET}"}
    with fake_smtp(login=("shop", SECRET), replies=replies) as server:
        given = for_server(server)
        pages = [
            browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given),
            browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **(given | {"port": "x"})),
        ]
    smtp = only_smtp(alice.app)
    paths = [
        f"/apps/{idapp}", f"/apps/{idapp}/remove", f"/smtps/{smtp.id}", f"/smtps/{smtp.id}/edit",
        f"/smtps/{smtp.id}/remove",
    ]  # fmt: skip
    pages += [browser.get(path) for path in paths]
    raw = SECRET.encode()
    forms = [
        SECRET,
        html.escape(SECRET),
        base64.b64encode(raw).decode().rstrip("="),
        base64.b64encode(b"\0shop\0" + raw).decode().rstrip("="),
        smtp.password_sealed,
    ]
    for page in pages:
        for form in forms:
            assert form not in page.html, page.url
            assert form not in html.unescape(page.html), page.url


XSS = "<img src=x onerror=alert(1)>'\"&{{7*7}}"


def test_whatever_people_and_servers_say_is_text_and_nothing_else(browser, alice):
    app = browser.submit(
        "/apps/new",
        name=XSS,
        defaultfromname=XSS,
        testemail="a@example.com",
        defaultfromemail="b@example.com",
    )
    replies = {
        "connect": f"220 {XSS}",
        "EHLO": f"250-{XSS}\r\n250 AUTH PLAIN",
        "AUTH": f"535 {XSS}",
    }
    with fake_smtp(login=(XSS, "s3cret"), replies=replies) as server:
        given = for_server(server, defaultfromname=XSS, smtp_secret="other")
        check = browser.submit(
            f"{app.url}/smtps/new", "Save and send a test mail to a@example.com", **given
        )
    smtp = only_smtp(alice.app)
    pages = [app, check] + [
        browser.get(path)
        for path in (
            "/apps", app.url, f"{app.url}/edit", f"{app.url}/remove", f"/smtps/{smtp.id}",
            f"/smtps/{smtp.id}/edit", f"/smtps/{smtp.id}/remove",
        )
    ]  # fmt: skip
    assert f"535 {XSS}" in check.text
    assert app.heading == XSS
    for page in pages:
        assert "<img src=x" not in page.html, page.url
        assert not [image for image in page.all("img") if image.get("src") == "x"]


@pytest.mark.parametrize("what", ["apps", "smtps", "history"])
def test_a_longer_list_takes_no_more_statements(browser, alice, idapp, what):
    def grow(rows: int) -> None:
        with alice.app.app_context():
            if what == "apps":
                for _ in range(rows):
                    app = App(user_id=alice.user_id, name=f"{now()}{_}", testemail="a@example.com")
                    db.session.add(app)
                    db.session.flush()
                    _check(alice, app.id)
            elif what == "smtps":
                for _ in range(rows):
                    _check(alice, idapp)
            else:
                for _ in range(rows):
                    _check(alice, idapp, smtp_id=smtp_id)

    with alice.app.app_context():
        smtp_id = _check(alice, idapp).smtp_id
    path = {"apps": "/apps", "smtps": f"/apps/{idapp}", "history": f"/smtps/{smtp_id}"}[what]
    grow(1)
    with statements() as few:
        browser.get(path)
    grow(12)
    with statements() as many:
        page = browser.get(path)
    assert len(many) == len(few) <= 8, many
    assert len(list(page.all("time"))) >= 12 or what == "apps"


def test_static_files_are_named_by_their_content_and_kept(browser):
    page = browser.get("/apps")
    for link in page.all("link", "script"):
        address = link.get("href") or link.get("src") or ""
        reply = browser.client.get(address)
        assert reply.status_code == 200, address
        assert "immutable" in reply.headers["Cache-Control"]
        plain = browser.client.get(address.partition("?")[0])
        assert "immutable" not in plain.headers["Cache-Control"]
        for one in (reply, plain):
            one.close()


def test_an_error_page_asks_the_storage_nothing(browser, alice):
    with statements() as seen:
        browser.get("/nothing", status=404)
    assert seen == []
    assert alice.name not in browser.get("/nothing", status=404).text
