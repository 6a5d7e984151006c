"""Find my settings: a real DNS server and real SMTP servers, both on loopback."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

import pytest

from smtpweb.checking import limits
from smtpweb.mailcheck import EgressPolicy
from smtpweb.mailcheck.core import addresses
from smtpweb.providers import discovery
from tests.conftest import settings_for
from tests.support.browser import one_database, signed_in, words
from tests.support.factories import SAVE, forget_default_from
from tests.support.fake_certificates import ca_file
from tests.support.fake_dns import fake_dns
from tests.support.fake_smtp import fake_smtp
from tests.web.api.test_check import in_background, until

pytestmark = one_database

WORKS, FAILS = "Answers, certificate valid", "Does not answer from here"


@pytest.fixture
def settings(database_url):
    return settings_for(database_url, ca_file=ca_file())


@pytest.fixture
def on_loopback(monkeypatch, tmp_path):
    """Whatever the providers are called, they are here."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 smtp.gmail.com smtp.office365.com\n")
    monkeypatch.setattr(addresses, "HOSTS_FILE", hosts)


@contextmanager
def dns_of(app, records):
    with fake_dns(records) as dns:
        app.extensions["smtpweb.dns"] = dns.resolver
        yield dns


def find(browser, idapp, address):
    page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email=address)
    assert page.status == 200
    return page


def proposals(page) -> list[str]:
    return [words(item) for item in page.all("li") if "proposal" in item.get("class", "")]


def srv(*records):
    return {
        (f"_{service}._tcp.example.org", "SRV"): [f"{priority} {weight} {port} {host}."]
        for service, priority, weight, port, host in records
    }


def test_a_known_provider_is_proposed_without_asking_dns(browser, idapp, app, on_loopback):
    with dns_of(app, {}) as dns:
        page = find(browser, idapp, "Ana@GMail.com")
        assert dns.asked == []
    first, second = proposals(page)
    assert "smtp.gmail.com:465 TLS from the start Known provider: Gmail" in first
    assert "smtp.gmail.com:587 STARTTLS" in second
    assert FAILS in first and FAILS in second  # nothing listens there


def test_srv_records_are_proposed_and_probed_and_fill_the_form(browser, alice, idapp, app):
    with fake_smtp(tls="implicit") as tls, fake_smtp(tls="starttls") as starttls:
        records = srv(
            ("submissions", 0, 1, tls.port, "localhost"),
            ("submission", 0, 1, starttls.port, "localhost"),
        )
        with dns_of(app, records) as dns:
            page = find(browser, idapp, "ana@example.org")
            assert set(dns.asked) == {*records, ("example.org", "MX")}
        first, second = proposals(page)
        assert f"localhost:{tls.port} TLS from the start SRV record of example.org" in first
        assert f"localhost:{starttls.port} STARTTLS SRV record of example.org" in second
        assert WORKS in first and WORKS in second
        assert "outside of example.org" in first  # RFC 6186 6: to be confirmed
        for server in (tls, starttls):
            assert server.mails == []
            assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)
        used = next(a.get("href") for a in page.all("a") if words(a) == "Use these")
        page = browser.get(used)
        form = page.form()
        assert form.value("host") == "localhost"
        assert (form.value("port"), form.value("encryption")) == (str(tls.port), "implicit")
        assert form.value("smtp_login") == "ana@example.org"
        assert form.value("defaultfromemail") == ""  # the app has a From of its own
        assert "Not saved yet" in page.text
        browser.send(page, form.fill(auth=False), SAVE)
        (smtp,) = alice.smtps(idapp)
        assert (smtp["host"], smtp["port"], smtp["sslTls"]) == ("localhost", tls.port, True)


@pytest.mark.parametrize(
    ("address", "user_name"),
    [("Ana@gmail.com", "Ana@gmail.com"), ("ana@qq.com", "ana@qq.com")],
)
def test_the_address_goes_into_user_name_and_from(
    browser, alice, app, on_loopback, address, user_name
):
    own = alice.make_app("without a From")["_id"]
    forget_default_from(alice.app, own)
    with dns_of(app, {}):
        page = find(browser, own, address)
    used = next(a.get("href") for a in page.all("a") if words(a) == "Use these")
    page = browser.get(used)
    form = page.form()
    assert (form.value("smtp_login"), form.value("defaultfromemail")) == (user_name, address)
    assert "Filled in for you: Host, " in page.text and "User name, From email" in page.text


def test_what_does_not_answer_stands_last_and_says_why(browser, idapp, app):
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


