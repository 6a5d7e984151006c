"""Replies of servers, written on one line."""

from __future__ import annotations

from smtpweb.mailcheck.core.raw_reply import RawReply
from smtpweb.mailcheck.protocol.replies import ReplyReader


def reply_of(text: str) -> RawReply:
    """The reply that ``text`` is on the wire; "|" stands between its lines."""
    lines = text.split("|")
    code = lines[0][:3]
    texts = [line[4:] if line[:3] == code else line for line in lines]
    marks = ["-"] * (len(texts) - 1) + [" "]
    reader = ReplyReader()
    for mark, line in zip(marks, texts, strict=True):
        reader.feed(f"{code}{mark}{line}\r\n".encode())
    reply = reader.next()
    assert reply is not None
    return reply
