"""A secret is found whatever encoding a server puts it into, and at a bounded price."""

from __future__ import annotations

import pytest

from smtpweb.mailcheck.core import encodings
from smtpweb.mailcheck.core.redaction import HIDDEN, Secrets, cleaned
from tests.support.echoes import b64, echoes

USER, PASSWORD = "app@example.com", "Tr0ub4dor&3 ñandú"
RAW = PASSWORD.encode()


ECHOES = echoes(PASSWORD, USER)


@pytest.mark.parametrize("how", ECHOES)
def test_password_is_hidden_in_every_encoding(how: str) -> None:
    echo = ECHOES[how]
    kept = Secrets(USER, PASSWORD).scrubbed(cleaned(f"denied: {echo} is wrong"))
    assert HIDDEN in kept
    for start in range(max(1, len(echo) - 8)):
        assert echo[start : start + 8] not in kept


@pytest.mark.parametrize("how", ECHOES)
def test_encodings_of_another_password_are_shown(how: str) -> None:
    text = cleaned(f"denied: {ECHOES[how]} is wrong")
    assert Secrets(USER, "an entirely different one").scrubbed(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "250-PIPELINING", "SIZE 10240000", "AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256-PLUS",
        "5.7.8 Username and Password not accepted. Learn more at"
        " 5.7.8 https://support.example.com/mail/?p=BadCredentials d75a77b69052e-4f1a2b3c",
        "2.0.0 OK 1700000000 a1b2c3d4e5f60718293a4b5c6d7e8f9001122334455 - gsmtp",
        "queued as 4bXyZ12345qRsTuV", "=20 100% of &amp; +41 \\x",
        "Ok 0100018c2f3e4d5a-6b7c8d9e-0f1a-2b3c-4d5e-6f708192a3b4-000000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("password", [PASSWORD, "hidden", "letmein", "!?!?!?!?", "abcd", "Ab1"])
def test_ordinary_replies_are_shown(text: str, password: str) -> None:
    assert Secrets(USER, password).scrubbed(text) == text


@pytest.mark.parametrize("password", ["!?<>!?<>", "·–·–·–·–", "pin 4", "abcd"])
def test_password_of_few_letters_is_hidden(password: str) -> None:
    secrets = Secrets(USER, password)
    raw = password.encode()
    percent = "".join(f"%{octet:02x}" for octet in raw)
    for echo in (password, raw.hex(":"), percent, b64(b"x" + raw)):
        assert echo not in secrets.scrubbed(cleaned(f"no {echo} here"))


def test_text_made_to_decode_for_ever_is_given_up_and_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = 0
    stand_in = Secrets._stand_in

    def counted(self: Secrets, view: str) -> bool:
        nonlocal decoded
        decoded += len(view)
        return stand_in(self, view)

    monkeypatch.setattr(Secrets, "_stand_in", counted)
    pieces = ("%41", "=42", "\\x43", "&#68;", "+45", "abcdABCD", "66 66 66 66 ", "101 ")
    text = "".join(pieces[index * 7 % 8] for index in range(4000))[: 16 * 1024]
    assert Secrets(USER, PASSWORD).scrubbed(text) == HIDDEN
    assert decoded <= encodings.MAX_DECODED
