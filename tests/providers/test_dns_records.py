"""What DNS says about a sender domain and about our own address, by a DNS server on loopback."""

from __future__ import annotations

import time

import pytest

from smtpweb.providers.dns_records import own_address, sender_domain
from smtpweb.providers.dns_records.lookup import Finding, State
from tests.support.dns_zones import GOOD
from tests.support.fake_dns import Records, fake_dns

HOST = "smtp.office365.com"


def examine(
    changes: Records | None = None, *, domain: str = "shop.example", host: str = HOST
) -> dict[str, Finding]:
    records = {key: value for key, value in (GOOD | (changes or {})).items() if value}
    with fake_dns(records) as server:
        found = sender_domain.examine(domain, host, server.resolver, 2.0)
    return {finding.subject: finding for finding in found}


def states(**changes: object) -> dict[str, str]:
    found = examine(**changes)  # type: ignore[arg-type]
    return {name: str(finding.state) for name, finding in found.items()}


def test_records_in_order_are_good() -> None:
    found = examine()
    assert {str(finding.state) for finding in found.values()} == {"good"}
    assert found["spf"].record == "v=spf1 include:spf.protection.outlook.com -all"
    assert "1 of at most 10" in found["spf"].text
    assert "selector1" in found["dkim"].text
    assert "refused" in found["dmarc"].text


@pytest.mark.parametrize("failure", ["SERVFAIL", "SILENCE"])
def test_dns_that_does_not_answer_is_unknown_and_no_alarm(failure: str) -> None:
    silent: Records = dict.fromkeys(GOOD, failure)
    silent |= {
        (name, kind): failure for name in ("shop.example",) for kind in ("MX", "TXT", "A", "AAAA")
    }
    silent[("selector2._domainkey.shop.example", "TXT")] = failure
    silent[("_dmarc.example", "TXT")] = failure
    begun = time.monotonic()
    assert set(states(changes=silent).values()) == {"unknown"}
    assert time.monotonic() - begun < 4


def test_include_that_dns_does_not_answer_for_is_unknown() -> None:
    changes: Records = {("spf.protection.outlook.com", "TXT"): "SERVFAIL"}
    assert states(changes=changes)["spf"] == "unknown"


