"""No credential that a text marks as one is shown, whatever the text is of."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from smtpweb.mailcheck.explain.explanation import explain, readable
from smtpweb.mailcheck.explain.masking import masked
from tests.support.echoes import echoes
from tests.support.pasted_credentials import AMBIGUOUS, BARE, PEM, QUOTED, b64

SECRET = "Tr0ub4dor-and-3"
PLAIN = base64.b64encode(f"\0shop@example.org\0{SECRET}".encode()).decode()
ALONE = base64.b64encode(SECRET.encode()).decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    "text",
    [
        f"AUTH PLAIN {PLAIN}",
        f"C: AUTH PLAIN {PLAIN}\nS: 535 no {PLAIN}",
        f"AUTH LOGIN {ALONE}",
        f"S: 334 UGFzc3dvcmQ6\nC: {ALONE}\nS: 535 5.7.8 no",
        f"S: 334 UGFzc3dvcmQ6\n\nC: {ALONE}",
        f"334 UGFzc3dvcmQ6\r\n{ALONE}\r\n535 no",
        f"<~  334 UGFzc3dvcmQ6\n ~> {ALONE}\n<~* 535 no",
        f"AUTH PLAIN\n{PLAIN}",
        f"send: 'AUTH PLAIN {PLAIN}\\r\\n'",
        f'-> "334 UGFzc3dvcmQ6\\r\\n"\n<- "{ALONE}\\r\\n"',
        f"2026-01-01 10:00:00 CLIENT -> SERVER: {PLAIN}",
        f"password={SECRET}",
        f"password: {SECRET}",
        f'"password": "{SECRET}"',
        f"'pass': '{SECRET}'",
        f'{{\\"pass\\":\\"{SECRET}\\"}}',
        f"$mail->Password = '{SECRET}';",
        f"EMAIL_HOST_PASSWORD = '{SECRET}'",
        f"SMTP_PASS={SECRET}",
        f"SMTP_PASSWORD='{SECRET}' SMTP_HOST=smtp.example.org",
        f"spring.mail.password={SECRET}",
        f"passwd => '{SECRET}'",
        f"pwd:{SECRET}",
        f"client_secret={SECRET}&grant=1",
        f"api_key: {SECRET}",
        f"X-Api-Key: {SECRET}",
        f"access_token={SECRET}",
        f"smtp://shop:{SECRET}@smtp.example.org:587",
        f"smtps://shop@example.org:{SECRET}@smtp.example.org",
        f"MAILER_DSN=ses+smtp://AKIDEXAMPLE:{SECRET}@default",
        f"curl --user shop@example.org:{SECRET} smtp://mail.example.org",
        f"curl -u 'shop:{SECRET}'",
        f"swaks -au shop -ap {SECRET}",
        f"swaks --auth-password '{SECRET}'",
        f"Authorization: Basic {ALONE}",
        f"Authorization: Bearer {SECRET}",
        f"Proxy-Authorization: Digest {SECRET}",
        f"bearer {SECRET}",
        f"Cookie: session={SECRET}",
        f"the password is in smtp://a:{SECRET}@h.example, and again: {SECRET}",
        f"<password>{SECRET}</password>",
        f"<smtp.password>{SECRET}</smtp.password>",
        f'<property name="mail.smtp.password" value="{SECRET}" />',
        f"host smtp.example.org\nuser shop\npassword {SECRET}\n",
        f"[smtp.gmail.com]:587 shop@example.org:{SECRET}",
        f'    server.login("shop@example.org", "{SECRET}")',
        f"smtp.Authenticate(\"shop\", '{SECRET}');",
        f'new NetworkCredential("shop", "{SECRET}")',
        f'smtp.PlainAuth("", "shop", "{SECRET}", "smtp.example.org")',
        f"user=shop\x01auth=Bearer {SECRET}\x01\x01",
        f"AUTH XOAUTH2 {base64.b64encode(f'user=a^Aauth=Bearer {SECRET}'.encode()).decode()}",
    ],
)  # fmt: skip
def test_credential_is_masked(text: str) -> None:
    for shown in (masked(text), readable(text)):
        for secret in (SECRET, PLAIN, ALONE, PLAIN.rstrip("="), ALONE.rstrip("=")):
            assert secret not in shown, shown
    assert "(hidden)" in masked(text)


@pytest.mark.parametrize(
    "key",
    [
        "SG.abcdefghijklmnopqrstuv.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg",
        "re_AbCdEfGh_12345678901234567890", "xsmtpsib-0123456789abcdef0123456789abcdef-AbCdEf12",
        "xkeysib-0123456789abcdef0123456789abcdef-AbCdEf12", "AKIAIOSFODNN7EXAMPLE",
        "key-0123456789abcdef0123456789abcdef", "mlsn.0123456789abcdef0123456789", JWT,
        "ya29.a0AfH6SMBabcdefghijklmnop", "smw_GwfrmMNOLLjAIt4IqOyLzcpjujL8osbP4URYzNOytLY",
    ],
)  # fmt: skip
def test_key_of_known_form_is_masked_without_a_name(key: str) -> None:
    assert key not in masked(f"the server said no to {key}, why?")


def test_app_password_in_groups_is_masked() -> None:
    assert "mnop" not in masked("password = abcd efgh ijkl mnop")


@pytest.mark.parametrize(
    "text",
    [
        "250-AUTH PLAIN LOGIN XOAUTH2\n250 SIZE 1000",
        "250 AUTH PLAIN\nMAIL FROM:<a@example.org>",
        "DEBUG SMTP: AUTH LOGIN command trace suppressed",
        "535 5.7.8 Username and Password not accepted",
        "535 5.7.8 Error: bad password: wrong",
        "No password specified",
        "334 UGFzc3dvcmQ6\n535 5.7.8 no",
        "CLIENT -> SERVER: <credentials hidden>",
        "see https://support.example.org/app-passwords: https://example.org/x",
        "Message-ID: <20261120101112.4F2A81@example.org>",
        "dkim=pass header.d=example.org; spf=pass",
    ],
)
def test_text_without_credentials_stays_as_it_is(text: str) -> None:
    if "dkim" in text:  # "pass" as a result of a test is no name of a secret that follows
        assert "example.org" in masked(text)
    else:
        assert masked(text) == text


def test_arguments_beside_the_password_stay() -> None:
    """The host leads to the provider, and the user name stands in the reply."""
    text = f'smtp.PlainAuth("", "shop@example.org", "{SECRET}", "smtp.gmail.com")'
    assert masked(text) == 'smtp.PlainAuth("", "shop@example.org", "(hidden)", "smtp.gmail.com")'
    assert masked(f"login('shop', '{SECRET}')") == "login('shop', '(hidden)')"


def test_explanation_holds_no_credential_either() -> None:
    """The diagnosis and its facts are made of the masked text alone."""
    found = explain(
        f"smtp://shop:{SECRET}@smtp.example.org:587\nAUTH PLAIN {PLAIN}\n535 5.7.8 no, {SECRET}"
    )
    assert found.reply is not None and found.facts["host"] == "smtp.example.org"
    assert SECRET not in repr(found) and PLAIN not in repr(found)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60), st.text(max_size=60))
def test_secret_is_masked_in_any_surrounding(before: str, after: str) -> None:
    shown = readable(f"{before}\npassword={SECRET}\n{after}")
    assert SECRET not in shown


@given(
    st.binary(min_size=6, max_size=40).filter(lambda raw: b"\0" not in raw),
    st.sampled_from(["AUTH PLAIN {}", "C: AUTH PLAIN {}", "> AUTH PLAIN {}", "x {} y", "{}"]),
)
def test_initial_response_of_plain_is_masked_anywhere(password: bytes, written: str) -> None:
    token = base64.b64encode(b"\0shop\0" + password).decode()
    assert token not in readable(written.format(token))


# --- whatever holds a credential -----------------------------------------------------------

SECRETS = (
    SECRET, "p@ss/w:rd;x1", "a&b=c#d%e2", "pa)ss(w]0rd{}", "-dash-9x", "x!y*z+1,5", "abcdefgh",
)  # fmt: skip
WITH_BLANKS_AND_QUOTES = ('it\'s "q" 5x-aaaa', "x y z 12345", "back\\slash1", "$HOME`id`9")


def _words(secret: str) -> list[str]:
    return [secret, *(word for word in re.split(r"[^A-Za-z0-9]+", secret) if len(word) >= 5)]


def _shown(text: str) -> str:
    return f"{explain(text)!r}\n{readable(text)}"


@pytest.mark.parametrize("secret", [*SECRETS, *WITH_BLANKS_AND_QUOTES])
@pytest.mark.parametrize("holder", QUOTED)
def test_quoted_credential_is_masked_in_all_that_holds_one(holder: str, secret: str) -> None:
    shown = _shown(QUOTED[holder](secret))
    for part in (*_words(secret), b64(secret)):
        assert part not in shown, shown


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("holder", BARE)
def test_bare_credential_is_masked_in_all_that_holds_one(holder: str, secret: str) -> None:
    shown = _shown(BARE[holder](secret))
    for part in (*_words(secret), b64(secret)):
        assert part not in shown, shown


_PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
_ANY_SECRET = st.text(_PRINTABLE, min_size=6, max_size=24).map(lambda text: f"q7{text.strip()}Z9x")
_BARE_SECRET = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\"'`\\"),
    min_size=6, max_size=24,
).map(lambda text: f"q7{text}Z9x")  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(QUOTED)), _ANY_SECRET, st.sampled_from(["", "535 5.7.8 no\n", "x "]))
@example("docker-compose list", "q70000\\'Z9x", "")
@example("docker-compose list", "q70000\\', Z9x", "x ")
@example("argument list", "q70000'\"Z9x", "")
def test_quoted_secret_of_any_letters_is_masked(holder: str, secret: str, before: str) -> None:
    shown = _shown(f"{before}{QUOTED[holder](secret)}\n535 5.7.8 no")
    assert secret not in shown and "q7" not in shown and "Z9x" not in shown


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(BARE)), _BARE_SECRET)
def test_bare_secret_of_any_letters_is_masked(holder: str, secret: str) -> None:
    if holder in AMBIGUOUS:
        assume(not re.search(r"[,;&|][A-Za-z_].*[=:]", secret))
    shown = _shown(f"{BARE[holder](secret)}\n535 5.7.8 no")
    assert secret not in shown and "q7" not in shown and "Z9x" not in shown


@pytest.mark.parametrize("begin", PEM)
@pytest.mark.parametrize("line_end", ["\n", "\\n", "\r\n"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut"])
def test_private_key_is_masked(begin: str, line_end: str, whole: bool) -> None:
    lines = [begin, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "kdHVzc2xlIHN0dWZm", "zz9=="]
    if whole:
        lines.append(begin.replace("BEGIN", "END"))
    shown = _shown(f"key: {line_end.join(lines)}")
    for line in lines[1:4]:
        assert line not in shown


def test_certificate_stays() -> None:
    text = (
        "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END CERTIFICATE-----"
    )
    assert masked(text) == text


@pytest.mark.parametrize("secret", ["Tr0ub4dor-and-3", "correct horse 9"])
@pytest.mark.parametrize("encoding", sorted(echoes("")))
def test_repeated_credential_is_masked_in_every_known_encoding(encoding: str, secret: str) -> None:
    """A server that answers with the password that it was sent."""
    encoded = echoes(secret)[encoding]
    shown = _shown(f"password={secret}\n535 5.7.8 {encoded} is not welcome")
    assert encoded not in shown and secret not in shown


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(echoes(""))), _BARE_SECRET)
def test_repeated_secret_of_any_letters_is_masked_in_every_known_encoding(
    encoding: str, secret: str
) -> None:
    encoded = echoes(secret)[encoding]
    assert encoded not in _shown(f"MAIL_PASSWORD={secret}\n535 5.7.8 no {encoded} no")


def test_bearer_token_of_any_length_is_masked_to_its_end() -> None:
    token = "eyJ" + "QUJDREVGR0hJSktM" * 400 + ".c2VjcmV0.dGFpbA"
    for text in (f"Bearer {token}", f"access_token={token}", f'{{"token": "{token}"}}', token):
        assert "dGFpbA" not in masked(text) and "QUJD" not in masked(text)
