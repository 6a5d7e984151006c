"""What is read out of a text, what is asked for, and that no text takes it too far."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.core.types import Stage
from smtpweb.mailcheck.explain import wordings
from smtpweb.mailcheck.explain.explanation import MAX_TEXT, TooLong, explain

PYTHON = "smtplib.SMTPAuthenticationError: (535, b'5.7.8 authentication failed')"


@pytest.mark.parametrize(
    "text",
    [
        "Hello, can you call me at 555 1234 on Monday? Room 450 is free.",
        "GET /index.html HTTP/1.1 404 Not Found in 450 ms",
        "Listening on port 587, 450 messages an hour, exit code 1",
        "at foo (index.js:530:12)\nat bar (lib.js:550:1)",
        "HTTP/1.1 500 Internal Server Error",
        "version 5.7.1 was released; OpenSSL 5.1.1 is old",
        "  ",
    ],
)
def test_text_without_an_error_is_not_explained(text):
    found = explain(text)
    assert found.diagnosis is None and found.stage is None and found.asks == ()


def test_reply_in_quotation_marks_of_a_mail_is_found():
    found = explain("> On Monday it said:\n> 550 5.1.1 <a@example.com>: User unknown\n> and so on")
    assert found.reply is not None and found.reply.enhanced == "5.1.1"
    assert found.stage is Stage.RCPT


def test_legacy_charset_in_a_bytes_literal_is_read():
    found = explain(r"(535, b'\xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc')")
    assert found.reply is not None and found.reply.text == "请使用授权码登录"


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <nobody@mail.example.com>: Recipient address rejected",
        "550 5.7.1 see https://mail.example.com/blocked",
        "javax.mail.MessagingException: 550 5.7.1 no",
        "at smtp.client.send (smtp.js:10:1)\n550 5.7.1 no",
    ],
)
def test_what_is_no_server_is_not_taken_for_one(text):
    assert "host" not in explain(text).facts


def test_port_of_a_name_server_is_not_the_port():
    found = explain("dial tcp: lookup smtp.exmaple.com on 127.0.0.11:53: no such host")
    assert found.facts["host"] == "smtp.exmaple.com" and "port" not in found.facts


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            "NOQUEUE: reject: RCPT from x[192.0.2.5]: 554 5.7.1 <a@example.com>: Relay access"
            " denied;"
            " from=<shop@example.org> to=<a@example.com> proto=ESMTP",
            {"mail_from": "shop@example.org", "rcpt_to": "a@example.com"},
        ),
        (
            'Failed to authenticate on SMTP server with username "shop@example.org": 535 no',
            {"username": "shop@example.org"},
        ),
        ("auth: { user: 'shop', pass: 'x-secret' } 535 5.7.8 no", {"username": "shop"}),
    ],
)
def test_addresses_and_user_name_are_read(text, facts):
    assert facts.items() <= explain(text).facts.items()


def test_host_and_port_that_are_given_outrank_the_text():
    found = explain(
        "connect ECONNREFUSED 192.0.2.1:587", host="smtp.gmail.com", port=465
    )  # fmt: skip
    assert (found.facts["host"], found.facts["port"]) == ("smtp.gmail.com", 465)
    assert found.provider and found.provider.id == "gmail"


def test_provider_that_is_given_decides():
    usual, of_gmail = explain(PYTHON), explain(PYTHON, provider="Gmail")
    assert usual.diagnosis.id != of_gmail.diagnosis.id


# --- what is asked for -------------------------------------------------------------------------


def test_provider_is_asked_for_where_it_would_change_the_answer():
    assert explain(PYTHON).asks == ("host", "provider")


@pytest.mark.parametrize(
    "given", [{"provider": "gmail"}, {"host": "smtp.gmail.com"}, {"host": "mail.example.org"}]
)
def test_provider_is_not_asked_for_once_it_is_known(given):
    assert explain(PYTHON, **given).asks == ()


def test_nothing_is_asked_for_where_it_would_change_nothing():
    assert explain("550 5.1.1 <a@example.com>: User unknown").asks == ()
    assert explain("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number").asks == ()


def test_address_in_place_of_a_name_does_not_tell_the_provider():
    assert "provider" in explain(PYTHON, host="192.0.2.1").asks


def test_port_is_asked_for_where_it_would_change_the_answer():
    """Port 25 is blocked by many networks; 587 is not."""
    assert explain("TimeoutError: [Errno 110] Connection timed out").asks == ("host",)
    assert explain("dial tcp 192.0.2.1:587: i/o timeout").asks == ()


# --- bounds --------------------------------------------------------------------------------


def test_text_that_is_too_long_is_refused():
    assert explain("x" * MAX_TEXT).diagnosis is None
    for text in ("x" * (MAX_TEXT + 1), "é" * (MAX_TEXT // 2 + 1)):
        with pytest.raises(TooLong) as refused:
            explain(text)
        assert "x" not in str(refused.value) and "é" not in str(refused.value)


HOSTILE = (
    "a", "a.", "1", "535 ", "535-", "\\", "\\\\x41", "\\n", '"', "'", "password=", 'password: "',
    "://a:", "smtp://a:a", "AUTH PLAIN ", "AUTH LOGIN\n", "334 \n", " ", "\t", "\n", "<", "&lt;",
    "&amp;", "host ", "host=a.", "connect to ", "relay=", "a-", "(", "(535, b'", "550 5.1.1 ",
    "5.7.8 ", "Detail: ", "SMTP code: 550", "C: ", "S: ", "S: 250-", "S: 550-", "EHLO a\n",
    "S: 220 a\nC: EHLO a\n", "AAAA", "=", "eyJ", "eyJaaaaaaaa.", "SG.", "-u a:", "--password ",
    "Bearer ", "Authorization: ", "Cookie: ", "lookup ", "port=", "[", "]", "smtp.a", "mail-",
    "certificate for a.", "0.", "1.1.1.1:", "\x1b[", "é", "\u202e", "\ud800", "lookup a: ",
    "secret_key_", "re_", "_-", "535 at a", "550 x at /", "2026-01-01 00:00:00 ", "> > > ",
)  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_of_full_length_is_read_in_bounded_time(part):
    """A pattern that backtracks needs minutes; what is asserted is far above what is usual."""
    text = part * (MAX_TEXT // len(part.encode("utf-8", "surrogatepass")))
    started = time.process_time()
    explain(text)
    assert time.process_time() - started < 20


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HOSTILE, "\n", "535 5.7.8 no", "S: ", "C: ", PYTHON])
        | st.text(max_size=9),
        max_size=60,
    ).map("".join)
)
def test_any_text_is_explained_or_not_but_never_fails(text):
    found = explain(text)
    assert (found.diagnosis is None) == (found.stage is None)
    if found.diagnosis is not None:
        assert found.diagnosis.title and found.diagnosis.steps
    assert all(char in "\n\t" or char.isprintable() or char.isspace() for char in found.text)


# --- the table of wordings ---------------------------------------------------------------------


def test_phrases_are_folded_and_decide_for_their_own_entry():
    for one in (*wordings.wordings(), *wordings.clues()):
        assert one.phrases
        for phrase in one.phrases:
            assert phrase == wordings.folded(phrase), phrase


def test_every_phrase_is_reached():
    """A phrase that holds one of an entry before it would never decide."""
    for number, one in enumerate(wordings.wordings()):
        for phrase in one.phrases:
            for before in wordings.wordings()[:number]:
                if before.symptom is not one.symptom:
                    assert not before.stands_in(phrase), (phrase, before.symptom)


def test_symptoms_of_the_wordings_are_those_that_a_check_sees():
    symptoms = {one.symptom for one in wordings.wordings()}
    assert symptoms >= {
        Symptom.NAME_UNKNOWN, Symptom.RESOLVER_FAILED, Symptom.CONNECTION_REFUSED,
        Symptom.CONNECT_TIMEOUT, Symptom.NO_ROUTE, Symptom.CERTIFICATE_EXPIRED,
        Symptom.CERTIFICATE_NAME, Symptom.CERTIFICATE_SELF_SIGNED, Symptom.CERTIFICATE_UNTRUSTED,
        Symptom.NOT_TLS, Symptom.TLS_VERSION, Symptom.CLOSED, Symptom.SILENT, Symptom.NOT_OFFERED,
    }  # fmt: skip
