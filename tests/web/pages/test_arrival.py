"""The link in a test mail: its reader, signed in or not, says that the mail arrived."""

from __future__ import annotations

import dataclasses
import re

import pytest
from flask import Flask

from smtpweb.database.models import Check
from smtpweb.database.session import db
from tests.support.browser import Browser, one_database
from tests.support.factories import CHECK, for_server, only_check
from tests.support.fake_smtp import FakeServer, fake_smtp

LINK = re.compile(rb"\r\n    (https?://[^/\r\n]+)(/received/[A-Za-z0-9_-]{43})\r\n")


def link_in(server: FakeServer) -> tuple[str, str]:
    """The base URL and the path of the link in the only mail."""
    [(_, _, mail)] = server.mails
    found = LINK.search(mail)
    assert found, mail
    return found[1].decode(), found[2].decode()


@pytest.fixture
def checked(browser, idapp):
    """The page of a check that was accepted, and the path of the link in its mail."""
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        page = browser.result(page)
    base, path = link_in(server)
    assert base == "http://localhost"
    return page, path


def test_who_received_the_mail_says_so_and_the_check_shows_it(app, browser, checked):
    page, path = checked
    assert "Accepted is not yet delivered" in page.text
    assert "What to do next" in page.text
    reader = Browser(app)  # whoever reads the mailbox has no account here
    asked = reader.get(path)
    assert asked.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert asked.headers["Referrer-Policy"] == "same-origin"  # the link goes to no other site
    assert "alice" not in asked.html
    assert only_check(app).arrived is None, "looking at it must confirm nothing"
    thanked = reader.send(asked, asked.form(), "I received this mail")
    assert (thanked.status, thanked.heading) == (200, "Thank you: the arrival is confirmed")
    assert only_check(app).arrived is not None
    told = browser.get(page.url).text
    assert re.search("Arrival confirmed after [0-9]+ s", told)
    assert "What to do next" not in told, "it came, so nobody has to look for it"
    smtp = browser.get(browser.get(page.url).links()[f"127.0.0.1:{only_check(app).report.port}"])
    assert "Arrival confirmed after" in smtp.text


@one_database
def test_a_link_is_good_for_one_time(app, checked):
    _, path = checked
    reader = Browser(app)
    asked = reader.get(path)
    reader.send(asked, asked.form())
    first = only_check(app).arrived
    again = reader.send(asked, asked.form())
    assert (again.status, again.heading) == (410, "This link was used already")
    assert reader.get(path, status=410).heading == "This link was used already"
    assert only_check(app).arrived == first


@one_database
@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 44, "%00" * 43, "é" * 43, "A" * 9000])
def test_a_link_that_is_none_is_not_found(app, checked, token):
    reader = Browser(app)
    assert reader.get(f"/received/{token}", status=404).heading == "Link not found"
    asked = reader.get(checked[1])
    form = asked.form()
    form.action = f"/received/{token}"
    assert reader.send(asked, form).status == 404
    assert only_check(app).arrived is None


@one_database
def test_the_link_is_stored_and_shown_nowhere(app, browser, checked):
    page, path = checked
    token = path.rpartition("/")[2]
    assert token not in page.html
    with app.app_context():
        row = db.session.query(Check).one()
        kept = {column.name: getattr(row, column.key, None) for column in Check.__table__.columns}
        assert token not in str(kept) + str(row.report_json)
        assert len(row.arrival_digest or "") == 64


@one_database
def test_the_owner_finds_the_way_back_to_the_check(browser, checked):
    page, path = checked
    assert browser.get(path).links()["To the check"] == page.url


@one_database
@pytest.mark.parametrize("setting", ["https://smtps.example.com/in", None])
def test_a_check_by_the_api_has_the_link_too_and_the_setting_says_where_it_leads(
    app: Flask, alice, idapp, setting
):
    settings = app.extensions["smtpweb.settings"]
    app.extensions["smtpweb.settings"] = dataclasses.replace(settings, base_url=setting)
    with fake_smtp() as server:
        smtp = alice.make_smtp(idapp, host=server.host, port=server.port)
        assert alice.post("/private/smtps/check", idsmtp=smtp["_id"]).status_code == 200
    [(_, _, mail)] = server.mails
    assert f"    {setting or 'http://localhost'}/received/".encode() in mail
