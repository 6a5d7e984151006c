"""Nothing that is given to the test mail can add a header, a recipient or a second mail."""

from __future__ import annotations

import email
import email.header
import email.policy

import pytest

from smtpweb.mailcheck.core.addresses import parse_mailbox
from smtpweb.mailcheck.protocol import message
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp

SENDER, RECIPIENT = parse_mailbox("app@example.com"), parse_mailbox("test@example.com")
NAMES = (
    "From,To,Subject,Date,Message-ID,Auto-Submitted,MIME-Version,Content-Type,"
    "Content-Transfer-Encoding"
)


def compose(from_name: str = "", host: str = "mail.example.com") -> message.Message:
    return message.compose(SENDER, RECIPIENT, from_name, host, 25, 1_800_000_000.0)


def test_mail_with_an_arrival_link_holds_it_in_one_line_and_its_token_stays_in_it(
    check: Check,
) -> None:
    """Even where the server says back what it was given."""
    token = "n3_Tkq-vYx0bq7D4o1Zt5aLwGmR2sEcU"
    url = f"https://smtps.example.com/received/{token}"
    with fake_smtp(replies={"dot": f"250 2.0.0 Ok: {url} {token.upper()}"}) as server:
        report = check(server.target(arrival_url=url))
    assert report.accepted
    [(_, _, raw)] = server.mails
    assert f"\r\n    {url}\r\n".encode() in raw
    assert token.lower() not in str(report.to_dict()).lower()
    with fake_smtp() as server:
        assert check(server.target()).accepted
    assert b"http" not in server.mails[0][2]


@pytest.mark.parametrize(
    "name",
    ["", "App", "Böse Leute", 'Quote " and \\ back', "comma, semicolon; <angle> (comment)", "名前",
     "x" * 59, "x" * 300, "ü" * 200, "a. b.", "@", "😀 party", " spaces "],
)  # fmt: skip
def test_name_of_any_kind_comes_out_as_it_went_in(name: str) -> None:
    raw = compose(name).data.removesuffix(b".\r\n")
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert ",".join(mail.keys()) == NAMES
    [address] = mail["From"].addresses
    assert address.addr_spec == "app@example.com"
    # Python's parser puts blanks between encoded words, against RFC 2047 6.2; its decoder does not
    phrase = email.message_from_bytes(raw)["From"].rpartition("<")[0].strip()
    decoded = str(email.header.make_header(email.header.decode_header(phrase)))
    assert name.strip() in (address.display_name, decoded)
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    "name",
    ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "nul\0", "=?utf-8?q?=0D=0AX-Injected=3A_1?=", "=?x",
     "tab\there", "\x85", "\u2028", "\u2029", "\x7f", "\x1b[1m", "\ud800"],
)  # fmt: skip
def test_name_that_could_add_a_header_is_refused(check: Check, name: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        compose(name)
    with fake_smtp() as server:
        report = check(server.target(from_name=name))
    assert (report.stage, report.code) == ("mail", "SMTP_MAIL_FROM_NAME_UNSAFE")
    assert [line.split(" ")[0] for line in server.heard] == ["EHLO", "QUIT"]


def test_lines_end_with_crlf_and_the_mail_with_a_lone_dot() -> None:
    data = compose().data
    assert data.endswith(b"\r\n.\r\n")
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    assert data.count(b"\r\n.\r\n") == 1


def test_line_that_begins_with_a_dot_is_stuffed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"\r\n..hidden\r\n" in compose(host="x\n.hidden").data


def test_headers_are_counted_once_more_before_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if everything before it failed."""
    monkeypatch.setattr(message, "_display_name", lambda name: "x\nBcc: evil@example.com\nY: ")
    with pytest.raises(ValueError, match="headers"):
        compose("x")


def test_mails_have_an_id_of_their_own() -> None:
    assert compose().message_id != compose().message_id
