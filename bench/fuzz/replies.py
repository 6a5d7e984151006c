"""Fuzz the reply reader, guided by coverage: ``python -m bench.fuzz.replies -max_total_time=60``.

Whatever comes, and however it is cut: whole replies or a BadReply, the same for every cutting,
and never more kept than the bounds say. Arguments are those of libFuzzer; it comes with
``requirements/bench.lock``.
"""

import sys

import atheris

with atheris.instrument_imports():
    from smtpweb.mailcheck.core.raw_reply import RawReply
    from smtpweb.mailcheck.protocol.replies import (
        MAX_LINE,
        MAX_REPLY,
        BadReply,
        ReplyReader,
    )


def read(stream: bytes, cut: int) -> tuple[list[RawReply], str]:
    """The replies in ``stream``, fed ``cut`` octets at a time, and how it ended."""
    reader, answers = ReplyReader(), []
    try:
        for start in range(0, len(stream), cut):
            reader.feed(stream[start : start + cut])
            while (answer := reader.next()) is not None:
                answers.append(answer)
            assert len(reader.begun) <= MAX_LINE
    except BadReply as bad:
        return answers, str(bad)
    return answers, "whole" if reader.is_empty else "more"


# Octets below 16 stand for what replies are made of: by luck alone none would ever come.
_PARTS = (
    *(b"250-", b"250 ", b"250\r\n", b"354 ", b"421 ", b"550-", b"5.1.1 ", b"2.0.0"),
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"x" * 1024, b"250-" + b"y" * 2000 + b"\r\n", b" "),
)


def one(data: bytes) -> None:
    """The first octet says how the rest is cut."""
    if not data:
        return
    stream = b"".join(_PARTS[octet] if octet < 16 else bytes([octet]) for octet in data[1:])
    answers, end = read(stream, len(stream) or 1)
    assert read(stream, data[0] + 1) == (answers, end)
    for answer in answers:
        assert 200 <= answer.code <= 599
        assert sum(map(len, answer.lines)) <= MAX_REPLY
        assert "\n" not in answer.text
        assert answer.enhanced == "" or answer.enhanced[0] == str(answer.code)[0]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
