"""Characters that cannot be seen: one rule for hosts, names, passwords and diagnoses."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from smtpweb import validators
from smtpweb.mailcheck import Target
from smtpweb.mailcheck.core.invisible import first_invisible, first_undrawn
from smtpweb.mailcheck.diagnosis.facts import _invisible_facts
from smtpweb.providers import credentials

UNDRAWN = ["\u200b", "\u00ad", "\ufeff", "\u3164", "\u2800", "\ufe0f", "\U000e0041", "\u180e"]
BLANKS = ["\u00a0", "\u3000", "\u2003", "\t"]
UNKNOWN = ["\ue000", "\u0378", "\U0010fffd"]


@pytest.mark.parametrize("char", UNDRAWN + BLANKS + UNKNOWN)
def test_invisible_character_is_found_at_the_same_position_everywhere(char: str) -> None:
    text = f"ab{char}c"
    assert first_invisible(text) == (char, 3)
    assert credentials.blank_in(text, generated=False) == f"{ord(char):04X}:3"
    facts = _invisible_facts(Target("h.example", 25, "a@b.example", "c@d.example", password=text))
    assert facts == {"invisible": True, "field": "password", "position": 3}
    with pytest.raises(ValueError, match=f"U\\+{ord(char):04X} at position 3"):
        validators.host(f"ab{char}c.example")


@pytest.mark.parametrize("char", UNDRAWN)
def test_undrawn_character_is_refused_in_names_of_accounts(char: str) -> None:
    assert first_undrawn(f"ab{char}c") == (char, 3)
    with pytest.raises(ValueError, match=f"U\\+{ord(char):04X} at position 3"):
        validators.user_name(f"ab{char}c")


@pytest.mark.parametrize("name", ["al ice", "山田\u3000太郎", "Zoë", "a\ue000"])
def test_blanks_between_the_words_of_a_name_can_be_seen(name: str) -> None:
    assert first_undrawn(name) is None
    assert validators.user_name(name) == name


def test_letters_with_a_glyph_are_not_invisible() -> None:
    found = {chr(code) for code in range(sys.maxunicode + 1) if first_undrawn(chr(code))}
    letters = {char for char in found if unicodedata.category(char) in ("Lu", "Ll", "Nd", "Po")}
    assert not letters
    assert first_invisible("pass word €ñ字") is None


@pytest.mark.parametrize(
    ("text", "position"), [("a b", 0), (" ab", 1), ("ab ", 3), ("\u200bab ", 1), (" a\u200b", 1)]
)
def test_diagnosis_names_blanks_at_the_ends_too(text: str, position: int) -> None:
    facts = _invisible_facts(Target("h.example", 25, "a@b.example", "c@d.example", username=text))
    assert facts.get("position", 0) == position
