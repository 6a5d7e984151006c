"""What is said of settings that are likely to fail, on the API and on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpweb import installation
from smtpweb.app import create_app
from smtpweb.config import ROOT
from smtpweb.database.session import db
from smtpweb.mailcheck import EgressPolicy
from smtpweb.mailcheck.core import addresses
from tests.conftest import settings_for
from tests.support.browser import one_database, signed_in
from tests.support.factories import SAVE, forget_default_from, typed
from tests.support.fake_dns import Records, fake_dns
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person, make_person

pytestmark = one_database

LOGIN = {"auth": "true", "starttls": "true", "username": "ana@example.com", "password": "s3cret"}
GMAIL = LOGIN | {"host": "smtp.gmail.com", "port": 587, "username": "shop@gmail.com",
                 "password": "abcdefghijklmnop", "defaultfromemail": "shop@gmail.com"}  # fmt: skip
SES = LOGIN | {"host": "email-smtp.eu-west-1.amazonaws.com", "port": 587,
               "username": "AKIAIOSFODNN7EXAMPLE", "password": "B" * 44,
               "defaultfromemail": "a@example.com"}  # fmt: skip
SENDGRID = LOGIN | {"host": "smtp.sendgrid.net", "port": 587, "username": "apikey",
                    "password": "SG.x", "defaultfromemail": "a@example.com"}  # fmt: skip
OWN = LOGIN | {"host": "mail.example.net", "port": 587}
M365 = LOGIN | {"host": "smtp.office365.com", "port": 587}
TLS = {"starttls": "false", "ssltls": "true"}
NONE = {"starttls": "false"}
NO_FROM = ("defaultfromemail", "FROM_MISSING", "There is no From address")

# (settings, what is said of them: parameter, code, a part of the text)
CASES = [
    (GMAIL, []),
    (SES, []),
    (SENDGRID, []),
    (OWN, []),
    (OWN | TLS | {"port": 465}, []),
    (OWN | {"port": 25}, []),
    (OWN | {"port": 10025}, []),
    (OWN | NONE | {"host": "127.0.0.1", "port": 25}, []),
    (OWN | {"port": 465}, [("port", "PORT_AND_ENCRYPTION", "TLS from the start")]),
    (OWN | TLS, [("port", "PORT_AND_ENCRYPTION", "usually speaks STARTTLS")]),
    (OWN | TLS | {"port": 2525}, [("port", "PORT_AND_ENCRYPTION", "port 465")]),
    (OWN | TLS | {"port": 25}, [("port", "PORT_AND_ENCRYPTION", "port 465")]),
    (
        OWN | NONE,
        [
            ("starttls", "LOGIN_IN_CLEAR", "unencrypted"),
            ("port", "PORT_AND_ENCRYPTION", "wants STARTTLS"),
        ],
    ),
    (
        SENDGRID | TLS | {"host": "smtp.postmarkapp.com", "port": 465},
        [("port", "PORT_NOT_OFFERED", "use 587 with STARTTLS")],
    ),
    (OWN | TLS | {"port": 993}, [("port", "PORT_OF_READING", "reading mail (IMAP)")]),
    (GMAIL | {"password": "abcd efgh ijkl mnop"}, []),
    (GMAIL | {"password": "mein Hund!"}, [("password", "NO_APP_PASSWORD", "16 letters")]),
    (GMAIL | {"username": "shop"}, [("username", "USERNAME_NO_ADDRESS", "full mail address")]),
    (SENDGRID | {"username": "ana"}, [("username", "USERNAME_IS_A_WORD", "the word apikey")]),
    (
        SENDGRID | {"username": "SG.x", "password": "apikey"},
        [
            ("username", "USERNAME_IS_A_WORD", "apikey"),
            ("password", "PASSWORD_IS_THE_WORD", "is the user name at SendGrid"),
        ],
    ),
    (
        SENDGRID | {"host": "smtp.sparkpostmail.com"},
        [("username", "USERNAME_IS_A_WORD", "SMTP_Injection")],
    ),
    (SES | {"password": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
     [("password", "AWS_ACCESS_KEY", "another one")]),
    (SES | {"username": "ASIAIOSFODNN7EXAMPLE"}, [("username", "AWS_ACCESS_KEY", "temporary")]),
    (SES | {"username": "ana@example.com"}, [("username", "USERNAME_NOT_OF_SES", "AKIA")]),
    (OWN | {"password": "s3cret "}, [("password", "INVISIBLE_CHARACTERS", "Ends with a blank")]),
    (OWN | {"password": "correct horse"}, []),
    (OWN | {"password": "s3\u200bcret"},
     [("password", "INVISIBLE_CHARACTERS", "U+200B at position 3")]),
    (OWN | {"username": "\u00a0ana"},
     [("username", "INVISIBLE_CHARACTERS", "U+00A0 at position 1"), NO_FROM]),
    (OWN | {"username": "ana b"}, [("username", "INVISIBLE_CHARACTERS", "Holds a blank"),
                                 NO_FROM]),
    (SENDGRID | {"password": "SG. x"}, [("password", "INVISIBLE_CHARACTERS", "Holds a blank")]),
    (
        GMAIL | {"defaultfromemail": "info@example.com"},
        [("defaultfromemail", "FROM_NOT_LOGIN", "mail from info@example.com is refused")],
    ),
    (
        SENDGRID | {"defaultfromemail": "shop@gmail.com"},
        [("defaultfromemail", "FROM_FREEMAIL", "gmail.com belongs to Gmail")],
    ),
    (M365, [("host", "BASIC_AUTH_ENDS", "end of December 2026")]),
    (M365 | {"host": "smtp-mail.outlook.com"}, [("host", "BASIC_AUTH_ENDS", "no longer accepts")]),
    (M365 | {"auth": "false"}, []),
    (SENDGRID | {"defaultfromemail": ""}, [NO_FROM]),
    (OWN | {"auth": "false", "username": ""}, [NO_FROM]),
    (OWN | {"auth": "false"}, []),  # the user name is an address all the same
    (OWN | {"host": "mail.corp.invalid"}, [("host", "HOST_UNKNOWN", "no host mail.corp.invalid")]),
    (OWN | {"host": "Mail.ONION"}, [("host", "HOST_UNKNOWN", "check its spelling")]),
    (OWN | {"host": "mail.corp.test"}, []),  # may be a name of one's own DNS
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), CASES)
def test_what_is_likely_to_fail_is_saved_with_a_warning(
    alice: Person, given: dict[str, object], said: list[tuple[str, str, str]]
) -> None:
    idapp = alice.make_app()["_id"]
    forget_default_from(alice.app, idapp)
    saved = alice.make_smtp(idapp, **given)
    warnings = saved.get("warnings", [])
    assert [(one["parameter"], one["code"]) for one in warnings] == [one[:2] for one in said]
    for warning, (_, _, words) in zip(warnings, said, strict=True):
        assert words in warning["message"]
        assert str(given["password"]) not in warning["message"] or given["password"] == "apikey"
    assert alice.smtp(saved["_id"]) == saved
    assert alice.smtps(idapp) == [saved]


def test_the_default_from_of_the_app_counts(alice: Person) -> None:
    idapp = alice.make_app(defaultfromemail="info@example.com")["_id"]
    saved = alice.make_smtp(idapp, **{k: v for k, v in GMAIL.items() if k != "defaultfromemail"})
    assert [one["code"] for one in saved["warnings"]] == ["FROM_NOT_LOGIN"]
    assert alice.smtps(idapp) == [saved]


def test_a_token_that_may_not_see_passwords_is_told_the_same(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    saved = alice.make_smtp(idapp, **(GMAIL | {"password": "hunter2"}))
    seen = alice.with_scopes("read").smtp(saved["_id"])
    assert (seen["password"], seen["warnings"]) == (None, saved["warnings"])


def test_a_failed_check_repeats_the_warnings(alice: Person) -> None:
    idapp = alice.make_app(defaultfromemail="shop@example.com")["_id"]
    with fake_smtp(login=("shop", "s3cret")) as server:
        saved = alice.make_smtp(
            idapp, host=server.host, port=server.port, auth="true", username="shop",
            password="s3cret ",
        )  # fmt: skip
        reply = alice.post("/private/smtps/check", idsmtp=saved["_id"])
    assert reply.status_code == 406
    assert reply.json["warnings"] == saved["warnings"]
    assert saved["warnings"][0]["code"] == "INVISIBLE_CHARACTERS"
    assert "s3cret" not in reply.text


@pytest.fixture
def guarded(database_url: str) -> Iterator[Person]:
    """Alice where the egress policy is the one of a fresh installation, with one own service."""
    own = frozenset({("db.corp.example", 587), ("127.0.0.1", 587)})
    policy = EgressPolicy.parse("10.0.0.25/32", "", own)
    app = create_app(settings_for(database_url, egress=policy))
    app.testing = True
    with app.app_context():
        installation.make_ready()
    yield make_person(app, "alice")
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


# (settings, parameter, code, a part of the text) of what the policy refuses
REFUSED = [
    ({"port": 10025}, "port", "PORT_REFUSED",
     "port 10025. Its administrator can allow it by the setting SMTPWEB_EGRESS_PORTS=25,465,587"),
    ({"host": "192.168.1.5"}, "host", "ADDRESS_REFUSED",
     "private networks (RFC 1918), such as 192.168.1.5. Its administrator can allow it by the"
     " setting SMTPWEB_EGRESS_ALLOW=192.168.1.5/32"),
    ({"host": "localhost", "port": 25}, "host", "ADDRESS_REFUSED", "loopback, such as 127.0.0.1"),
    ({"host": "::1", "port": 25}, "host", "ADDRESS_REFUSED", "loopback, such as ::1"),
    ({"host": "169.254.169.254"}, "host", "ADDRESS_REFUSED", "cloud metadata services, such"),
    ({"host": "mail.hosts-file.example"}, "host", "ADDRESS_REFUSED", "such as 10.9.8.7"),
    ({"host": "db.corp.example"}, "host", "ADDRESS_REFUSED", "smtpweb itself runs on this"),
    ({"host": "127.0.0.1"}, "host", "ADDRESS_REFUSED", "smtpweb itself runs on this"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "parameter", "code", "text"), REFUSED)
def test_what_the_policy_refuses_is_said_when_it_is_saved(
    guarded: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object], parameter: str, code: str, text: str,
) -> None:  # fmt: skip
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.9.8.7 mail.hosts-file.example\n")
    monkeypatch.setattr(addresses, "HOSTS_FILE", hosts)
    idapp = guarded.make_app()["_id"]
    saved = guarded.make_smtp(idapp, **OWN | changes)
    (warning,) = [one for one in saved["warnings"] if one["code"].endswith("_REFUSED")]
    assert (warning["parameter"], warning["code"]) == (parameter, code)
    assert text in warning["message"]
    # The check says the same, without a packet, and the list counts it as a problem.
    reply = guarded.post("/private/smtps/check", idsmtp=saved["_id"])
    assert (reply.status_code, reply.json["stage"]) == (406, "policy")
    page = signed_in(guarded.app, guarded).get("/apps")
    assert "Cannot be checked" in page.text
    assert "(1 problem)" in page.one("title").text


@pytest.mark.parametrize(
    "changes", [{}, {"host": "10.0.0.25"}, {"host": "192.0.1.1", "port": 2525}]
)
def test_what_the_policy_allows_is_saved_without_a_warning(
    guarded: Person, changes: dict[str, object]
) -> None:
    idapp = guarded.make_app()["_id"]
    assert "warnings" not in guarded.make_smtp(idapp, **OWN | changes)


def test_a_port_for_reading_mail_is_said_once(guarded: Person) -> None:
    idapp = guarded.make_app()["_id"]
    saved = guarded.make_smtp(idapp, **OWN | TLS | {"port": 993})
    assert [one["code"] for one in saved["warnings"]] == ["PORT_OF_READING"]


def test_a_default_from_of_the_app_makes_its_servers_checkable(alice: Person, browser) -> None:
    idapp = alice.make_app()["_id"]
    forget_default_from(alice.app, idapp)
    alice.make_smtp(idapp, **SENDGRID | {"defaultfromemail": ""})
    assert "Cannot be checked" in browser.get(f"/apps/{idapp}").text
    page = browser.get("/apps?state=problems")
    assert "1 cannot be checked" in page.text
    alice.make_app(idapp=idapp, defaultfromemail="shop@example.com")
    assert "Not checked yet" in browser.get(f"/apps/{idapp}").text
    assert "No app has a problem" in browser.get("/apps?state=problems").text


@pytest.mark.parametrize(
    ("host", "records", "texts"),
    [
        ("nobody.example.org", {}, ["DNS knows no host nobody.example.org: check its spelling."]),
        ("mail.example.org", {("mail.example.org", "A"): ["93.184.216.34"]}, []),
        ("mail.example.org", {("mail.example.org", "A"): "SERVFAIL"}, []),
        (
            "mail.example.org",
            {("mail.example.org", "A"): ["192.168.7.7"]},
            ["such as 192.168.7.7"],
        ),
        (
            "mail.example.org",
            {("mail.example.org", "AAAA"): ["fd00::7"]},
            ["such as fd00::7"],
        ),
        ("mail", {}, []),  # a name of a search domain, perhaps
        ("not a host", {}, ["Must not hold SPACE (U+0020 at position 4)."]),
    ],
)
def test_while_somebody_types_a_short_look_up_says_what_dns_knows(
    alice: Person, browser, idapp: str, host: str, records: Records, texts: list[str]
) -> None:
    with fake_dns(records) as dns:
        alice.app.extensions["smtpweb.dns"] = dns.resolver
        form = browser.get(f"/apps/{idapp}/smtps/new").form().fill(**typed(host=host))
        reply = browser.client.post(f"/apps/{idapp}/smtps/preflight", data=dict(form.values))
    said = reply.json["warnings"]["host"]
    assert len(said) == len(texts), said
    for text, part in zip(said, texts, strict=True):
        assert part in text


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("smtps://smtp.example.com/", "type smtp.example.com, and 465 as the port"),
        ("smtp.example.com:2525", "type smtp.example.com, and 2525 as the port"),
        ("https://smtp.example.com", "type smtp.example.com."),
        ("[::1]:25", "type ::1, and 25 as the port"),
        ("::1/25/", "without scheme, port or path"),
    ],
)
def test_a_pasted_address_is_taken_apart_by_words(
    alice: Person, browser, idapp: str, pasted: str, said: str
) -> None:
    reply = alice.post("/private/smtps/save", idapp=idapp, host=pasted, port=25)
    assert reply.status_code == 400
    (error,) = reply.json["errors"]
    assert error["parameter"] == "host" and said in error["message"]
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(host=pasted))
    assert said in page.errors()["host"]


def test_every_code_is_in_the_manual(database_url: str) -> None:
    manual = (ROOT / "docs" / "api.md").read_text()
    codes = {code for _, said in CASES for _, code, _ in said}
    assert len(codes) >= 12
    for code in (*codes, "BOTH_FLAGS", "PASSWORD_UNREADABLE", "NOTICED"):
        assert f"`{code}`" in manual, code
