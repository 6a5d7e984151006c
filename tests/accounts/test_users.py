"""Names of accounts, and the networks that failed logins are counted for."""

from __future__ import annotations

import pytest
from flask import Flask

from smtpweb import validators
from smtpweb.accounts import users
from smtpweb.accounts.users import network_of
from smtpweb.database.models import FailedLogin, User
from smtpweb.database.session import db
from smtpweb.errors import BadInput
from tests.support.people import PASSWORD, Person, Visitor

NETWORK = "192.0.2.0/24"


# --- networks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("192.0.2.77:567", "192.0.2.0/24"),
        (" 192.0.2.77 ", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("::FFFF:c000:24d", "192.0.2.0/24"),
        ("[::ffff:192.0.2.77]:80", "192.0.2.0/24"),
        ("[::1]:80", "::/64"),
        ("[::1]", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:DB8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::1%25", "fe80::/64"),
        ("[fe80::1%eth0.7]:80", "fe80::/64"),
        *((text, "unknown") for text in (
            None, "", "unknown", "_hidden", "evil.example", "192.0.2", "192.0.2.256", "1.2.3.4:x",
            "1.2.3.4:", "1.2.3.4:123456", "[1.2.3.4", "::1]:80", "[::1]x", "192.0.2.1, 192.0.2.2",
            "3221226061", "0x7f000001", "192.0.2.1\n192.0.2.2", "١.١.١.١", "127.0.0.1/8",
            "unix:/run/smtpweb/http.sock", "01.02.03.04",
        )),
    ],
)  # fmt: skip
def test_network_of_an_address(address: str | None, network: str) -> None:
    assert network_of(address) == network


def login(app: Flask, address: str, name: str = "alice", password: str = PASSWORD) -> int:
    client = app.test_client(use_cookies=False)
    reply = client.post(
        "/auth/login",
        data={"username": name, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )
    return reply.status_code


def fail(app: Flask, network: str, number: int, account: str | None = None) -> None:
    with app.app_context():
        for each in range(number):
            row = FailedLogin(account=account or f"{each:064}", network=network)
            db.session.add(row)
        db.session.commit()


def test_hundred_failed_logins_of_a_network_are_its_limit(alice: Person) -> None:
    fail(alice.app, NETWORK, 99)
    assert login(alice.app, "192.0.2.1") == 200
    assert login(alice.app, "192.0.2.1", "nobody", "wrong") == 403
    assert login(alice.app, "192.0.2.200") == 429
    assert login(alice.app, "::ffff:192.0.2.9") == 429
    assert login(alice.app, "192.0.3.1") == 200


def test_networks_of_ipv6_are_those_of_64_bits(alice: Person) -> None:
    """Whoever has one has 2**64 addresses."""
    for number in range(users.FAILURES_PER_ACCOUNT):
        assert login(alice.app, f"2001:db8::{number + 1:x}", password="wrong") == 403
    assert login(alice.app, "2001:db8::ffff:1") == 429
    assert login(alice.app, "2001:db8:0:1::1") == 200


def test_spellings_of_a_name_are_one_account_to_guess_at(alice: Person) -> None:
    writings = ["alice", "ALICE", "ａｌｉｃｅ", " alice", "Ａlice"]
    for number in range(users.FAILURES_PER_ACCOUNT):
        assert login(alice.app, "192.0.2.1", writings[number % 5], "wrong") == 403
    assert login(alice.app, "192.0.2.1") == 429


# --- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana", "ａｎａ"), ("Ana", "ANA"), ("ﬁona", "FIONA"), ("Åsa", "A\u030asa"),
        ("ana²", "Ana2"),
        ("straße", "STRASSE"), ("Ⅷ", "viii"), ("ana b", "ANA\u00a0B"), ("ﾊﾝﾄﾞ", "ハンド"),
        ("K", "\u212a"),
    ],
)  # fmt: skip
def test_names_that_are_the_same_to_the_eye_are_one(inside: None, one: str, other: str) -> None:
    user = users.create_user(one, "a@example.com", PASSWORD)
    with pytest.raises(BadInput) as refused:
        users.create_user(other, "b@example.com", PASSWORD)
    assert refused.value.errors == {"name": ["This name is already taken."]}
    assert users.find_user(other).id == user.id
    signed_in = users.sign_in(other, PASSWORD, NETWORK)
    assert signed_in is not None
    assert signed_in.id == user.id


@pytest.mark.parametrize(
    "char",
    ["\u200b", "\u200d", "\u00ad", "\ufeff", "\u2060", "\u180e", "\u3164", "\u115f", "\ufe0f",
     "\U000e0061", "\u034f", "\u061c", "\u2800", "\ufffc", "\u202e", "\x7f"],
)  # fmt: skip
def test_name_with_a_character_that_cannot_be_seen_is_refused(char: str) -> None:
    for name in (f"an{char}a", f"{char}ana", f"ana{char}"):
        with pytest.raises(
            ValueError, match=f"U\\+{ord(char):04X} at position {name.index(char) + 1}"
        ):
            validators.user_name(name)


@pytest.mark.parametrize("name", ["ana", "José Á", "田中", "שלום", "नमस्ते", "ana.b_c@d", "🙂"])
def test_names_of_all_scripts_are_accepted(name: str) -> None:
    assert validators.user_name(name) == name


@pytest.mark.parametrize("name", ["\ufdfa" * 30, "\u00a0", "\u3000"])
def test_name_whose_compared_form_is_empty_or_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        validators.user_name(name)


@pytest.mark.parametrize("name", ["an\u200ba", "ａｎａ", "ＡＮＡ"])
def test_accounts_from_before_these_rules_sign_in_as_ever(
    alice: Person, inside: None, name: str
) -> None:
    """Also where another account has got the name that theirs is compared as now."""
    ana = users.create_user("ana", "a@example.com", PASSWORD)
    old = User(
        name=name, name_key=name.casefold(), email="b@example.com", password_hash=ana.password_hash
    )
    db.session.add(old)
    db.session.commit()
    for typed, user in ((name, old), ("ana", ana), ("ANA", ana)):
        signed_in = users.sign_in(typed, PASSWORD, NETWORK)
        assert signed_in is not None
        assert signed_in.id == user.id


def test_name_that_cannot_be_is_a_wrong_login(visitor: Visitor) -> None:
    for name in ("al\x00ice", "x" * 101, "\u202e"):
        assert visitor.post("/auth/login", username=name, password="x").status_code == 403
