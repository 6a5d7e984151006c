"""Find my settings: a real DNS server and real SMTP servers, both on loopback."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from flask import Flask

from smtpweb.checking import limits
from smtpweb.config import Settings
from smtpweb.extensions import services
from smtpweb.mailcheck import EgressPolicy
from smtpweb.mailcheck.core import addresses
from smtpweb.providers import discovery
from tests.conftest import settings_for
from tests.support.browser import Browser, Page, one_database, signed_in, words
from tests.support.factories import SAVE, forget_default_from
from tests.support.fake_certificates import ca_file
from tests.support.fake_dns import FakeDns, Records, fake_dns
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person
from tests.support.threads import in_background, until

pytestmark = one_database

WORKS, FAILS = "Answers with a valid certificate", "Does not answer from here"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, ca_file=ca_file())


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the providers are called, they are here."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 smtp.gmail.com smtp.office365.com\n")
    monkeypatch.setattr(addresses, "HOSTS_FILE", hosts)


@contextmanager
def dns_of(app: Flask, records: Records) -> Iterator[FakeDns]:
    with fake_dns(records) as dns:
        services(app).resolver = dns.resolver
        yield dns


def find(browser: Browser, idapp: str, address: str) -> Page:
    page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email=address)
    assert page.status == 200
    return page


def proposals(page: Page) -> list[str]:
    return [words(item) for item in page.all("li") if "proposal" in item.get("class", "")]


def srv(*records: tuple[str, int, int, int, str]) -> Records:
    return {
        (f"_{service}._tcp.example.org", "SRV"): [f"{priority} {weight} {port} {host}."]
        for service, priority, weight, port, host in records
    }


def test_known_provider_is_proposed_without_asking_dns(
    browser: Browser, idapp: str, app: Flask, on_loopback: None
) -> None:
    with dns_of(app, {}) as dns:
        page = find(browser, idapp, "Ana@GMail.com")
        assert dns.asked == []
    first, second = proposals(page)
    assert "smtp.gmail.com:465 Implicit TLS Known provider: Gmail" in first
    assert "smtp.gmail.com:587 STARTTLS" in second
    assert FAILS in first and FAILS in second  # nothing listens there


def test_srv_records_are_proposed_and_probed_and_fill_the_form(
    browser: Browser, alice: Person, idapp: str, app: Flask
) -> None:
    with fake_smtp(tls="implicit") as tls, fake_smtp(tls="starttls") as starttls:
        records = srv(
            ("submissions", 0, 1, tls.port, "localhost"),
            ("submission", 0, 1, starttls.port, "localhost"),
        )
        with dns_of(app, records) as dns:
            page = find(browser, idapp, "ana@example.org")
            assert set(dns.asked) == {*records, ("example.org", "MX")}
        first, second = proposals(page)
        assert f"localhost:{tls.port} Implicit TLS SRV record of example.org" in first
        assert f"localhost:{starttls.port} STARTTLS SRV record of example.org" in second
        assert WORKS in first and WORKS in second
        assert "outside example.org" in first  # RFC 6186 6: to be confirmed
        for server in (tls, starttls):
            assert server.mails == []
            assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)
        used = next(a.attrib["href"] for a in page.all("a") if words(a) == "Use these settings")
        page = browser.get(used)
        form = page.form()
        assert form.value("host") == "localhost"
        assert (form.value("port"), form.value("encryption")) == (str(tls.port), "implicit")
        assert form.value("smtp_login") == "ana@example.org"
        assert form.value("defaultfromemail") == "ana@example.org"  # the app's From is another
        assert "Not saved yet" in page.text
        browser.send(page, form.fill(auth=False), SAVE)
        (smtp,) = alice.smtps(idapp)
        assert (smtp["host"], smtp["port"], smtp["sslTls"]) == ("localhost", tls.port, True)


@pytest.mark.parametrize(
    ("address", "user_name"),
    [("Ana@gmail.com", "Ana@gmail.com"), ("ana@qq.com", "ana@qq.com")],
)
def test_discovered_address_goes_into_user_name_and_from(
    browser: Browser, alice: Person, app: Flask, on_loopback: None, address: str, user_name: str
) -> None:
    own = alice.make_app("without a From")["_id"]
    forget_default_from(alice.app, own)
    with dns_of(app, {}):
        page = find(browser, own, address)
    used = next(a.attrib["href"] for a in page.all("a") if words(a) == "Use these settings")
    page = browser.get(used)
    form = page.form()
    assert (form.value("smtp_login"), form.value("defaultfromemail")) == (user_name, address)
    assert "Filled in for you: Host, " in page.text and "User name, From address" in page.text


def test_proposal_that_does_not_answer_stands_last_and_says_why(
    browser: Browser, idapp: str, app: Flask
) -> None:
    with (
        fake_smtp(tls="implicit", certificate="expired") as expired,
        fake_smtp() as plain,
        fake_smtp(tls="starttls") as good,
        dns_of(
            app,
            {
                ("_submissions._tcp.example.org", "SRV"): [f"0 1 {expired.port} localhost."],
                ("_submission._tcp.example.org", "SRV"): [
                    f"20 1 {good.port} localhost.",
                    f"10 1 {plain.port} localhost.",
                ],
            },
        ),
    ):
        page = find(browser, idapp, "ana@example.org")
        first, second, third = proposals(page)
        assert str(good.port) in first and WORKS in first
        assert str(expired.port) in second and "expired" in second
        assert str(plain.port) in third and "STARTTLS" in third and FAILS in third


def test_srv_records_come_by_priority_then_weight_and_four_are_enough(
    browser: Browser, idapp: str, app: Flask
) -> None:
    records: Records = {
        ("_submission._tcp.example.org", "SRV"): [
            f"{priority} {weight} {port} localhost."
            for priority, weight, port in (
                (10, 1, 1002), (20, 9, 1004), (10, 5, 1001), (30, 0, 1005), (10, 0, 1003),
            )
        ]
    }  # fmt: skip
    with dns_of(app, records):
        shown = proposals(find(browser, idapp, "ana@example.org"))
    assert [text.split()[0] for text in shown] == [f"localhost:{1000 + n}" for n in (1, 2, 3, 4)]


def test_srv_target_of_a_dot_means_that_there_is_none(
    browser: Browser, idapp: str, app: Flask
) -> None:
    with dns_of(app, srv(("submissions", 0, 0, 0, ""))):
        page = find(browser, idapp, "ana@example.org")
    assert proposals(page) == []
    assert "says that there is no submissions" in page.text
    assert "No settings found" in page.text


def test_mx_names_the_provider(browser: Browser, idapp: str, app: Flask, on_loopback: None) -> None:
    records: Records = {
        ("example.org", "MX"): [
            "20 elsewhere.example.",
            "10 example-org.mail.protection.outlook.com.",
        ]
    }
    with dns_of(app, records):
        page = find(browser, idapp, "ana@example.org")
    (only,) = proposals(page)
    assert "smtp.office365.com:587" in only
    assert "Email for example.org is handled by Microsoft 365" in only


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "The domain example.org does not exist in DNS. Check its spelling"),
        (
            {("example.org", "MX"): "SERVFAIL"},
            "The MX records of example.org could not be looked up",
        ),
        ({("_submission._tcp.example.org", "SRV"): "SILENCE"}, "did not answer in time"),
        ({("example.org", "MX"): ["0 ."]}, "No settings found"),
        ({("example.org", "MX"): ["5 mail.example.org."]}, "No settings found"),
    ],
)
def test_dns_failures_are_said_in_words(
    browser: Browser,
    idapp: str,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    answer: Records,
    said: str,
) -> None:
    monkeypatch.setattr(discovery, "DNS_LIFETIME", 0.3)
    with dns_of(app, answer):
        page = find(browser, idapp, "ana@example.org")
    assert said in page.text
    assert proposals(page) == []


def test_names_in_other_scripts_are_asked_for_as_dns_has_them(
    browser: Browser, idapp: str, app: Flask
) -> None:
    with dns_of(app, {}) as dns:
        page = find(browser, idapp, "ana@münchen.example")
    assert ("xn--mnchen-3ya.example", "MX") in dns.asked
    assert "No settings found. münchen.example is not a provider" in page.text


def test_egress_policy_holds_for_what_dns_answers(
    browser: Browser, idapp: str, app: Flask, alice: Person
) -> None:
    config = settings_for("sqlite://", egress=EgressPolicy.parse("", ""))
    services(app).settings = config
    with fake_smtp(tls="starttls") as server:
        records = srv(
            ("submission", 0, 0, server.port, "localhost"), ("submissions", 0, 0, 465, "localhost")
        )
        with dns_of(app, records):
            page = find(browser, idapp, "ana@example.org")
        assert all(FAILS in one for one in proposals(page))
        assert len(proposals(page)) == 2
        assert server.connections == 0


@pytest.mark.parametrize("address", ["", "nobody", "ana@exa mple.org", "ana@" + "x" * 300])
def test_discovery_of_a_bad_address_is_an_error_at_its_field(
    browser: Browser, idapp: str, address: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email=address)
    assert page.status == 422
    assert list(page.errors()) == ["email"]


def test_searches_are_counted_and_take_a_slot(browser: Browser, idapp: str, app: Flask) -> None:
    configured = services(app).settings
    services(app).settings = dataclasses.replace(configured, checks_per_user=1)
    with dns_of(app, {}):
        slots = services(app).limits.checks
        taken = [slots for _ in range(100) if slots.acquire(blocking=False)]
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
        assert "Too many checks are running" in page.text
        for one in taken:
            one.release()
        find(browser, idapp, "ana@example.org")
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
    assert page.status == 429
    assert "You can run at most 1 searches in 10 minutes" in page.text
    assert int(page.headers["Retry-After"]) > 500


def test_searches_of_one_user_leave_room_for_others(
    browser: Browser, alice: Person, charlie: Person, idapp: str, app: Flask
) -> None:
    """Each holds a place of a check for as long as DNS is silent."""
    elsewhere = charlie.make_app("blog")["_id"]
    stranger = signed_in(app, charlie)
    silence = ("_submission._tcp.example.org", "SRV")

    def under_way() -> int:
        with app.app_context():
            return limits._usage(alice.user_id, limits.SEARCH).under_way

    with dns_of(app, {silence: "SILENCE"}) as dns:
        others = [signed_in(app, alice) for _ in range(2)]
        begun = [in_background(partial(find, one, idapp, "a@example.org")) for one in others]
        until(lambda: under_way() == 2)
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
        assert page.status == 429
        assert "You already have 2 searches running. Wait until one of them is done." in page.text
        dns.records[silence] = ["0 0 0 ."]  # when it is asked again
        assert find(stranger, elsewhere, "ana@example.org").status == 200
        for thread, _found in begun:
            thread.join()
        assert find(browser, idapp, "ana@example.org").status == 200


def test_discovery_is_linked_where_it_is_needed(browser: Browser, idapp: str) -> None:
    label = "Find my settings from an email address"
    for path in (f"/apps/{idapp}", f"/apps/{idapp}/smtps/new"):
        assert browser.get(path).links()[label] == f"/apps/{idapp}/smtps/find"
