"""What is pasted where only a host belongs is taken apart, and no secret shows."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpweb import validators
from smtpweb.mailcheck import Encryption
from smtpweb.mailcheck.core.pasted import take_apart

STARTTLS, IMPLICIT = Encryption.STARTTLS, Encryption.IMPLICIT


@pytest.mark.parametrize(
    ("text", "host", "port", "encryption", "username"),
    [
        ("smtp://me@example.com:p@Qx7/w:rd@mx.example.com:587", "mx.example.com", 587, STARTTLS,
         "me@example.com"),
        ("smtps://me:p%40ss@MX.example.com", "mx.example.com", 465, IMPLICIT, "me"),
        ("smtp://me%40example.com:a:b@mx.example.com:2525", "mx.example.com", 2525, STARTTLS,
         "me@example.com"),
        ("smtp://me:p@ss@mx.example.com:465/?tls=1", "mx.example.com", 465, IMPLICIT, "me"),
        ("submissions://mx.example.com", "mx.example.com", 465, IMPLICIT, ""),
        ("smtp+ssl://u:p@mx.example.com/", "mx.example.com", 465, IMPLICIT, "u"),
        ("https://mail.example.com/inbox", "mail.example.com", None, None, ""),
        ("mx.example.com:587", "mx.example.com", 587, STARTTLS, ""),
        ("mx.example.com:2500", "mx.example.com", 2500, None, ""),
        ("me@example.com@mx.example.com:587", "mx.example.com", 587, STARTTLS, "me@example.com"),
        ("smtp://u:p@[2001:DB8::1]:25", "2001:db8::1", 25, STARTTLS, "u"),
        ("smtp://u:p@192.0.2.1", "192.0.2.1", 587, STARTTLS, "u"),
        ("smtp://u:p?q#r@mx.example.com", "mx.example.com", 587, STARTTLS, "u"),
    ],
)  # fmt: skip
def test_pasted_server_is_taken_apart(
    text: str, host: str, port: int | None, encryption: Encryption | None, username: str
) -> None:
    parts = take_apart(text)
    assert parts is not None
    assert (parts.host, parts.port, parts.encryption) == (host, port, encryption)
    assert parts.username == username


@pytest.mark.parametrize(
    "text",
    [
        "smtp://me:p@ssw0rd",  # no host: the rest of the password is none
        "smtp://mx.example.com/?password=p@ss.example",  # the host stands before the last @
        "smtp://u:p@mx.example.com:587/?from=a@b.example",
        "smtp://u:p@mx.example.com:99999",
        "smtp://",
        "user:secret",
        "ana@example.com",
        "a b://c",
    ],
)
def test_pasted_server_that_cannot_be_told_for_sure_is_not_guessed(text: str) -> None:
    assert take_apart(text) is None


def test_pasted_key_without_password_is_not_taken_for_a_user_name() -> None:
    parts = take_apart("smtp://SG.verysecret@smtp.example.com")
    assert parts is not None
    assert (parts.username, parts.has_password) == ("", True)


PASSWORD = st.text(string.ascii_letters + string.digits + "@:/%?#!é", min_size=4, max_size=30)


@given(password=PASSWORD, port=st.sampled_from(["", ":587", ":465"]))
def test_pasted_password_never_shows(password: str, port: str) -> None:
    secret = f"Zq{password}qZ"
    text = f"smtp://me@shop.example:{secret}@mx.example.net{port}"
    with pytest.raises(validators.PastedServer) as caught:
        validators.host(text)
    shown = f"{caught.value} {caught.value.parts!r}"
    for piece in secret.replace("@", " ").replace("/", " ").replace(":", " ").split():
        assert len(piece) < 4 or piece not in shown
    assert caught.value.secret
    if caught.value.parts is not None:
        assert caught.value.parts.host == "mx.example.net"


@pytest.mark.parametrize(
    "text", ["smtp://TOK:TOK@smtp.example.com:587", "smtp://TOK:@smtp.example.com:587"]
)
def test_pasted_user_name_that_is_the_password_is_left_out(text: str) -> None:
    parts = take_apart(text)
    assert parts is not None
    assert (parts.host, parts.username) == ("smtp.example.com", "")
