"""What is known of providers is consistent in itself, and with what a check knows of them."""

from __future__ import annotations

import datetime
import tomllib

import pytest

from smtpweb import validators
from smtpweb.mailcheck import Encryption
from smtpweb.mailcheck.diagnosis.providers import Role, provider_of, providers, role_of
from smtpweb.providers import presets
from smtpweb.providers.presets import Preset

ENTRIES = tomllib.loads(presets.FILE.read_text())["provider"]
SPOKEN = {
    465: {Encryption.IMPLICIT},
    2465: {Encryption.IMPLICIT},
    587: {Encryption.STARTTLS},
    2525: {Encryption.STARTTLS},
    2587: {Encryption.STARTTLS},
    25: {Encryption.STARTTLS},
    1025: {Encryption.STARTTLS, Encryption.NONE},  # on one's own machine
}


@pytest.mark.parametrize("preset", presets.presets(), ids=lambda preset: preset.id)
def test_preset_can_be_filled_into_the_form(preset: Preset) -> None:
    assert preset.modes
    for mode in preset.modes:
        assert mode.encryption in SPOKEN[mode.port]
        assert mode.port not in preset.missing
    for host in preset.hosts.values():
        name = f"mine{host}" if host.startswith(".") else host
        assert validators.host(name) == name
        if "127.0.0.1" not in host and host != "localhost":
            assert presets.of_host(name) is preset
    for host in (*preset.domains, *preset.mx):
        assert host in preset.hosts.values()
    assert preset.user and preset.password


def test_ids_labels_hosts_and_domains_are_unique() -> None:
    for seen in (
        [preset.id for preset in presets.presets()],
        [choice.label.casefold() for choice in presets.choices()],
        [choice.host for choice in presets.choices()],
        [d for p in presets.presets() for found in p.domains.values() for d in found],
        [m for p in presets.presets() for found in p.mx.values() for m in found],
    ):
        assert sorted(seen) == sorted(set(seen))
        assert seen


def test_presets_name_their_source_and_date() -> None:
    known = {"host", "hosts", "also", "modes", "missing", "word", "user", "password", "from",
             "passwords", "domains", "domains_of", "mx", "mx_of", "id", "name", "source",
             "checked", "spf", "dkim"}  # fmt: skip
    for entry in ENTRIES:
        assert set(entry) <= known, entry["id"]
        assert set(entry["source"].split()) <= set("WIOLV"), entry["id"]
        assert isinstance(entry["checked"], datetime.date), entry["id"]
        assert ("host" in entry) != ("hosts" in entry), entry["id"]
        assert ("word" in entry) != ("user" in entry), entry["id"]


def test_presets_are_the_providers_of_a_check_by_the_same_hosts() -> None:
    """The check has a file of its own, as it depends on nothing else; the ids tie both."""
    of_checks = {provider.id for provider in providers()}
    assert {preset.id for preset in presets.presets()} <= of_checks
    for choice in presets.choices():
        if choice.host in ("localhost", "127.0.0.1"):  # anything may listen there
            assert provider_of(choice.host) is None
            continue
        host = f"mine{choice.host}" if choice.host.startswith(".") else choice.host
        found = provider_of(host)
        assert found and found.id == choice.preset.id, choice.host
        assert role_of(host) in (Role.SUBMISSION, Role.RELAY, Role.SANDBOX), choice.host


def test_presets_mx_hosts_are_not_taken_for_submission() -> None:
    for preset in presets.presets():
        for endings in preset.mx.values():
            for ending in endings:
                # Some providers receive and submit below the same name; none submits at "mx"
                for label in ("mx1", "mx01.emig", "mx-in"):
                    assert role_of(f"{label}.{ending}") in (None, Role.MX), (label, ending)


@pytest.mark.parametrize(
    ("typed", "hosts"),
    [
        ("sendgrid", ["smtp.sendgrid.net"]),
        ("Gmail", ["smtp.gmail.com"]),
        ("hotm", ["smtp-mail.outlook.com"]),
        (" Mailgun (EU) ", ["smtp.eu.mailgun.org"]),
        ("frankfurt", ["email-smtp.eu-central-1.amazonaws.com"]),
        ("smtp.resend.com", ["smtp.resend.com"]),
        ("Zoho Mail", ["smtp.zoho.com"]),
        ("mailgun", ["smtp.eu.mailgun.org", "smtp.mailgun.org"]),
        ("nobody", []),
        (" ", []),
    ],
)
def test_preset_is_found_by_its_label_by_a_word_of_it_or_by_its_host(
    typed: str, hosts: list[str]
) -> None:
    assert [choice.host for choice in presets.named(typed)] == hosts


def test_owner_of_a_domain_is_known_by_its_addresses_or_its_mx() -> None:
    for choice, host in (
        (presets.of_domain("GMX.de"), "mail.gmx.net"),
        (presets.of_domain("gmx.com"), "mail.gmx.com"),
        (presets.of_mx("aspmx.l.google.com."), "smtp.gmail.com"),
    ):
        assert choice
        assert choice.host == host
    by_mx = presets.of_mx("example-org.mail.protection.outlook.com")
    assert by_mx
    assert by_mx.preset.id == "microsoft"
    assert presets.of_mx("notgoogle.com") is None


def test_user_name_follows_from_an_address_only_where_the_provider_says_so() -> None:
    def of(preset: Preset) -> str:
        return preset.username_of("ana@example.org")

    for preset in presets.presets():
        expected = {"address": "ana@example.org", "local": "ana"}.get(preset.user_form, preset.word)
        assert of(preset) == expected, preset.id
    assert {of(preset) for preset in presets.presets()} >= {"ana@example.org", "ana", "apikey", ""}
