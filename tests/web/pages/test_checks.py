"""Checking from the pages, and the pages of checks."""

from __future__ import annotations

import base64
import errno
import re
import socket
from datetime import timedelta
from typing import Any

import pytest

from smtpweb import mailcheck
from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db, now
from smtpweb.mailcheck.diagnosis import catalogue
from smtpweb.web.presentation import remedies
from tests.support.browser import Browser, words
from tests.support.factories import (
    CHECK,
    SAVE,
    SECRET,
    count,
    for_server,
    make_check,
    only_check,
    only_smtp,
    trust,
    typed,
    use_share,
)
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person


def test_main_button_saves_and_sends_a_real_mail(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
    assert page.url.startswith("/checks/")
    assert "Accepted" in page.text
    ((mail_from, recipients, _),) = server.mails
    assert (mail_from, recipients) == ("shop@example.com", ["alice@example.com"])
    smtp = only_smtp(alice.app)
    shown = browser.get(f"/smtps/{smtp.id}").text
    assert "Active" in shown
    assert re.search("Accepted (just now|[0-9]+ seconds? ago)", shown)
    assert "Accepted" in browser.get(f"/apps/{idapp}").text


def test_cause_on_our_side_says_that_the_state_stays(
    browser: Browser, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it called an edit, which was not made."""
    monkeypatch.setattr(
        socket.socket, "connect_ex", lambda sock, where: errno.ENETUNREACH, raising=False
    )
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
    assert "This machine has no route to" in page.text
    assert "state and its failure count did not change" in page.text
    assert "was edited while this check ran" not in page.text
    smtp = only_smtp(alice.app)
    assert (smtp.enabled, smtp.numerrors) == (True, 0)


def test_failed_check_names_the_cause_the_steps_and_the_servers_words(
    browser: Browser, alice: Person, idapp: str
) -> None:
    replies = {"AUTH": "535 5.7.8 Username and Password not accepted"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
        again = browser.result(browser.press(page, f"/smtps/{only_smtp(alice.app).id}/check"))
    smtp = only_smtp(alice.app)
    assert "535 5.7.8 Username and Password not accepted" in page.text
    assert "What to do next" in page.text
    assert len(list(page.all("ol"))) == 3  # where we are, the steps, the ladder
    assert "AUTH Sign in to the server failed" in page.text
    assert "MAIL FROM The server accepts the sender not reached" in page.text
    assert "C: EHLO" in page.text
    assert page.links()["Fix…"] == f"/smtps/{smtp.id}/edit?field=smtp_secret"
    assert again.url != page.url
    shown = browser.get(f"/smtps/{smtp.id}")
    assert "Disabled: last check failed" in shown.text
    assert "2 failed checks since the last success" in shown.text
    assert shown.links()["Fix…"] == f"/smtps/{smtp.id}/edit?field=smtp_secret"
    assert "2 failures in a row" in browser.get(f"/apps/{idapp}").text


def test_check_that_our_policy_forbids_says_so_and_changes_nothing(
    browser: Browser, alice: Person, idapp: str
) -> None:
    given = typed(host="169.254.169.254", encryption="none")
    page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
    assert "Not tried" in page.text
    assert "169.254.169.254" in page.text
    assert page.links()["Fix…"] == f"/smtps/{only_smtp(alice.app).id}/edit?field=host"
    assert "Cannot be checked" in browser.get(f"/apps/{idapp}").text


def test_unreadable_password_is_named_where_it_can_be_typed_again(
    browser: Browser, alice: Person, idapp: str
) -> None:
    browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    with alice.app.app_context():
        smtp = db.session.query(Smtp).one()
        smtp.password_sealed = "v1.00000000.x"
        db.session.commit()
        smtp_id = smtp.id
    page = browser.press(browser.get(f"/smtps/{smtp_id}"), f"/smtps/{smtp_id}/check")
    assert page.url == f"/smtps/{smtp_id}"
    assert "enter it again" in page.text


def test_saving_is_not_lost_when_there_is_no_place_for_the_check(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        use_share(alice, 2, lease=timedelta(seconds=60))
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **typed())
    assert page.heading == "mail.example.net:587"
    assert "Saved, but not checked." in page.text
    assert "Try again in" in page.text
    assert count(alice.app, Smtp) == 1


def test_check_under_way_is_not_begun_twice(browser: Browser, alice: Person, idapp: str) -> None:
    with alice.app.app_context():
        smtp_id = make_check(alice, idapp, finished=False, ends_in=60).smtp_id
    page = browser.get(f"/smtps/{smtp_id}")
    assert "Checking now" in page.text
    page = browser.press(page, f"/smtps/{smtp_id}/check")
    assert "A check of this SMTP server is already running." in page.text
    assert count(alice.app, Check) == 1


def test_check_under_way_refreshes_itself_and_a_finished_one_does_not(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        under_way = make_check(alice, idapp, finished=False, ends_in=60).id
        interrupted = make_check(alice, idapp, finished=False, ends_in=-1).id
    page = browser.get(f"/checks/{under_way}")
    assert page.heading == "Check in progress"
    assert page.root.find(".//meta[@http-equiv='refresh']") is not None
    assert re.search("Running for [0-9] s", page.text)
    page = browser.get(f"/checks/{interrupted}")
    assert page.heading == "Check interrupted"
    assert "says nothing about the SMTP" in page.text
    assert page.root.find(".//meta[@http-equiv='refresh']") is None


def test_check_under_way_says_for_how_long(browser: Browser, alice: Person, idapp: str) -> None:
    with alice.app.app_context():
        check = make_check(alice, idapp, finished=False, ends_in=60)
        check.started -= timedelta(seconds=17)
        db.session.commit()
        check_id = check.id
    page = browser.get(f"/checks/{check_id}")
    assert re.search("Running for 1[789] s", page.text)
    assert words(page.one("title")) == "Check in progress · mail.example.net:25 · smtpweb"


def test_script_of_a_result_asks_whether_the_mail_arrived(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        check = make_check(alice, idapp)
        path = f"/checks/{check.id}/arrival"
        assert browser.client.get(path).json == {"arrived": False}
        check.arrived = now()
        db.session.commit()
    assert browser.client.get(path).json == {"arrived": True}


def test_fix_in_the_list_leads_to_where_the_result_leads(
    browser: Browser, alice: Person, idapp: str
) -> None:
    for replies, field in (
        ({"AUTH": "535 5.7.8 Username and Password not accepted"}, "smtp_secret"),
        ({"RCPT": "550 5.1.1 no such mailbox"}, "testemail"),
    ):
        with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
            given = for_server(server)
            page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
        of_result = page.links()["Fix…"]
        assert of_result.endswith(f"field={field}")
        row = browser.get(f"/apps/{idapp}?sort=checked")
        mended = browser.get(row.links()["Fix…"])
        assert mended.address.removesuffix("?") == of_result
        assert [one.get("name") for one in mended.root.iter() if "autofocus" in one.attrib] == [
            field
        ]
        browser.press(browser.get(f"/smtps/{only_smtp(alice.app).id}/remove"),
                      f"/smtps/{only_smtp(alice.app).id}/remove")  # fmt: skip


def test_fix_of_an_smtp_that_was_never_checked_is_its_form(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    assert browser.get(f"/smtps/{smtp_id}/fix").url == f"/smtps/{smtp_id}/edit"


def test_diagnosis_is_there_as_text_without_any_secret(
    browser: Browser, alice: Person, idapp: str
) -> None:
    replies = {"AUTH": f"535 5.7.8 {SECRET} is not welcome, nor is {SECRET[::-1]}"}
    with fake_smtp(tls="starttls", login=("shop", SECRET), replies=replies) as server:
        trust(alice.app, server)
        given = for_server(server, host="localhost", encryption="starttls")
        page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
    text = "".join(page.by_id("diagnosis").itertext())
    check = only_check(alice.app)
    assert check.report
    for part in (
        check.report.title, check.report.code, check.id, f"localhost:{server.port}, STARTTLS",
        "Stage: AUTH", "535 5.7.8 (hidden) is not welcome", "shop@example.com", "alice@example.com",
        "127.0.0.1: connected", "Version: TLSv1.3", "C: AUTH PLAIN (hidden)", "AUTH: failed, ",
        "UTC, took", check.report.advice[0],
    ):  # fmt: skip
        assert part in text, part
    whole = base64.b64encode(f"\0shop\0{SECRET}".encode()).decode().rstrip("=")
    for secret in (SECRET, SECRET[::-1], whole):
        assert secret not in text


@pytest.mark.parametrize(
    ("language", "likely", "other"),
    [
        ("en", "This is the likely cause", "It can also be: The account needs an app password"),
        ("es", "Es la causa probable", "También puede ser: La cuenta"),
    ],
)
def test_page_and_ticket_say_how_sure_the_cause_is(
    browser: Browser, alice: Person, idapp: str, language: str, likely: str, other: str
) -> None:
    replies = {"AUTH": "535 5.7.8 authentication failed"}
    with fake_smtp(tls="starttls", login=("shop", SECRET), replies=replies) as server:
        trust(alice.app, server)
        given = for_server(server, host="localhost", encryption="starttls")
        page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    page = browser.get(page.url)
    ticket = "".join(page.by_id("diagnosis").itertext())
    for text in (page.text.replace(ticket, ""), ticket):
        assert likely in text and other in text


def test_alternative_mode_that_works_is_one_button_away(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(tls="starttls", login=("shop", "s3cret")) as server:
        trust(alice.app, server)
        given = for_server(server, host="localhost", encryption="implicit")
        page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
        smtp = only_smtp(alice.app)
        assert page.links()[f"Use port {server.port} with STARTTLS"] == (
            f"/smtps/{smtp.id}/edit?port={server.port}&encryption=starttls"
        )
        page = browser.get(page.links()[f"Use port {server.port} with STARTTLS"])
        assert page.form().value("encryption") == "starttls"
        assert only_smtp(alice.app).ssltls, "nothing is changed before it is saved"
        page = browser.send(page, page.form().fill(smtp_secret="s3cret"), CHECK)
        assert browser.result(page).heading == "The server accepted the test email"


def test_wrong_test_address_leads_to_the_field_of_the_app(
    browser: Browser, alice: Person, idapp: str
) -> None:
    replies = {"RCPT": "550 5.1.1 User unknown"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
    page = browser.get(page.links()["Fix…"])
    assert page.url == f"/apps/{idapp}/edit"
    assert "autofocus" in page.by_id("testemail").attrib


def test_causes_lead_to_a_field_that_exists(browser: Browser, alice: Person, idapp: str) -> None:
    """And those that no form can mend lead to none."""
    smtp = alice.make_smtp(idapp)
    names = {"app": set(browser.get(f"/apps/{idapp}/edit").form().values)}
    names["smtp"] = set(browser.get(f"/smtps/{smtp['_id']}/edit").form().values)
    names["smtp"].add("sourceaddress")  # offered where the machine has several
    for cause in catalogue.causes():
        for stage in cause.stage or mailcheck.Stage:
            report = mailcheck.Report(
                accepted=False, stage=stage, code=cause.id, title="", meaning="", advice=(),
                temporary=False, side=cause.side,
            )  # fmt: skip
            with alice.app.test_request_context():
                url = remedies.fix_url(report, Smtp(id=smtp["_id"], app_id=idapp))
            if cause.side is mailcheck.Side.MACHINE:
                assert url == ""
                continue
            path, _, field = url.partition("?field=")
            assert field in names["app" if path.startswith("/apps/") else "smtp"], (cause.id, url)


@pytest.mark.parametrize(
    ("code", "stage", "more", "field"),
    [
        ("SMTP_RESOLVE_UNKNOWN", "resolve", {}, "host"),
        ("SMTP_CONNECT_REFUSED", "connect", {}, "port"),
        ("SMTP_TLS_NOT_SPOKEN", "tls", {}, "encryption"),
        ("SMTP_TLS_CERTIFICATE_NAME", "tls", {}, "host"),
        ("SMTP_AUTH_WRONG_CREDENTIALS", "auth", {}, "smtp_secret"),
        ("SMTP_AUTH_INVISIBLE_CHARACTER", "auth", {"credential": "login"}, "smtp_login"),
        ("SMTP_FROM_NOT_OWNED", "mail", {"side": mailcheck.Side.APP}, "defaultfromemail"),
        ("SMTP_RCPT_UNKNOWN", "rcpt", {"side": mailcheck.Side.APP}, "testemail"),
    ],
)
def test_field_at_fault_is_the_one_that_the_cause_is_about(
    code: str, stage: str, more: dict[str, Any], field: str
) -> None:
    values = {"side": mailcheck.Side.SETTINGS} | more
    report = mailcheck.Report(
        accepted=False, stage=mailcheck.Stage(stage), code=code, title="", meaning="", advice=(),
        temporary=False, **values,
    )  # fmt: skip
    assert remedies.field_at_fault(report) == field


def test_tls_facts_and_addresses_are_shown(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp(tls="starttls", certificate="self-signed", login=("shop", "s3cret")) as server:
        given = for_server(server, host="localhost", encryption="starttls")
        page = browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given))
    assert page.heading != "Accepted"
    assert "TLSv1.3" in page.text
    assert "127.0.0.1" in page.text
    assert "days left" in page.text
    assert "Public key (SHA-256)" in page.text
    assert "A 127.0.0.1 connected after" in page.text or "A 127.0.0.1 connected" in page.text


def test_sandbox_says_that_it_delivers_nothing(browser: Browser, alice: Person, idapp: str) -> None:
    replies = {"connect": "220 7f0c1a Mailpit ESMTP Service ready"}
    with fake_smtp(login=("shop", "s3cret"), replies=replies) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
    assert page.heading == "Accepted, but this server delivers nothing: Mailpit"
    assert "Accepted does not mean delivered" not in page.text


def test_history_that_is_long_has_pages(browser: Browser, alice: Person, idapp: str) -> None:
    with alice.app.app_context():
        smtp_id = make_check(alice, idapp).smtp_id
        for _ in range(20):
            make_check(alice, idapp, smtp_id=smtp_id)
    first = browser.get(f"/smtps/{smtp_id}")
    assert len(list(first.one("tbody"))) == 20
    second = browser.get(first.links()["Next"])
    assert len(list(second.one("tbody"))) == 1
    assert "nothing on this page" in browser.get(f"/smtps/{smtp_id}?page=3").text
