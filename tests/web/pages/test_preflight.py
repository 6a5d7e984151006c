"""What is said of settings that are likely to fail, on the API and on the pages."""

from __future__ import annotations

import pytest

from smtpweb.config import ROOT
from tests.support.browser import one_database
from tests.support.factories import SAVE, forget_default_from, typed
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

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
     [("username", "INVISIBLE_CHARACTERS", "U+00A0 at position 1")]),
    (OWN | {"username": "ana b"}, [("username", "INVISIBLE_CHARACTERS", "Holds a blank")]),
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
