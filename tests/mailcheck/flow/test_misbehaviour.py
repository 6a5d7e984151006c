"""Each misbehaving server gets the right name, in time, and harms nobody."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc

import pytest

from smtpweb.mailcheck import Encryption, Stage
from tests.support.drivers import Check
from tests.support.fake_smtp import (
    MISBEHAVIOURS,
    SILENCE,
    AfterNoise,
    HangUpAfter,
    Slowly,
    fake_smtp,
)

EXPECTED = {
    "silent from the start": ("greeting", "SMTP_GREETING_SILENT"),
    "hangs up without a greeting": ("greeting", "SMTP_GREETING_CLOSED"),
    "resets without a greeting": ("greeting", "SMTP_GREETING_CLOSED"),
    "drips its greeting": ("greeting", "SMTP_GREETING_SILENT"),
    "drips the reply to EHLO": ("ehlo", "SMTP_SILENT"),
    "floods the greeting": ("greeting", "SMTP_TOO_LONG"),
    "floods the reply to EHLO": ("ehlo", "SMTP_TOO_LONG"),
    "never ends a line": ("ehlo", "SMTP_TOO_LONG"),
    "goes silent after EHLO": ("ehlo", "SMTP_SILENT"),
    "goes silent at MAIL": ("mail", "SMTP_SILENT"),
    "goes silent after the dot": ("data", "SMTP_VERDICT_MISSING"),
    "hangs up after EHLO": ("ehlo", "SMTP_CLOSED"),
    "hangs up after the dot": ("data", "SMTP_VERDICT_MISSING"),
    "resets after the dot": ("data", "SMTP_VERDICT_MISSING"),
    "floods after the verdict": ("accepted", "SMTP_ACCEPTED"),
    "drips after the verdict": ("accepted", "SMTP_ACCEPTED"),
    "resets at QUIT": ("accepted", "SMTP_ACCEPTED"),
    "hangs up at QUIT": ("accepted", "SMTP_ACCEPTED"),
    "ignores QUIT": ("accepted", "SMTP_ACCEPTED"),
    "says everything at once": ("ehlo", "SMTP_OUT_OF_STEP"),
    "injects behind STARTTLS": ("starttls", "SMTP_STARTTLS_INJECTED"),
    "goes on in clear after STARTTLS": ("starttls", "SMTP_STARTTLS_BROKEN"),
    "loses pipelined commands": ("accepted", "SMTP_ACCEPTED"),
    "speaks HTTP": ("greeting", "SMTP_WRONG_PROTOCOL"),
    "speaks SSH": ("greeting", "SMTP_WRONG_PROTOCOL"),
    "speaks IMAP": ("greeting", "SMTP_WRONG_PROTOCOL"),
    "speaks POP3": ("greeting", "SMTP_WRONG_PROTOCOL"),
    "speaks FTP": ("ehlo", "SMTP_WRONG_PROTOCOL"),
    "sends binary": ("greeting", "SMTP_MALFORMED"),
}


def test_misbehaviours_all_have_an_expectation() -> None:
    assert EXPECTED.keys() == MISBEHAVIOURS.keys()


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaving_server(check: Check, name: str) -> None:
    threads, handles = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with fake_smtp(name) as server:
        begun = time.monotonic()
        report = check(server.target(timeout=0.6))
        took = time.monotonic() - begun
    assert (report.stage, report.code) == EXPECTED[name]
    # A mail is taken if and only if success is reported
    assert bool(server.mails) == report.accepted
    assert took < 0.6 + 1
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= handles


@pytest.mark.parametrize("name", ["floods the reply to EHLO", "floods the greeting"])
def test_memory_stays_flat_under_a_flood(check: Check, name: str) -> None:
    with fake_smtp(name) as server:
        check(server.target(timeout=0.3))
        tracemalloc.start()
        check(server.target(timeout=0.3))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize("stage", ["EHLO", "MAIL", "RCPT", "DATA", "dot"])
def test_goodbye_at_any_stage_is_taken_as_the_servers_words(check: Check, stage: str) -> None:
    reply = b"421 4.3.2 Service shutting down\r\n"
    with fake_smtp(replies={stage: reply}, capabilities=[]) as server:
        report = check(server.target())
    assert (report.code, report.temporary) == ("SMTP_SERVER_BUSY", True)
    assert report.reply
    assert report.reply.code == 421


def test_goodbye_that_came_before_the_command_is_no_desynchronised_server(check: Check) -> None:
    greeting = b"220 hello\r\n421 4.3.2 closing\r\n"
    with fake_smtp(replies={"connect": greeting}) as server:
        report = check(server.target())
    assert (report.stage, report.code) == (Stage.EHLO, "SMTP_SERVER_BUSY")


def test_last_word_without_a_line_end_still_names_the_cause(check: Check) -> None:
    with fake_smtp(replies={"EHLO": HangUpAfter(b"554 5.7.1 go away")}) as server:
        report = check(server.target())
    assert report.reply
    assert (report.stage, report.reply.text) == (Stage.EHLO, "go away")


def test_verdict_given_twice_is_one_success(check: Check) -> None:
    """After the final 250 nothing changes the result."""
    with fake_smtp(replies={"dot": b"250 ok\r\n554 changed my mind\r\n"}) as server:
        assert check(server.target()).accepted is True


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (b"250-a\r\n251-b\r\n250 c\r\n", "251-b"),
        (b"25O ok\r\n", "25O ok"),
        (b"150 wait\r\n", "150 wait"),
        (b"PIPELINING\r\n", "PIPELINING"),
        (b"250x\r\n", "250x"),
    ],
)
def test_line_that_breaks_the_rules_after_the_greeting_is_shown(
    check: Check, reply: bytes, line: str
) -> None:
    with fake_smtp(replies={"EHLO": reply}) as server:
        report = check(server.target())
    assert (report.stage, report.code) == (Stage.EHLO, "SMTP_REPLY_INVALID")
    assert line in report.meaning
    assert "does not speak SMTP" not in report.title


def test_line_that_breaks_the_rules_is_cleaned_and_cut(check: Check) -> None:
    with fake_smtp(replies={"EHLO": b"say \x1b[31m" + b"x" * 1500 + b"\r\n"}) as server:
        report = check(server.target())
    assert report.code == "SMTP_REPLY_INVALID"
    assert "\x1b" not in str(report.to_dict())
    assert "x" * 300 not in report.meaning


@pytest.mark.parametrize(
    ("verb", "reply", "code"),
    [
        ("connect", b"220-mx\r\n521 5.7.1 blocked using dnsbl.example\r\n", 521),
        ("connect", b"220-mx\r\n421 too many connections\r\n", 421),
        ("EHLO", b"250-mx\r\n250-SIZE\r\n421 4.3.2 closing\r\n", 421),
        ("EHLO", b"250-mx\r\n554 5.7.1 no\r\n", 554),
        ("MAIL", b"250-ok\r\n451 4.3.0 later\r\n", 451),
        ("RCPT", b"250-ok\r\n550 5.1.1 unknown\r\n", 550),
        ("DATA", b"354-go\r\n554 5.5.1 no\r\n", 554),
        ("dot", b"250-ok\r\n554 5.7.1 spam\r\n", 554),
    ],
)
def test_refusal_in_the_last_line_of_a_reply_is_shown(
    check: Check, verb: str, reply: bytes, code: int
) -> None:
    stage = {"connect": "greeting", "dot": "data"}.get(verb, verb.lower())
    with fake_smtp(replies={verb: reply}, capabilities=[]) as server:
        report = check(server.target())
    assert report.reply
    assert (report.stage, report.reply.code) == (stage, code)
    first, last = (line.decode().strip() for line in reply.splitlines()[-2:])
    shown = [line.text for line in report.transcript if line.direction == "S"]
    assert shown[-2:] == [first, last] or shown[-3:-1] == [first, last]


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("connect", b"\r\n220 hello\r\n"),
        ("connect", b"220-hello\r\n\r\n220 there\r\n"),
        ("connect", b"220\thello\r\n"),
        ("connect", b"220 hello\r\n\r\n"),
        ("EHLO", b"250-mx\r\nSIZE 1000000\r\n250 8BITMIME\r\n"),
        ("EHLO", b"250-mx\r\n\r\n250 8BITMIME\r\n\r\n"),
        ("dot", b"250\tok\r\n"),
        ("dot", b"250 ok\r\n\r\n"),
    ],
)
def test_breaches_that_are_small_do_not_end_a_check(check: Check, verb: str, reply: bytes) -> None:
    with fake_smtp(replies={verb: reply}) as server:
        report = check(server.target())
    assert report.accepted, report.transcript


def test_keyword_without_its_code_is_a_capability(check: Check) -> None:
    lines = b"250-mx\r\nSIZE 1000000\r\n250 8BITMIME\r\n"
    with fake_smtp(replies={"EHLO": lines}) as server:
        assert check(server.target()).capabilities == ("SIZE 1000000", "8BITMIME")


def test_empty_line_behind_starttls_is_injected(check: Check) -> None:
    """RFC 3207 4.2: nothing that came in clear may be believed after TLS."""
    with fake_smtp(tls="starttls", replies={"STARTTLS": b"220 go ahead\r\n\r\n"}) as server:
        assert check(server.target()).code == "SMTP_STARTTLS_INJECTED"


def test_refusal_that_is_cut_off_amid_its_lines_is_shown(check: Check) -> None:
    refusal = HangUpAfter(b"554-5.7.1 blocked\r\n554-5.7.1 see https://dnsbl.example\r\n")
    with fake_smtp(replies={"connect": refusal}) as server:
        report = check(server.target())
    assert report.reply
    assert (report.stage, report.reply.code) == (Stage.GREETING, 554)
    assert report.reply
    assert "dnsbl.example" in report.reply.text


def test_slow_server_is_waited_for(check: Check) -> None:
    replies = {"connect": Slowly(0.5, "220 sorry, I am slow")}
    with fake_smtp(replies=replies) as server:
        report = check(server.target(timeout=3))
    assert report.accepted


# -- the wrong kind of port


def test_plain_spoken_to_a_tls_port_is_named_so(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(encryption=Encryption.NONE, timeout=1.2))
    assert (report.stage, report.code) == (Stage.GREETING, "SMTP_TLS_EXPECTED")
    assert report.milliseconds < 1100


def test_tls_spoken_to_a_plain_port_is_named_so(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(encryption=Encryption.IMPLICIT))
    assert (report.stage, report.code) == (Stage.TLS, "SMTP_TLS_NOT_SPOKEN")
    assert report.reply
    assert report.reply.code == 220
    # A probe for STARTTLS came afterwards, on a connection of its own
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)


def test_tls_spoken_to_a_plain_port_that_is_slow_to_greet_is_found_by_a_second_look(
    check: Check,
) -> None:
    with fake_smtp(replies={"connect": [SILENCE, "220 there I am"]}) as server:
        # the second connection is the first to be greeted
        server.knobs["replies"]["connect"] = Slowly(0.5, "220 there I am")
        report = check(server.target(encryption=Encryption.IMPLICIT, timeout=2.4))
    assert report.code == "SMTP_TLS_NOT_SPOKEN"


def test_foreign_protocol_behind_tls_is_named(check: Check) -> None:
    with fake_smtp(tls="implicit", replies={"connect": b"* OK IMAP4rev1 ready\r\n"}) as server:
        report = check(server.target())
    assert report.code == "SMTP_WRONG_PROTOCOL"
    assert "IMAP" in report.title


def test_web_server_that_waits_for_us_is_found_by_a_second_look(check: Check) -> None:
    """It says nothing to a client that waits to be greeted; TLS's first bytes make it speak."""
    answer = AfterNoise(b"HTTP/1.1 400 Bad Request\r\nServer: inner\r\n\r\n")
    with fake_smtp(replies={"connect": answer}) as server:
        report = check(server.target(timeout=1))
    assert report.code == "SMTP_WRONG_PROTOCOL"
    assert "HTTP" in report.title
    assert "inner" not in str(report.to_dict())


