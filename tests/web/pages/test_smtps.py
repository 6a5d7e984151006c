"""The pages of SMTPs, as people meet them in a browser."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from smtpweb.checking import service
from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db
from smtpweb.monitoring import response_times
from tests.support.browser import Browser, one_database, words
from tests.support.factories import SAVE, SECRET, count, make_check, only_smtp, typed, use_share
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person
from tests.support.threads import in_background, until


def test_smtp_is_saved_without_checking(browser: Browser, alice: Person, idapp: str) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(host=" mail.example.net "))
    assert page.heading == "mail.example.net:587"
    assert "Not checked yet" in page.text
    (smtp,) = alice.smtps(idapp)
    assert (smtp["host"], smtp["port"], smtp["username"]) == ("mail.example.net", 587, "shop")
    assert (smtp["auth"], smtp["starttls"], smtp["sslTls"]) == (True, True, False)
    assert (smtp["password"], smtp["priority"]) == (SECRET, 10)
    assert count(alice.app, Check) == 0


@pytest.mark.parametrize(
    ("encryption", "starttls", "ssltls"),
    [("starttls", True, False), ("implicit", False, True), ("none", False, False)],
)
def test_encryption_choice_becomes_two_flags(
    browser: Browser, alice: Person, idapp: str, encryption: str, starttls: bool, ssltls: bool
) -> None:
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
        ("priority", str(2**63)),
        ("priority", "-1"),
        ("encryption", "rot13"),
        ("smtp_login", "a\r\nb"),
        ("smtp_login", "x" * 1025),
        ("smtp_login", ""),
        ("smtp_secret", "a\x00b"),
        ("smtp_secret", "\t"),
        ("smtp_secret", "x" * 1025),
        ("smtp_secret", ""),
        ("defaultfromemail", "nobody"),
        ("defaultfromemail", "a@example.com\r\nBcc: b@example.com"),
        ("defaultfromname", "a\nb"),
        ("defaultfromname", "x" * 201),
    ],
)
def test_bad_smtp_form_names_the_field_and_saves_nothing(
    browser: Browser, alice: Person, idapp: str, field: str, value: str
) -> None:
    page = browser.submit(
        f"/apps/{idapp}/smtps/new", SAVE, **typed(**{"defaultfromname": "kept", field: value})
    )
    assert page.status == 422
    assert list(page.errors()) == [field]
    assert count(alice.app, Smtp) == 0
    if field != "defaultfromname":
        assert page.form().value("defaultfromname") == "kept"


def test_password_may_be_of_blanks_alone(browser: Browser, alice: Person, idapp: str) -> None:
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(smtp_secret="   "))
    (smtp,) = alice.smtps(idapp)
    assert smtp["password"] == "   "
    page = browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, smtp_secret="  ")
    assert page.status == 200
    assert alice.smtp(smtp["_id"])["password"] == "  "


def test_text_that_is_not_utf8_is_refused(browser: Browser, alice: Person, idapp: str) -> None:
    token = browser.get(f"/apps/{idapp}/smtps/new").form().value("csrf_token")
    reply = browser.client.post(
        f"/apps/{idapp}/smtps/new",
        data=f"csrf_token={token}&host=h&port=25&priority=1&encryption=none"
        "&save=1&defaultfromname=%F1",
        content_type="application/x-www-form-urlencoded",
    )
    assert reply.status_code == 400
    assert count(alice.app, Smtp) == 0


def test_server_without_login_needs_neither_user_nor_password(
    browser: Browser, alice: Person, idapp: str
) -> None:
    given = typed(auth=False, smtp_login="", smtp_secret="")
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    (smtp,) = alice.smtps(idapp)
    assert (smtp["auth"], smtp["username"], smtp["password"]) == (False, None, None)


def test_empty_password_keeps_the_stored_one(browser: Browser, alice: Person, idapp: str) -> None:
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
def test_stored_password_goes_nowhere_else(
    browser: Browser, alice: Person, idapp: str, field: str, value: str
) -> None:
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    page = browser.submit(f"/smtps/{smtp.id}/edit", SAVE, **{field: value})
    assert page.status == 422
    assert "enter the password again" in page.errors()["smtp_secret"]
    assert page.form().value(field) == value
    assert only_smtp(alice.app).version == smtp.version


def test_switching_the_login_off_forgets_the_password(
    browser: Browser, alice: Person, idapp: str
) -> None:
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    smtp = only_smtp(alice.app)
    assert "not stored" in browser.submit(f"/smtps/{smtp.id}/edit", SAVE, auth=False).text
    assert only_smtp(alice.app).password_sealed is None


def test_password_that_was_stored_without_a_login_is_kept(
    browser: Browser, alice: Person, idapp: str
) -> None:
    """By the API both may be stored with auth left at its default of false."""
    smtp = alice.make_smtp(idapp, username="u", password=SECRET)
    browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, priority="4")
    assert alice.smtp(smtp["_id"])["password"] == SECRET
    browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, host="other.example.net")
    assert alice.smtp(smtp["_id"])["password"] is None


def test_flags_that_the_form_cannot_show_stay_as_they_are(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(
        idapp, starttls="true", ssltls="true", auth="true", username="u", password=SECRET
    )
    browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, priority="4")
    kept = alice.smtp(smtp["_id"])
    assert (kept["starttls"], kept["sslTls"], kept["priority"]) == (True, True, 4)
    assert kept["password"] == SECRET


def test_smtp_changed_meanwhile_is_not_overwritten_unknowingly(
    browser: Browser, alice: Person, idapp: str
) -> None:
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


def test_smtps_of_an_app_stand_in_the_order_of_their_use(
    browser: Browser, alice: Person, idapp: str
) -> None:
    for priority, host in ((20, "late"), (5, "down"), (10, "used")):
        made = alice.make_smtp(idapp, host=f"{host}.example.net", priority=priority)
        if host == "down":
            with alice.app.app_context():
                db.session.get_one(Smtp, made["_id"]).enabled = False
                db.session.commit()
    text = browser.get(f"/apps/{idapp}").text
    down, used, late = (text.index(f"{host}.example.net") for host in ("down", "used", "late"))
    assert down < used < late
    assert "Disabled" in text[down:used]
    assert "in use" not in text[down:used]
    assert "in use" in text[used:late]
    assert "backup" in text[late:]
    browser.submit(f"/apps/{idapp}/edit", strategy="RANDOM")
    text = browser.get(f"/apps/{idapp}").text
    assert "backup" not in text
    assert text.count("in use") == 2


def test_app_without_an_active_smtp_says_what_that_means(
    browser: Browser, alice: Person, idapp: str
) -> None:
    made = alice.make_smtp(idapp)
    with alice.app.app_context():
        db.session.get_one(Smtp, made["_id"]).enabled = False
        db.session.commit()
    assert "this app cannot send" in browser.get(f"/apps/{idapp}").text


def test_smtp_removal_asks_first_and_names_what_is_lost(
    browser: Browser, alice: Person, idapp: str
) -> None:
    made = alice.make_smtp(idapp)
    page = browser.get(f"/smtps/{made['_id']}/remove")
    assert "last active SMTP server of shop" in page.text
    assert "never been checked" in page.text
    page = browser.send(page, page.form())
    assert page.url == f"/apps/{idapp}"
    assert alice.smtps(idapp) == []
    assert alice.get("/private/smtps/findById", idsmtp=made["_id"]).status_code == 406


@pytest.mark.parametrize(("module", "look"), [(service, "history"), (response_times, "tally")])
def test_smtp_removed_while_its_page_is_made_is_no_bug(
    browser: Browser,
    alice: Person,
    idapp: str,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    look: str,
) -> None:
    with alice.app.app_context():
        smtp_id = make_check(alice, idapp).smtp_id
    before = getattr(module, look)

    def and_remove(*given: Any) -> Any:
        found = before(*given)
        # In a thread: here it would take part in the transaction of the page
        in_background(lambda: alice.post("/private/smtps/remove", idsmtp=smtp_id))[0].join()
        return found

    monkeypatch.setattr(module, look, and_remove)
    # SQLite goes on showing what was there when the page was begun; PostgreSQL looks again.
    reply = browser.client.get(f"/smtps/{smtp_id}")
    assert reply.status_code in (200, 404)
    monkeypatch.undo()
    assert browser.get(f"/smtps/{smtp_id}", status=404).heading == "SMTP not found"


@one_database
@pytest.mark.parametrize("sent", ["a\x00b", "\ufffe", "<\x1b[31m"])
def test_forms_show_any_text_again_in_a_page_that_browsers_can_read(
    browser: Browser, idapp: str, sent: str
) -> None:
    for path in ("/apps/new", f"/apps/{idapp}/smtps/new", "/account"):
        page = browser.get(path)
        for form in page.one("main").iter("form"):
            names = {one.attrib["name"] for one in form.iter() if one.get("name")}
            names -= {"csrf_token", "cancel"}
            hidden = form.find(".//input[@name='csrf_token']")
            assert hidden is not None
            given = {name: [sent] for name in names}
            reply = browser.post(
                form.get("action") or path, given | {"csrf_token": [hidden.attrib["value"]]}
            )
            assert reply.status == 422, (path, form.get("action"))


def test_typed_settings_are_tested_without_being_saved(
    browser: Browser, alice: Person, idapp: str
) -> None:
    probe = "Test connection, send nothing"
    page = browser.get(f"/apps/{idapp}/smtps/new")
    with fake_smtp(login=("ana", "s3cret")) as server:
        filled = page.form().fill(
            host=server.host, port=str(server.port), encryption="none", smtp_login="ana",
            smtp_secret="s3cret", defaultfromemail="shop@example.com", name="Typed",
        )  # fmt: skip
        page = browser.send(page, filled, probe)
        assert page.status == 200
        assert "Not saved. The server would take an email" in page.text
        assert "That an email arrives." in page.text
        assert page.form().value("name") == "Typed"
        assert "s3cret" not in page.html
        page = browser.send(page, page.form().fill(smtp_secret="wrong"), probe)
        assert "Wrong user name or password" in page.text
        assert "This is the likely cause, not a certain one." in page.text
        assert "It can also be: The account needs an app password" in page.text
    assert server.mails == []
    assert alice.smtps(idapp) == []


def test_test_of_typed_settings_shows_the_warnings_that_its_check_shows(
    browser: Browser, idapp: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    with fake_smtp(login=("ana", "s3cret")) as server:
        filled = page.form().fill(
            host=server.host, port=str(server.port), encryption="none", smtp_login="ana",
            smtp_secret="s3cret", defaultfromemail="shop@example.com",
        )  # fmt: skip
        tested = browser.send(page, filled, "Test connection, send nothing")
        typed = tested.form().fill(smtp_secret="s3cret")
        page = browser.result(browser.send(tested, typed))
    shown = [words(one) for one in page.all("div") if "alert-warning" in one.get("class", "")]
    assert shown
    for warning in shown:
        assert warning in tested.text


def test_tests_beyond_the_limit_are_refused_and_nothing_typed_is_lost(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        use_share(alice, 30)
    page = browser.get(f"/apps/{idapp}/smtps/new")
    filled = page.form().fill(
        host="smtp.example.com", port="25", encryption="none", smtp_login="ana",
        smtp_secret="s3cret", defaultfromemail="shop@example.com", name="Typed",
    )  # fmt: skip
    page = browser.send(page, filled, "Test connection, send nothing")
    assert page.status == 429
    assert "at most 30 checks" in page.text
    assert page.form().value("name") == "Typed"


def test_server_of_another_user_is_not_tested(browser: Browser, charlie: Person) -> None:
    with fake_smtp() as server:
        theirs = charlie.make_smtp(charlie.make_app("theirs")["_id"], host=server.host,
                                   port=server.port)["_id"]  # fmt: skip
        hidden = browser.get("/apps/new").root.find(".//input[@name='csrf_token']")
        assert hidden is not None
        token = hidden.attrib["value"]
        for smtp_id in (theirs, "f" * 24):
            reply = browser.post(f"/smtps/{smtp_id}/test", {"csrf_token": [token]})
            assert reply.status == 404
        assert server.heard == []


def test_saved_server_is_tested_from_its_page_without_an_email(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        smtp = alice.make_smtp(
            idapp, host=server.host, port=server.port, defaultfromemail="shop@example.com"
        )
        page = browser.get(f"/smtps/{smtp['_id']}")
        action = f"/smtps/{smtp['_id']}/test"
        browser.send(page, page.form(action), "Test connection, send nothing")
        until(lambda: "Connection works" in browser.get(f"/smtps/{smtp['_id']}").text)
    assert server.mails == []
    page = browser.get(f"/smtps/{smtp['_id']}")
    assert "connection test" in page.text
    assert "probe" not in page.text
    page = browser.get(page.links()["Show the whole check"])
    diagnosis = "".join(page.by_id("diagnosis").itertext())
    assert "What this did not prove:" in diagnosis
    assert "  That an email arrives." in diagnosis
    assert "stays" not in page.text


def test_connection_test_that_enables_nothing_says_so(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"dot": "550 5.7.1 spam"}) as server:
        smtp = alice.make_smtp(
            idapp, host=server.host, port=server.port, defaultfromemail="shop@example.com"
        )["_id"]
        assert alice.post("/private/smtps/check", idsmtp=smtp).status_code == 406
        tested = alice.post("/private/smtps/check", idsmtp=smtp, mode="probe").json["idcheck"]
    page = browser.get(f"/checks/{tested}")
    assert page.text.count("it refused the content of the last email") == 2  # also as text
    with fake_smtp() as server:
        alice.make_smtp(idapp, idsmtp=smtp, host=server.host, port=server.port)
        assert alice.post("/private/smtps/check", idsmtp=smtp).status_code == 200
    assert "it refused the content" not in browser.get(f"/checks/{tested}").text
