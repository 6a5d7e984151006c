"""No credential that a text marks as one is shown, whatever the text is of."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpweb.mailcheck.explain.explanation import explain, readable
from smtpweb.mailcheck.explain.masking import masked

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
def test_credential_is_masked(text):
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
def test_key_of_known_form_is_masked_without_a_name(key):
    assert key not in masked(f"the server said no to {key}, why?")


def test_app_password_in_groups_is_masked():
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
def test_text_without_credentials_stays_as_it_is(text):
    if "dkim" in text:  # "pass" as a result of a test is no name of a secret that follows
        assert "example.org" in masked(text)
    else:
        assert masked(text) == text


def test_arguments_beside_the_password_stay():
    """The host leads to the provider, and the user name stands in the reply."""
    text = f'smtp.PlainAuth("", "shop@example.org", "{SECRET}", "smtp.gmail.com")'
    assert masked(text) == 'smtp.PlainAuth("", "shop@example.org", "(hidden)", "smtp.gmail.com")'
    assert masked(f"login('shop', '{SECRET}')") == "login('shop', '(hidden)')"


def test_what_is_read_holds_no_credential_either():
    """The diagnosis and its facts are made of the masked text alone."""
    found = explain(
        f"smtp://shop:{SECRET}@smtp.example.org:587\nAUTH PLAIN {PLAIN}\n535 5.7.8 no, {SECRET}"
    )
    assert found.reply is not None and found.facts["host"] == "smtp.example.org"
    assert SECRET not in repr(found) and PLAIN not in repr(found)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60), st.text(max_size=60))
def test_no_surrounding_brings_the_secret_back(before, after):
    shown = readable(f"{before}\npassword={SECRET}\n{after}")
    assert SECRET not in shown


@given(
    st.binary(min_size=6, max_size=40).filter(lambda raw: b"\0" not in raw),
    st.sampled_from(["AUTH PLAIN {}", "C: AUTH PLAIN {}", "> AUTH PLAIN {}", "x {} y", "{}"]),
)
def test_initial_response_of_plain_is_masked_anywhere(password, written):
    token = base64.b64encode(b"\0shop\0" + password).decode()
    assert token not in readable(written.format(token))