def test_words_of_other_services_are_not_shown(check: Check) -> None:
    with fake_smtp(replies={"connect": b"SSH-2.0-secret-inner-host\r\n"}) as server:
        report = check(server.target())
    assert "secret-inner-host" not in str(report.to_dict())


# -- PIPELINING


def test_pipelining_liar_is_checked_again_one_by_one(check: Check) -> None:
    with fake_smtp("loses pipelined commands", login=("u", "a secret")) as server:
        report = check(server.target(timeout=3))
    assert report.accepted
    assert len(server.mails) == 1
    assert any("PIPELINING" in str(notice) for notice in report.warnings)
    assert server.connections == 2


def test_liar_that_stays_in_step_is_not_logged_in_to_again(check: Check) -> None:
    replies = {"RCPT": ["503 5.5.1 bad sequence", "250 ok"], "DATA": ["503 no", "354 go"]}
    with fake_smtp(replies=replies, login=("u", "a secret")) as server:
        report = check(server.target())
    assert report.accepted
    assert server.connections == 1
    assert sum(line.startswith("AUTH") for line in server.heard) == 1
    assert "RSET" in server.heard


def test_refusal_that_stays_the_same_one_by_one_is_no_lie(check: Check) -> None:
    with fake_smtp(replies={"RCPT": "503 5.5.1 not here"}) as server:
        report = check(server.target())
    assert report.reply
    assert (report.stage, report.reply.code) == (Stage.RCPT, 503)
    assert report.warnings == ()


