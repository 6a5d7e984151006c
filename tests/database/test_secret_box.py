"""Sealing of SMTP passwords."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.fernet import Fernet

from smtpweb.database.secret_box import SecretBox, new_key
from smtpweb.errors import ConfigError, SecretUnreadable

OLD, NEW = new_key(), new_key()


def test_sealed_secret_opens_for_its_row_only() -> None:
    box = SecretBox((NEW,))
    sealed = box.seal("row", "pässwörd ✓")
    assert box.open("row", sealed) == "pässwörd ✓"
    assert "pässwörd" not in sealed
    with pytest.raises(SecretUnreadable):
        box.open("another", sealed)


def test_secret_sealed_twice_looks_different() -> None:
    box = SecretBox((NEW,))
    assert box.seal("row", "x") != box.seal("row", "x")


def test_older_keys_only_open() -> None:
    sealed = SecretBox((OLD,)).seal("row", "x")
    box = SecretBox((NEW, OLD))
    assert box.open("row", sealed) == "x"
    assert box.seal("row", "x").startswith(box.seal_prefix)
    assert not sealed.startswith(box.seal_prefix)


def sealed_by_an_earlier_version(key: str, row_id: str, secret: str) -> str:
    key_id = hashlib.sha256(key.encode()).hexdigest()[:8]
    token = Fernet(key).encrypt(json.dumps({"i": row_id, "p": secret}).encode())
    return f"v1.{key_id}.{token.decode()}"


def test_secret_of_an_earlier_version_opens_for_its_row_only() -> None:
    sealed = sealed_by_an_earlier_version(OLD, "row", "pässwörd ✓")
    box = SecretBox((NEW, OLD))
    assert box.open("row", sealed) == "pässwörd ✓"
    assert box.has_key_of(sealed)
    assert not sealed.startswith(box.seal_prefix)  # so rotation seals it again, also under one key
    assert not sealed.startswith(SecretBox((OLD,)).seal_prefix)
    for other, row in ((box, "another"), (SecretBox((NEW,)), "row")):
        with pytest.raises(SecretUnreadable):
            other.open(row, sealed)


def test_sealed_secret_opens_under_no_other_version_or_key() -> None:
    box = SecretBox((NEW, OLD))
    version, key_id, content = box.seal("row", "x").split(".")
    other = SecretBox((OLD,)).newest
    for changed in (f"v1.{key_id}.{content}", f"{version}.{other}.{content}"):
        with pytest.raises(SecretUnreadable):
            box.open("row", changed)


@pytest.mark.parametrize(
    "sealed", ["", "x", "v1.x", "v1.00000000.x", "v2.a.b", "v1..", "v2..", "ü.ü.ü"]
)
def test_text_that_was_never_sealed_is_unreadable(sealed: str) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox((NEW,)).open("row", sealed)


def test_sealed_text_with_a_changed_letter_is_unreadable() -> None:
    box = SecretBox((NEW,))
    sealed = box.seal("row", "x")
    other = "A" if sealed[-5] != "A" else "B"
    with pytest.raises(SecretUnreadable):
        box.open("row", sealed[:-5] + other + sealed[-4:])


@pytest.mark.parametrize("keys", [(), ("",), ("short",), (NEW, "x" * 44)])
def test_keys_that_are_bad_are_refused_without_showing_them(keys: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as told:
        SecretBox(keys)
    assert not any(key and key in str(told.value) for key in keys)
    assert NEW not in repr(SecretBox((NEW,)))
