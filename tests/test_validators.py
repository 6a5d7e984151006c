"""What is accepted when it is entered is what a check can use; the rest gets a clear sentence."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpweb import validators
from smtpweb.errors import Sentence
from smtpweb.mailcheck.core.addresses import parse_host, parse_mailbox
from smtpweb.mailcheck.protocol.message import compose


def accepted(rule: Callable[[str], str], value: str) -> str | None:
    """What the rule makes of a value, or None where it refuses it with a clear sentence."""
    try:
        return rule(value)
    except ValueError as error:
        refusal = error.args[0]
    assert isinstance(refusal, Sentence) and len(refusal) > 10
    return None


ADDRESSES = [
    ("user@localhost", "user@localhost"),
    ("admin@corp.local", "admin@corp.local"),
    ("inbox@shop.test", "inbox@shop.test"),
    ("x@y.invalid", "x@y.invalid"),
    ("a@my_relay", "a@my_relay"),
    ('"foo."@docomo.ne.jp', '"foo."@docomo.ne.jp'),
    ('"a b"@example.com', '"a b"@example.com'),
    ('"a@b"@example.com', '"a@b"@example.com'),
    ("root@[127.0.0.1]", "root@[127.0.0.1]"),
    ("root@[IPv6:2001:DB8::1]", "root@[IPv6:2001:db8::1]"),
    ("root@[ipv6:::1]", "root@[IPv6:::1]"),
    ("Ana@EXAMPLE.com", "Ana@example.com"),
    ("a@example.com.", "a@example.com"),
    ("a@bücher.example", "a@bücher.example"),
    ("tüst@bücher.example", "tüst@bücher.example"),
]


@pytest.mark.parametrize(("typed", "kept"), ADDRESSES)
def test_email_accepts_what_a_check_can_send_to(typed: str, kept: str) -> None:
    assert validators.email(typed) == kept


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("root@127.0.0.1", "in brackets: root@[127.0.0.1]"),
        ("root@::1", "in brackets: root@[IPv6:::1]"),
        ("root@[::1]", "[IPv6:2001:db8::1], not [::1]"),
        ("root@[1.2.3]", "not [1.2.3]"),
        ("root@[IPv6:1.2.3.4]", "not [IPv6:1.2.3.4]"),
        ("root@[fe80::1%eth0]", "An address literal"),
        ("root@[127.0.0.1", "An address literal"),
        ("root@127.1", "not a domain name: 127.1"),
        ("nobody", "must contain an @ sign"),
        ("@example.com", "before the @ sign"),
        ("a@", "after the @ sign"),
        ("a@b c.example", "not a domain name"),
        ("a@smtp://b.example", "not a domain name"),
        ("a..b@example.com", "two periods in a row"),
        ("a.@example.com", "period immediately before"),
        ("a b@example.com", "invalid characters before the @ sign: SPACE"),
        ("a\u200bb@example.com", "ZERO WIDTH SPACE"),
        ("a@%(rest)s.example", "%(rest)s.example"),
    ],
)
def test_email_refuses_with_a_sentence(typed: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        validators.email(typed)
    assert isinstance(caught.value.args[0], Sentence)
    assert said in str(caught.value)


LOCAL = st.one_of(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,70}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), min_size=0, max_size=20).map('"{}"'.format),
    st.text(max_size=20),
)
DOMAIN = st.one_of(
    st.from_regex(r"[A-Za-z0-9_.-]{1,60}", fullmatch=True),
    st.ip_addresses().map(lambda address: f"[{address}]"),
    st.ip_addresses(v=6).map(lambda address: f"[IPv6:{address}]"),
    st.text(max_size=20),
)


@given(local=LOCAL, domain=DOMAIN)
@example("a", "[IPv6:::1]")
@example('"<x>"', "localhost")
@example("=?utf-8?q?=0D=0A?=", "example.com")
def test_email_that_is_accepted_can_be_composed_and_sent(local: str, domain: str) -> None:
    kept = accepted(validators.email, f"{local}@{domain}")
    if kept is None:
        return
    assert validators.email(kept) == kept
    mailbox = parse_mailbox(kept)
    assert parse_mailbox(f"{local}@{domain}") == mailbox
    assert not any(char in "\r\n\0" for char in mailbox.address)
    assert len(mailbox.address.encode()) <= 254
    message = compose(mailbox, mailbox, "", "mail.example.com", 587, 0.0)
    head = message.data.partition(b"\r\n\r\n")[0].decode()
    assert f"To: <{mailbox.address}>\r\n" in head
    msg_id = message.message_id[1:-1].rpartition("@")[2]
    assert ".." not in msg_id and not msg_id.endswith(".")
    parsed = email.message_from_bytes(message.data, policy=email.policy.compat32)
    assert len(parsed.keys()) == 9


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Mail.EXAMPLE.net", "mail.example.net"),
        ("mail.example.net.", "mail.example.net"),
        ("ｍａｉｌ．ｅｘａｍｐｌｅ．ｎｅｔ", "mail.example.net"),
        ("mail。example。net", "mail.example.net"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
        ("LOCALHOST", "localhost"),
    ],
)
def test_host_is_kept_as_it_is_looked_up(typed: str, kept: str) -> None:
    assert validators.host(typed) == kept
    assert parse_host(kept).name == kept


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ma\u200bil.example.net", "ZERO WIDTH SPACE (U+200B at position 3)"),
        ("mail.exa\u00admple.net", "SOFT HYPHEN (U+00AD at position 9)"),
        ("\ufeffmail.example.net", "ZERO WIDTH NO-BREAK SPACE (U+FEFF at position 1)"),
        ("mail\u2060.example.net", "WORD JOINER (U+2060 at position 5)"),
        ("mail.example.net\u00a0", "NO-BREAK SPACE (U+00A0 at position 17)"),
        ("mail.example.net ", "SPACE (U+0020 at position 17)"),
        ("mail\u3000example.net", "IDEOGRAPHIC SPACE (U+3000 at position 5)"),
        ("mail\u034f.example", "COMBINING GRAPHEME JOINER (U+034F at position 5)"),
        ("mail\u3164.example", "HANGUL FILLER (U+3164 at position 5)"),
        ("mail\ufe0f.example", "VARIATION SELECTOR-16 (U+FE0F at position 5)"),
        ("mail\U000e0061.example", "TAG LATIN SMALL LETTER A (U+E0061 at position 5)"),
    ],
)
def test_host_names_the_character_that_cannot_be_seen(typed: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        validators.host(typed)
    assert f"Must not contain {said}." in str(caught.value)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[a-zA-Z0-9ａ-ｚ.。_\[\]:-]{1,40}")))
def test_host_that_is_accepted_is_what_is_looked_up(typed: str) -> None:
    kept = accepted(validators.host, typed)
    if kept is None:
        return
    assert kept.isascii() and kept == kept.lower()
    assert parse_host(kept).name == kept == parse_host(typed).name