@pytest.mark.parametrize(
    ("subject", "changes", "state", "words"),
    [
        ("mx", {("shop.example", "MX"): ["0 ."]}, "bad", "receives no email"),
        ("mx", {("shop.example", "MX"): []}, "bad", "cannot receive"),
        (
            "mx",
            {("shop.example", "MX"): [], ("shop.example", "A"): ["192.0.2.1"]},
            "note",
            "no MX record",
        ),
        ("spf", {("shop.example", "TXT"): []}, "bad", "no SPF record"),
        ("spf", {("shop.example", "TXT"): ['"v=spf10 -all"']}, "bad", "no SPF record"),
        (
            "spf",
            {("shop.example", "TXT"): ['"v=spf1 -all"', '"V=SPF1 ~all"']},
            "bad",
            "several SPF records",
        ),
        (
            "spf",
            {("shop.example", "TXT"): ['"v=spf1 include:_spf.google.com -all"'],
             ("_spf.google.com", "TXT"): ['"v=spf1 -all"']},
            "bad",
            "include:spf.protection.outlook.com",
        ),
        (
            "spf",
            {("shop.example", "TXT"): ['"v=spf1 include:nothing.example -all"']},
            "bad",
            "nothing.example",
        ),
        (
            "spf",
            {("shop.example", "TXT"): ['"v=spf1 include:spf.protection.outlook.com +all"']},
            "note",
            "every server",
        ),
        (
            "spf",
            {("shop.example", "TXT"): ['"v=spf1 redirect=_spf.shop.example"'],
             ("_spf.shop.example", "TXT"): [
                 '"v=spf1 include:spf.protection.outlook.com mx -all"']},
            "good",
            "3 of at most 10",
        ),
        ("dkim", {("selector1._domainkey.shop.example", "TXT"): []}, "bad", "no key"),
        (
            "dkim",
            {("selector1._domainkey.shop.example", "TXT"): ['"v=DKIM1; p="']},
            "bad",
            "no key",
        ),
        ("dmarc", {("_dmarc.shop.example", "TXT"): []}, "note", "no DMARC record"),
        (
            "dmarc",
            {("_dmarc.shop.example", "TXT"): ['"v=DMARC1; p=none"']},
            "note",
            "nothing happens",
        ),
        ("dmarc", {("_dmarc.shop.example", "TXT"): ['"v=DMARC1; p=maybe"']}, "bad", "not one of"),
        (
            "dmarc",
            {("_dmarc.shop.example", "TXT"): ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"']},
            "bad",
            "several DMARC",
        ),
    ],
)  # fmt: skip
def test_fault_is_named(subject: str, changes: Records, state: str, words: str) -> None:
    finding = examine(changes)[subject]
    assert (str(finding.state), words in finding.text) == (state, True), finding


def test_look_ups_are_counted_through_includes() -> None:
    changes: Records = {
        ("shop.example", "TXT"): [
            '"v=spf1 a mx include:spf.protection.outlook.com include:big.example -all"'
        ],
        ("big.example", "TXT"): [
            '"v=spf1 ' + " ".join(f"exists:e{number}.example" for number in range(7)) + ' -all"'
        ],
    }
    finding = examine(changes)["spf"]
    assert finding.state is State.BAD
    assert "11 DNS look-ups" in finding.text


def test_loop_of_includes_ends() -> None:
    changes: Records = {
        ("shop.example", "TXT"): ['"v=spf1 include:a.example -all"'],
        ("a.example", "TXT"): ['"v=spf1 include:shop.example include:a.example -all"'],
    }
    assert states(changes=changes)["spf"] == "bad"


def test_policy_of_a_subdomain_is_that_of_its_parent() -> None:
    changes: Records = {
        ("_dmarc.shop.example", "TXT"): ['"v=DMARC1; p=none; sp=quarantine"'],
    }
    finding = examine(changes, domain="mail.shop.example")["dmarc"]
    assert "spam folder" in finding.text


def test_policy_that_nothing_satisfies_is_a_problem() -> None:
    changes: Records = {
        ("shop.example", "TXT"): [],
        ("selector1._domainkey.shop.example", "TXT"): [],
    }
    finding = examine(changes)["dmarc"]
    assert (finding.state, "Neither SPF nor DKIM" in finding.text) == (State.BAD, True)


def test_unknown_provider_raises_no_alarm_about_includes_and_selectors() -> None:
    found = states(host="mail.example.net")
    assert (found["spf"], found["dkim"]) == ("note", "unknown")


def test_domain_of_the_provider_is_signed_by_it() -> None:
    found = examine({}, domain="gmail.com", host="smtp.gmail.com")
    assert found["dkim"].state is State.GOOD


def test_hostile_record_is_cleaned_and_cut() -> None:
    changes: Records = {
        ("shop.example", "TXT"): ['"v=spf1 \\027[31m' + "x" * 200 + '"'] * 1,
    }
    assert "\x1b" not in examine(changes)["spf"].record


# --- our own address -----------------------------------------------------------------------

OURS: Records = {
    ("mail.ours.example", "A"): ["203.0.113.9"],
    ("9.113.0.203.in-addr.arpa", "PTR"): ["mail.ours.example."],
}


def ours(
    changes: Records | None = None,
    *,
    name: str | None = "mail.ours.example",
    source: str | None = "203.0.113.9",
    zones: tuple[str, ...] = (),
) -> list[tuple[str, str]]:
    records = {key: value for key, value in (OURS | (changes or {})).items() if value}
    with fake_dns(records) as server:
        found = own_address.examine(name, source, zones, server.resolver, 2.0)
    return [(finding.subject, str(finding.state)) for finding in found]


def test_own_address_in_order_is_good() -> None:
    assert ours() == [("ehlo", "good"), ("reverse", "good")]
    assert ours(source=None) == [("ehlo", "good"), ("reverse", "good")]


@pytest.mark.parametrize(
    ("changes", "subject", "state"),
    [
        ({("mail.ours.example", "A"): []}, "ehlo", "bad"),
        ({("mail.ours.example", "A"): ["192.0.2.1"]}, "ehlo", "bad"),
        ({("mail.ours.example", "A"): "SERVFAIL"}, "ehlo", "unknown"),
        ({("9.113.0.203.in-addr.arpa", "PTR"): []}, "reverse", "bad"),
        ({("9.113.0.203.in-addr.arpa", "PTR"): "SERVFAIL"}, "reverse", "unknown"),
        ({("9.113.0.203.in-addr.arpa", "PTR"): ["other.example."]}, "reverse", "bad"),
        (
            {
                ("9.113.0.203.in-addr.arpa", "PTR"): ["other.example."],
                ("other.example", "A"): ["203.0.113.9"],
            },
            "reverse",
            "note",
        ),
    ],
)
def test_fault_of_our_address_is_named(changes: Records, subject: str, state: str) -> None:
    assert (subject, state) in ours(changes)


@pytest.mark.parametrize("name", [None, "[203.0.113.9]"])
def test_address_literal_as_ehlo_name_is_a_problem(name: str | None) -> None:
    assert ours(name=name)[0] == ("ehlo", "bad")


@pytest.mark.parametrize(
    ("answer", "state"),
    [(["127.0.0.2"], "bad"), ([], "good"), (["127.255.255.254"], "unknown"),
     ("SERVFAIL", "unknown"), (["192.0.2.1"], "unknown")],
)  # fmt: skip
def test_block_list_is_asked_only_if_it_is_set(answer: list[str] | str, state: str) -> None:
    changes: Records = {("9.113.0.203.bl.example", "A"): answer}
    assert ("blocklist", state) in ours(changes, zones=("bl.example",))
    assert "blocklist" not in dict(ours(changes))
