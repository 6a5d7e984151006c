"""What the receiver of an alarm answers never shows the secret parts of its URL."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from smtpweb.mailcheck.core.redaction import HIDDEN
from smtpweb.monitoring.alarms.senders.secret_parts import hidden_in

SLACK = "https://hooks.slack.com/services/T0123ABCD/B0456EFGH/aBcDeFgHiJkLmNoPqRsTuVwX"
CASES = {
    SLACK: ("T0123ABCD", "B0456EFGH", "aBcDeFgHiJkLmNoPqRsTuVwX"),
    "https://example.com/hook?key=s3same&to=ops": ("s3same",),
    "https://example.com/hooks/T0/B0/x9Z": ("hooks/T0/B0/x9Z",),
    "https://example.com/abcdefghijklmnopqrst": ("abcdefghijklmnopqrst",),
    "https://example.com/a%2Fb%20c-Token7": ("a%2Fb%20c-Token7", "a/b c-Token7"),
    "https://discord.com/api/webhooks/1234567890123/" + "Ab1_" * 17: ("Ab1_" * 17, "1234567890123"),
    "slack://T1JJ3T3L2abc/A1BRTD4JDabc/TIiajkdnlazkcOXrIdevi7FQ": (
        "T1JJ3T3L2abc", "A1BRTD4JDabc", "TIiajkdnlazkcOXrIdevi7FQ",
    ),
    "matrix://robot:pa55-W0rd!@chat.example/room": ("pa55-W0rd!",),
    "tgram://123456789:abcdefg_hijklmnop/12315544/": ("abcdefg_hijklmnop", "123456789"),
}  # fmt: skip


@pytest.mark.parametrize("url", CASES)
def test_secret_parts_are_hidden_however_they_are_repeated(url: str) -> None:
    for part in CASES[url]:
        for form in (
            part, f"/{part}", f"{part}?x", part.upper(), quote(part),
            base64.b64encode(part.encode()).decode(), " ".join(part),
        ):  # fmt: skip
            shown = hidden_in(f"Cannot POST {form}.", url)
            assert form not in shown, form
            assert HIDDEN in shown


def test_words_of_a_url_are_no_secrets() -> None:
    text = "The webhooks service knows no incoming-webhooks; see example.com/services."
    for url in (
        "https://example.com/webhooks", "https://example.com/services/incoming-webhooks",
        "https://example.com", "http://127.0.0.1:8080/hook",
    ):  # fmt: skip
        assert hidden_in(text, url) == text


def test_text_of_a_receiver_is_one_line_without_controls() -> None:
    assert hidden_in("a\nb\x1b[31mc\u202ed", "https://example.com/") == "a b\ufffdc\ufffdd"


def test_further_secrets_are_hidden() -> None:
    assert "whsec_abcdef123456" not in hidden_in(
        "your key whsec_abcdef123456", "https://example.com/", "whsec_abcdef123456"
    )
