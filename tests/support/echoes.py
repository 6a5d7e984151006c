"""The ways in which a server may send a password back."""

from __future__ import annotations

import base64
import codecs
import html
import unicodedata
import urllib.parse


def b64(raw: bytes | str) -> str:
    return base64.b64encode(raw.encode() if isinstance(raw, str) else raw).decode()


def wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def echoes(password: str, user: str = "app@example.com") -> dict[str, str]:
    """Return ``password`` in every encoding that is recognised, by name."""
    raw = password.encode()

    def some(mark: str) -> str:
        return "".join(
            f"{mark}{octet:02X}" if octet > 126 or octet in b" =+bu" else chr(octet)
            for octet in raw
        )

    return {
        "as it is": password,
        "in capitals": password.upper(),
        "in swapped case": password.swapcase(),
        "backwards": password[::-1],
        "full width": wide(password),
        "letters apart": " ".join(password),
        "dots between": ".".join(password),
        "decomposed": unicodedata.normalize("NFD", password),
        "UTF-8 taken for Latin-1": raw.decode("latin-1"),
        "percent": urllib.parse.quote(password),
        "percent, every octet": "".join(f"%{octet:02x}" for octet in raw),
        "percent, every other octet": "".join(
            f"%{octet:02X}"
            if index % 2 and octet < 128
            else chr(octet)
            if octet < 128
            else f"%{octet:02X}"
            for index, octet in enumerate(raw)
        ),
        "percent of percent": urllib.parse.quote(urllib.parse.quote(password)),
        "quoted-printable": codecs.encode(raw, "quopri").decode(),
        "quoted-printable, every octet": "".join(f"={octet:02X}" for octet in raw),
        "quoted-printable, some octets": some("="),
        "xtext": some("+"),
        "HTML": html.escape(password),
        "HTML, decimal": "".join(f"&#{ord(char)};" for char in password),
        "HTML, hexadecimal": "".join(f"&#x{ord(char):x};" for char in password),
        "HTML, some": password.replace("o", "&#111;").replace("r", "&#x72;"),
        r"\x": "".join(f"\\x{octet:02x}" for octet in raw),
        r"\x, some": password.replace("b", r"\x62").replace("o", r"\x6f"),
        r"\u": "".join(f"\\u{ord(char):04x}" for char in password),
        r"\u{}": "".join(f"\\u{{{ord(char):04x}}}" for char in password),
        r"\U": "".join(f"\\U{ord(char):08x}" for char in password),
        "octal": "".join(f"\\{octet:03o}" for octet in raw),
        r"\u{}, short": "".join(f"\\u{{{ord(char):x}}}" for char in password),
        r"\x{}": "".join(f"\\x{{{ord(char):x}}}" for char in password),
        "octal, short": "".join(f"\\{octet:o}" for octet in raw),
        r"octal, \o{}": "".join(f"\\o{{{octet:o}}}" for octet in raw),
        "octal octets": " ".join(f"{octet:03o}" for octet in raw),
        "octal octets, leading zero": ", ".join(f"{octet:04o}" for octet in raw),
        "octal octets, 0o": ", ".join(f"0o{octet:o}" for octet in raw),
        "U+": " ".join(f"U+{ord(char):04X}" for char in password),
        "backslashes": "".join(f"\\{char}" if not char.isalnum() else char for char in password),
        "hexadecimal": raw.hex(),
        "hexadecimal, capitals": raw.hex().upper(),
        "hexadecimal, blanks": raw.hex(" "),
        "hexadecimal, colons": raw.hex(":"),
        "hexadecimal, 0x": ", ".join(f"0x{octet:02x}" for octet in raw),
        "decimal octets": " ".join(str(octet) for octet in raw),
        "decimal octets, commas": "[" + ", ".join(str(octet) for octet in raw) + "]",
        "hexadecimal of UTF-16": password.encode("utf-16-le").hex(),
        "base64": b64(raw),
        "base64 without padding": b64(raw).rstrip("="),
        "base64, URL-safe": base64.urlsafe_b64encode(raw).decode(),
        "base64 in swapped case": b64(raw).swapcase(),
        "base64, one octet before": b64(b"x" + raw),
        "base64, two octets before": b64(b"xy" + raw + b"z"),
        "base64, letters apart": " ".join(b64(raw)),
        "base64 backwards": b64(raw)[::-1],
        "base64 of backwards": b64(password[::-1]),
        "base64, octets before, backwards": b64(b"xy" + raw)[::-1],
        "hexadecimal backwards": raw.hex()[::-1],
        "base32 backwards": base64.b32encode(raw).decode()[::-1],
        "base64 glued to a word": "denied" + b64(raw),
        "base64 of base64": b64(b64(raw)),
        "base64 of base64 of base64": b64(b64(b64(raw))),
        "base64 of UTF-16": b64(password.encode("utf-16-le")),
        "base64 of UTF-16, big end first": b64(password.encode("utf-16-be")),
        "base64 of hexadecimal": b64(raw.hex()),
        "base64 of percent": b64("".join(f"%{octet:02x}" for octet in raw)),
        "hexadecimal of base64": b64(raw).encode().hex(),
        "base32": base64.b32encode(raw).decode(),
        "base32, small": base64.b32encode(raw).decode().lower().rstrip("="),
        "base32, octets before": base64.b32encode(b"xyz" + raw).decode(),
        "base64 of PLAIN": b64(b"\0" + user.encode() + b"\0" + raw),
        "binary digits": " ".join(f"{octet:08b}" for octet in raw),
        "binary digits in a row": "".join(f"{octet:08b}" for octet in raw),
        "decimal octets in a program": "+".join(f"chr({octet})" for octet in raw),
        "tags between": "<b></b>".join(password),
        "comments between": "<!-- x -->".join(password),
        "ROT13": codecs.encode(password, "rot13"),
        "percent of base64": urllib.parse.quote(b64(raw), safe="").replace("c", "%63"),
    }
