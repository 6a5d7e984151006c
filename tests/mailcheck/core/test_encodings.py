"""A secret is found whatever encoding a server puts it into, and at a bounded price."""

from __future__ import annotations

import base64
import codecs
import html
import urllib.parse

import pytest

from smtpweb.mailcheck.core import encodings
from smtpweb.mailcheck.core.redaction import HIDDEN, Secrets, cleaned

USER, PASSWORD = "app@example.com", "Tr0ub4dor&3 ñandú"
RAW = PASSWORD.encode()


def b64(raw: bytes | str) -> str:
    return base64.b64encode(raw.encode() if isinstance(raw, str) else raw).decode()


def wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


ECHOES = {
    "as it is": PASSWORD,
    "in capitals": PASSWORD.upper(),
    "in swapped case": PASSWORD.swapcase(),
    "backwards": PASSWORD[::-1],
    "full width": wide(PASSWORD),
    "letters apart": " ".join(PASSWORD),
    "dots between": ".".join(PASSWORD),
    "decomposed": "Tr0ub4dor&3 n\u0303andu\u0301",
    "UTF-8 taken for Latin-1": RAW.decode("latin-1"),
    "percent": urllib.parse.quote(PASSWORD),
    "percent, every octet": "".join(f"%{octet:02x}" for octet in RAW),
    "percent, every other octet": "".join(
        f"%{octet:02X}"
        if index % 2 and octet < 128
        else chr(octet)
        if octet < 128
        else f"%{octet:02X}"
        for index, octet in enumerate(RAW)
    ),
    "percent of percent": urllib.parse.quote(urllib.parse.quote(PASSWORD)),
    "quoted-printable": codecs.encode(RAW, "quopri").decode(),
    "quoted-printable, every octet": "".join(f"={octet:02X}" for octet in RAW),
    "quoted-printable, some octets": "Tr0=75b4dor&3 =C3=B1and=C3=BA",
    "xtext": "Tr0+75b4dor&3+20+C3+B1and+C3+BA",
    "HTML": html.escape(PASSWORD),
    "HTML, decimal": "".join(f"&#{ord(char)};" for char in PASSWORD),
    "HTML, hexadecimal": "".join(f"&#x{ord(char):x};" for char in PASSWORD),
    "HTML, some": PASSWORD.replace("o", "&#111;").replace("r", "&#x72;"),
    r"\x": "".join(f"\\x{octet:02x}" for octet in RAW),
    r"\x, some": PASSWORD.replace("b", r"\x62").replace("o", r"\x6f"),
    r"\u": "".join(f"\\u{ord(char):04x}" for char in PASSWORD),
    r"\u{}": "".join(f"\\u{{{ord(char):04x}}}" for char in PASSWORD),
    r"\U": "".join(f"\\U{ord(char):08x}" for char in PASSWORD),
    "octal": "".join(f"\\{octet:03o}" for octet in RAW),
    "U+": " ".join(f"U+{ord(char):04X}" for char in PASSWORD),
    "backslashes": "".join(f"\\{char}" if not char.isalnum() else char for char in PASSWORD),
    "hexadecimal": RAW.hex(),
    "hexadecimal, capitals": RAW.hex().upper(),
    "hexadecimal, blanks": RAW.hex(" "),
    "hexadecimal, colons": RAW.hex(":"),
    "hexadecimal, 0x": ", ".join(f"0x{octet:02x}" for octet in RAW),
    "decimal octets": " ".join(str(octet) for octet in RAW),
    "decimal octets, commas": "[" + ", ".join(str(octet) for octet in RAW) + "]",
    "hexadecimal of UTF-16": PASSWORD.encode("utf-16-le").hex(),
    "base64": b64(RAW),
    "base64 without padding": b64(RAW).rstrip("="),
    "base64, URL-safe": base64.urlsafe_b64encode(RAW).decode(),
    "base64 in swapped case": b64(RAW).swapcase(),
    "base64, one octet before": b64(b"x" + RAW),
    "base64, two octets before": b64(b"xy" + RAW + b"z"),
    "base64, letters apart": " ".join(b64(RAW)),
    "base64 glued to a word": "denied" + b64(RAW),
    "base64 of base64": b64(b64(RAW)),
    "base64 of base64 of base64": b64(b64(b64(RAW))),
    "base64 of UTF-16": b64(PASSWORD.encode("utf-16-le")),
    "base64 of UTF-16, big end first": b64(PASSWORD.encode("utf-16-be")),
    "base64 of hexadecimal": b64(RAW.hex()),
    "base64 of percent": b64("".join(f"%{octet:02x}" for octet in RAW)),
    "hexadecimal of base64": b64(RAW).encode().hex(),
    "base32": base64.b32encode(RAW).decode(),
    "base32, small": base64.b32encode(RAW).decode().lower().rstrip("="),
    "base32, octets before": base64.b32encode(b"xyz" + RAW).decode(),
    "base64 of PLAIN": b64(b"\0" + USER.encode() + b"\0" + RAW),
    "percent of base64": urllib.parse.quote(b64(RAW), safe="").replace("c", "%63"),
}


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
