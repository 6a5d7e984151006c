"""The result of a check: what to do first, what may be kept, and a check that is cancelled."""

from __future__ import annotations

import dataclasses
import time

import pytest
from sqlalchemy import update

from smtpweb.checking import service
from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db
from smtpweb.mailcheck import Encryption, Mode
from smtpweb.mailcheck.diagnosis.catalogue import causes
from smtpweb.web.presentation import causes as presented
from tests.support.browser import Browser, words
from tests.support.factories import count, for_server, only_check
from tests.support.fake_smtp import SILENCE, fake_smtp
from tests.support.people import Person
from tests.support.threads import until

LOGIN = {"auth": "true", "username": "shop", "password": "s3cret"}
OTHER = Mode(465, Encryption.IMPLICIT)


def failed_with_another_mode(alice: Person, idapp: str, *modes: Mode) -> str:
    """A server whose last check was refused, and found that these modes work; its id."""
    with fake_smtp() as closed:
        pass  # nothing listens on its port any more
    given = LOGIN | {"host": "127.0.0.1", "port": closed.port, "starttls": "true"}
    smtp_id: str = alice.make_smtp(idapp, **given)["_id"]
    assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 406
    with alice.app.app_context():
        row = db.session.query(Check).one()
        assert row.report is not None
        report = dataclasses.replace(row.report, alternatives=modes or (OTHER,))
        db.session.execute(update(Check).values(report_json=report.to_dict()))
        db.session.commit()
    return smtp_id


def test_found_mode_is_the_first_step_and_refuted_steps_are_gone(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = failed_with_another_mode(alice, idapp)
    page = browser.get(f"/checks/{only_check(alice.app).id}")
    (advice,) = [one for one in page.all("ol") if one.get("class") == "advice"]
    (step,) = list(advice)
    assert words(step).startswith("Use port 465 with Implicit TLS: there the same host answers")
    (link,) = list(step.iter("a"))
    assert link.get("href") == f"/smtps/{smtp_id}/edit?port=465&encryption=implicit"
    assert "the mail service on" not in page.text
    assert "1. Use port 465 with Implicit TLS" in words(page.by_id("diagnosis"))


def test_steps_that_still_hold_are_numbers_of_steps() -> None:
    kept = {cause.id: cause.still for cause in causes() if cause.still}
    assert kept["SMTP_CONNECT_PORT_25_BLOCKED"] == (2,)
    for cause in causes():
        assert all(1 <= number <= len(cause.steps) for number in cause.still), cause.id


def test_step_that_still_holds_is_kept(alice: Person, idapp: str) -> None:
    failed_with_another_mode(alice, idapp)
    report = only_check(alice.app).report
    assert report is not None
    facts = {"host": "mail.example.net", "port": "25"}
    report = dataclasses.replace(report, code="SMTP_CONNECT_PORT_25_BLOCKED", facts=facts)
    with alice.app.test_request_context():
        said = presented.said(report)
        assert said is not None
        assert [step[:25] for step in said.advice] == ["If it must be port 25, as"]


def test_password_is_kept_for_a_proven_port_of_the_same_host_once_asked(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = failed_with_another_mode(alice, idapp)
    path = f"/smtps/{smtp_id}/edit"
    page = browser.get(f"{path}?port=465&encryption=implicit")
    assert "Keep the stored password" in page.text
    form = page.form()
    assert form.value("keep_password") == ""  # it is asked, not decided
    page = browser.send(page, form, "Save without checking")
    assert page.status == 422
    assert list(page.errors()) == ["smtp_secret"]
    page = browser.send(page, page.form().fill(keep_password=True), "Save without checking")
    assert page.url == f"/smtps/{smtp_id}"
    smtp = alice.smtp(smtp_id)
    assert (smtp["port"], smtp["sslTls"], smtp["password"]) == (465, True, "s3cret")


@pytest.mark.parametrize(
    "changes",
    [
        {"port": "2465"},
        {"encryption": "none"},
        {"encryption": "starttls"},
        {"host": "127.0.0.2"},
        {"smtp_login": "other"},
    ],
)
def test_password_is_not_kept_for_anything_else(
    browser: Browser, alice: Person, idapp: str, changes: dict[str, str]
) -> None:
    smtp_id = failed_with_another_mode(alice, idapp)
    page = browser.get(f"/smtps/{smtp_id}/edit?port=465&encryption=implicit")
    form = page.form().fill(keep_password=True, **changes)
    page = browser.send(page, form, "Save without checking")
    assert page.status == 422
    assert "smtp_secret" in page.errors()
    assert "Keep the stored password" not in page.text
    assert alice.smtp(smtp_id)["port"] != 465


def test_password_is_not_kept_without_a_check_that_proves_the_port(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = failed_with_another_mode(alice, idapp, Mode(587, Encryption.STARTTLS))
    page = browser.get(f"/smtps/{smtp_id}/edit?port=465&encryption=implicit")
    assert "Keep the stored password" not in page.text
    data = page.form().values | {"keep_password": ["y"]}
    page = browser.post(page.url, data | {"save": ["Save without checking"]})
    assert page.status == 422


def test_check_is_cancelled_at_once_and_says_nothing_about_the_server(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("shop", "s3cret"), replies={"EHLO": SILENCE}) as server:
        page = browser.submit(
            f"/apps/{idapp}/smtps/new", "Save and send a test email to alice@example.com",
            **for_server(server),
        )  # fmt: skip
        assert page.heading == "Check in progress"
        until(lambda: bool(server.heard))
        started = time.monotonic()
        page = browser.press(page, f"{page.url}/cancel")
        assert page.heading == "Check cancelled"
        assert "Cancelled" in page.text
        with alice.app.app_context():
            until(lambda: is_idle(alice))
        assert time.monotonic() - started < 4  # of a check that waits for five seconds
    smtp = alice.smtps(idapp)[0]
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)
    row = only_check(alice.app)
    assert (row.finished, row.accepted) == (None, None)
    page = browser.get(f"/smtps/{smtp['_id']}")
    assert "Cancelled" in page.text
    assert "last check cancelled" in browser.get(f"/apps/{idapp}").text


def is_idle(alice: Person) -> bool:
    db.session.rollback()
    return db.session.query(Smtp).one().checking_until is None


def test_check_that_has_ended_is_not_cancelled(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        alice.make_smtp(idapp, host=server.host, port=server.port)
        smtp_id = alice.smtps(idapp)[0]["_id"]
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
    check_id = only_check(alice.app).id
    token = browser.get("/apps/new").form().values["csrf_token"]
    page = browser.post(f"/checks/{check_id}/cancel", {"csrf_token": token})
    assert "The check had ended already." in page.text
    assert page.heading == "The server accepted the test email"


def test_check_of_somebody_else_is_not_cancelled(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    smtp_id = failed_with_another_mode(alice, idapp)
    with alice.app.app_context():
        check_id = db.session.query(Check).filter_by(smtp_id=smtp_id).one().id
        with pytest.raises(Exception, match="no check with this id"):
            service.cancel(charlie.user_id, check_id)
    assert count(alice.app, Check) == 1
