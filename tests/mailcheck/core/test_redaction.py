"""No credential reaches a report, a repr or a log, whatever the server echoes."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import urllib.parse
from pathlib import Path

import pytest

from smtpweb import mailcheck
from smtpweb.mailcheck.core.redaction import MAX_TEXT, Secrets, cleaned
from smtpweb.mailcheck.core.types import Reply, TlsFacts
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp

USER, PASSWORD = "app@example.com", 's3cret "wörd" <&> 100%'
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()

ECHOES = {
    "as it is": PASSWORD,
    "in capitals": PASSWORD.upper(),
    "backwards": PASSWORD[::-1],
    "the PLAIN response": PLAIN,
    "half the PLAIN response": PLAIN[:30],
    "base64 of the password": base64.b64encode(PASSWORD.encode()).decode(),
    "base64 with something before it": base64.b64encode(b"x:" + PASSWORD.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(f"login={PASSWORD}".encode()).decode(),
    "hexadecimal": PASSWORD.encode().hex(),
    "capital hexadecimal": PASSWORD.encode().hex().upper(),
    "percent-encoded": urllib.parse.quote(PASSWORD),
    "percent-encoded with plus": urllib.parse.quote_plus(PASSWORD),
    "HTML": html.escape(PASSWORD),
    "JSON": json.dumps(PASSWORD),
    "repr": repr(PASSWORD),
}


@pytest.mark.parametrize("how", ECHOES)
@pytest.mark.parametrize("ending", ["535 5.7.8 denied: {}", "535-5.7.8 denied\r\n535 5.7.8 {}"])
def test_echoed_password_is_hidden_that_came_back(
    check: Check, how: str, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = ending.format(ECHOES[how])
    with fake_smtp(login=(USER, PASSWORD), replies={"AUTH": reply}) as server:
        report = check(server.target())
    kept = json.dumps(report.to_dict(), ensure_ascii=False) + repr(report) + caplog.text
    for echo in ECHOES.values():
        assert echo not in kept
    assert report.reply
    assert "(hidden)" in report.reply.text
    assert report.reply
    assert "denied" in report.reply.text


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_transcript_shows_that_we_logged_in_but_not_with_what(check: Check, mechanism: str) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target())
    lines = [line.text for line in report.transcript if line.direction == "C"]
    assert any(line.startswith(f"AUTH {mechanism}") for line in lines)
    sent = [line for line in server.heard if line and not line[:5].isupper()]
    kept = str(report.to_dict())
    assert report.accepted
    for line in [*sent, *ECHOES.values()]:
        for word in line.split():
            assert len(word) < 12 or "@" in word or word not in kept


@pytest.mark.parametrize("between", [" ", "-", ".", "\u200b", "\ufffd", " * "])
@pytest.mark.parametrize("secret", ["correct horse battery", PLAIN.rstrip("=")])
def test_echoed_password_is_hidden_that_is_broken_up(between: str, secret: str) -> None:
    secrets = Secrets(USER, "correct horse battery")
    secrets.add_token(PLAIN)
    echo = f"535 you said {between.join(secret)}, denied"
    assert secrets.scrubbed(cleaned(echo)) == "535 you said (hidden), denied"


def test_target_does_not_show_its_password() -> None:
    with fake_smtp(login=(USER, PASSWORD)) as server:
        assert PASSWORD not in repr(server.target())


def test_short_password_does_not_turn_the_text_into_holes() -> None:
    secrets = Secrets("u", "no")
    assert secrets.scrubbed("I cannot know: no is (no)") == "I cannot know: (hidden) is ((hidden))"


def test_redaction_leaves_ordinary_words() -> None:
    secrets = Secrets(USER, PASSWORD)
    text = "250 2.0.0 Ok: queued as 4bXyZ12345qRsTuV 0123456789abcdef0123456789abcdef"
    assert secrets.scrubbed(text) == text
    assert Secrets(USER, "ok-as").scrubbed(text) == text


def test_redaction_without_a_password_hides_nothing() -> None:
    assert Secrets("", "").scrubbed("anything") == "anything"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("plain words", "plain words"),
        ("grüße", "grüße"),
        ("\x1b[31mred\x1b[0m", "\ufffdred\ufffd"),
        ("nul\0bell\x07", "nul\ufffdbell\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("tab\there", "tab here"),
        ("\x1b]0;title\x07x", "\ufffdx"),
    ],
)
def test_characters_that_move_a_cursor_or_turn_the_reading_order_are_taken_out(
    said: str, kept: str
) -> None:
    assert cleaned(said) == kept


def test_long_reply_is_cut(check: Check) -> None:
    with fake_smtp(replies={"MAIL": "550 " + "x" * 1500}) as server:
        report = check(server.target())
    assert report.reply
    assert len(report.reply.text) == MAX_TEXT
    assert all(len(line.text) <= MAX_TEXT for line in report.transcript)


def test_server_text_with_terminal_escapes_does_not_reach_the_report(check: Check) -> None:
    reply = b"550 \x1b[2J\x1b[31mbad\x00 <script>alert(1)</script> \xe2\x80\xaexyz\r\n"
    with fake_smtp(replies={"MAIL": reply}) as server:
        report = check(server.target())
    text = json.dumps(report.to_dict(), ensure_ascii=False)
    assert not set(text) & {"\x1b", "\0", "\u202e"}
    assert report.reply
    assert "bad" in report.reply.text


def test_enhanced_code_that_spells_the_password_is_left_out(check: Check) -> None:
    with fake_smtp(login=(USER, "5123456"), replies={"AUTH": "535 5.123.456 no"}) as server:
        report = check(server.target())
    assert report.reply
    assert report.reply.enhanced == ""
    assert "5.123.456" not in str(report.to_dict())


def test_recorder_alone_makes_words_of_a_server_fit_for_a_report() -> None:
    makers = {
        path.name
        for path in Path(mailcheck.__file__).parent.rglob("*.py")
        if re.search(r'ServerText\((?!"")', path.read_text().replace('NewType("ServerText"', ""))
    }
    assert makers == {"recorder.py"}
    for kind, names in ((Reply, ("text", "enhanced")), (TlsFacts, ("subject", "issuer"))):
        for name in names:
            assert kind.__annotations__[name] == "ServerText"


def test_password_like_the_name_of_a_mechanism_takes_none_away(check: Check) -> None:
    with fake_smtp(login=(USER, "login"), mechanisms="LOGIN") as server:
        report = check(server.target())
    assert report.accepted
    assert "AUTH (hidden)" in report.capabilities