def test_refused_login_is_never_tried_twice(check: Check) -> None:
    with fake_smtp(login=("u", "another"), mechanisms="PLAIN LOGIN CRAM-MD5") as server:
        report = check(server.target(password="wrong password"))
    assert report.code == "SMTP_AUTH_WRONG_CREDENTIALS"
    assert sum(line.startswith("AUTH") for line in server.heard) == 1
    assert server.connections == 1


def test_opened_data_is_closed_by_a_lone_dot_when_the_recipient_was_refused(
    check: Check,
) -> None:
    """RFC 2920 3.1."""
    replies = {"RCPT": "550 5.1.1 User unknown", "DATA": "354 go", "dot": "554 no recipients"}
    with fake_smtp(replies=replies) as server:
        report = check(server.target())
    assert (report.stage, report.code) == (Stage.RCPT, "SMTP_RCPT_UNKNOWN")
    assert b".\r\n" in b"".join(server.reads)
    assert server.mails == []


def test_empty_mail_is_not_delivered_where_only_the_sender_was_refused(check: Check) -> None:
    replies = {"MAIL": "550 5.7.1 no", "RCPT": "250 ok", "DATA": "354 go"}
    with fake_smtp(replies=replies) as server:
        report = check(server.target())
    assert report.stage is Stage.MAIL
    assert b".\r\n" not in b"".join(server.reads)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("capabilities", [[], ["PIPELINING"]])
def test_refusal_is_reported_at_its_own_stage(
    check: Check, verb: str, capabilities: list[str]
) -> None:
    with fake_smtp(replies={verb: "550 5.7.0 no"}, capabilities=capabilities) as server:
        report = check(server.target())
    assert report.stage == {"dot": "data"}.get(verb, verb.lower())
    assert report.reply
    assert (report.reply.code, report.reply.enhanced, report.reply.text) == (550, "5.7.0", "no")
    failed = [step.stage for step in report.steps if step.outcome == "failed"]
    assert failed == [report.stage]
    assert server.mails == []