def test_the_lowest_priority_then_the_greatest_weight_comes_first_and_four_are_enough(
    browser, idapp, app
):
    records = {
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


def test_a_dot_as_target_means_that_there_is_none(browser, idapp, app):
    with dns_of(app, srv(("submissions", 0, 0, 0, ""))):
        page = find(browser, idapp, "ana@example.org")
    assert proposals(page) == []
    assert "says that it has no submissions" in page.text
    assert "Nothing was found" in page.text


def test_the_mx_tells_the_provider(browser, idapp, app, on_loopback):
    records = {
        ("example.org", "MX"): [
            "20 elsewhere.example.",
            "10 example-org.mail.protection.outlook.com.",
        ]
    }
    with dns_of(app, records):
        page = find(browser, idapp, "ana@example.org")
    (only,) = proposals(page)
    assert "smtp.office365.com:587" in only
    assert "Mail of example.org is handled by Microsoft 365" in only


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "DNS knows no domain example.org: check its spelling"),
        ({("example.org", "MX"): "SERVFAIL"}, "could not tell the MX records of example.org"),
        ({("_submission._tcp.example.org", "SRV"): "SILENCE"}, "gave no answer in time"),
        ({("example.org", "MX"): ["0 ."]}, "Nothing was found"),
        ({("example.org", "MX"): ["5 mail.example.org."]}, "Nothing was found"),
    ],
)
def test_what_dns_cannot_tell_is_said_in_words(browser, idapp, app, monkeypatch, answer, said):
    monkeypatch.setattr(discovery, "DNS_LIFETIME", 0.3)
    with dns_of(app, answer):
        page = find(browser, idapp, "ana@example.org")
    assert said in page.text
    assert proposals(page) == []


def test_names_in_other_scripts_are_asked_for_as_dns_has_them(browser, idapp, app):
    with dns_of(app, {}) as dns:
        page = find(browser, idapp, "ana@münchen.example")
    assert ("xn--mnchen-3ya.example", "MX") in dns.asked
    assert "Nothing was found: münchen.example is no provider" in page.text


def test_the_egress_policy_holds_for_what_dns_tells(browser, idapp, app, alice):
    config = settings_for("sqlite://", egress=EgressPolicy.parse("", ""))
    app.extensions["smtpweb.settings"] = config
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
def test_a_bad_address_is_an_error_at_its_field(browser, idapp, address):
    page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email=address)
    assert page.status == 422
    assert list(page.errors()) == ["email"]


def test_searches_are_counted_and_take_a_slot(browser, idapp, app):
    configured = app.extensions["smtpweb.settings"]
    app.extensions["smtpweb.settings"] = dataclasses.replace(configured, checks_per_user=1)
    with dns_of(app, {}):
        slots = app.extensions["smtpweb.limits"].checks
        taken = [slots for _ in range(100) if slots.acquire(blocking=False)]
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
        assert "Too many checks are under way" in page.text
        for one in taken:
            one.release()
        find(browser, idapp, "ana@example.org")
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
    assert page.status == 429
    assert "At most 1 searches in 10 minutes" in page.text
    assert int(page.headers["Retry-After"]) > 500


def test_the_searches_of_one_user_leave_room_for_others(browser, alice, charlie, idapp, app):
    """Each holds a place of a check for as long as DNS is silent."""
    elsewhere = charlie.make_app("blog")["_id"]
    stranger = signed_in(app, charlie)
    silence = ("_submission._tcp.example.org", "SRV")

    def under_way() -> int:
        with app.app_context():
            return limits.used_share(alice.user_id, limits.SEARCH)[0]

    with dns_of(app, {silence: "SILENCE"}) as dns:
        others = [signed_in(app, alice) for _ in range(2)]
        begun = [in_background(lambda one=one: find(one, idapp, "a@example.org")) for one in others]
        until(lambda: under_way() == 2)
        page = browser.submit(f"/apps/{idapp}/smtps/find", "Find", email="ana@example.org")
        assert page.status == 429
        assert "You have 2 searches under way: wait for one of them." in page.text
        dns.records[silence] = ["0 0 0 ."]  # when it is asked again
        assert find(stranger, elsewhere, "ana@example.org").status == 200
        for thread, _found in begun:
            thread.join()
        assert find(browser, idapp, "ana@example.org").status == 200


def test_the_way_to_it_stands_where_it_is_needed(browser, idapp):
    label = "Find my settings from a mail address"
    for path in (f"/apps/{idapp}", f"/apps/{idapp}/smtps/new"):
        assert browser.get(path).links()[label] == f"/apps/{idapp}/smtps/find"
