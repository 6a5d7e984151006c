"""The reply reader: any bytes, cut anywhere, end in a reply or a clear error."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpweb.mailcheck.core.raw_reply import RawReply
from smtpweb.mailcheck.protocol.replies import (
    MAX_LINE,
    MAX_LINES,
    MAX_REPLY,
    BadReply,
    ReplyReader,
)


def read(*pieces: bytes) -> tuple[list[RawReply], str]:
    """Every reply and how it ended: "more" or the error."""
    reader = ReplyReader()
    answers = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (answer := reader.next()) is not None:
                answers.append(answer)
    except BadReply as bad:
        return answers, ("too long" if bad.too_long else "bad")
    return answers, "empty" if reader.is_empty else "more"


@pytest.mark.parametrize(
    ("data", "code", "lines"),
    [
        (b"220 hello\r\n", 220, (b"hello",)),
        (b"220\r\n", 220, (b"",)),
        (b"220 \r\n", 220, (b"",)),
        (b"220 hello\n", 220, (b"hello",)),
        (b"250-a\r\n250 b\r\n", 250, (b"a", b"b")),
        (b"250-a\r\n250\r\n", 250, (b"a", b"")),
        (b"250-\r\n250 b\r\n", 250, (b"", b"b")),
        (b"599 x\r\n", 599, (b"x",)),
        (b"250 bare \r inside\r\n", 250, (b"bare \r inside",)),
        (b"250\tx\r\n", 250, (b"x",)),
        (b"\r\n220 hello\r\n", 220, (b"hello",)),
        (b"250-a\r\n\r\n \r\n250 b\r\n", 250, (b"a", b"b")),
        (b"250-a\r\nSTARTTLS\r\n250 b\r\n", 250, (b"a", b"STARTTLS", b"b")),
    ],
)
def test_replies_that_are_understood(data: bytes, code: int, lines: tuple[bytes, ...]) -> None:
    assert read(data) == ([RawReply(code, lines)], "empty")


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n", b"25 x\r\n", b"2500 x\r\n", b"150 x\r\n", b"650 x\r\n", b"2x0 x\r\n",
     b" 250 x\r\n", b"250x\r\n", b"250-a\r\n251 b\r\n", b"421-a\r\n250 b\r\n",
     b"250-a\r\n250x\r\n", b"250-a\r\n150 x\r\n", b"250-a\r\nA\x01B\r\n", b"250-a\r\n\xff\r\n",
     b"\xff\xfe\r\n", b"\xd9\xa2\xd9\xa5\xd9\xa0 x\r\n", b"\0250 x\r\n"],
)  # fmt: skip
def test_replies_that_are_none_are_refused(data: bytes) -> None:
    assert read(data) == ([], "bad")


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"220-mx\r\n521 5.7.1 blocked\r\n", RawReply(521, (b"5.7.1 blocked",), (b"220-mx",))),
        (b"250-a\r\n250-b\r\n421 bye\r\n", RawReply(421, (b"bye",), (b"250-a", b"250-b"))),
        (b"250-a\r\n421-b\r\n421 c\r\n", RawReply(421, (b"b", b"c"), (b"250-a",))),
        (b"354-a\r\n452 b\r\n", RawReply(452, (b"b",), (b"354-a",))),
        (b"550-a\r\n521 b\r\n", RawReply(521, (b"a", b"b"))),
    ],
)
def test_refusal_at_the_end_of_a_reply_is_the_reply(data: bytes, answer: RawReply) -> None:
    assert read(data) == ([answer], "empty")


@pytest.mark.parametrize(
    ("data", "code", "lines"),
    [
        (b"554 go away", 554, (b"go away",)),
        (b"554-go away\r\n", 554, (b"go away",)),
        (b"554-go away\r\n554-for good", 554, (b"go away", b"for good")),
        (b"220-mx\r\n521-blocked", 521, (b"blocked",)),
    ],
)
def test_reply_that_was_cut_off_counts(data: bytes, code: int, lines: tuple[bytes, ...]) -> None:
    reader = ReplyReader()
    reader.feed(data)
    assert reader.next() is None
    answer = reader.cut_off()
    assert answer
    assert (answer.code, answer.lines) == (code, lines)


@pytest.mark.parametrize("line", [b"\r\n", b"250-x\r\n", b"250-\r\nKEYWORD\r\n"])
def test_lines_without_end_are_bounded(line: bytes) -> None:
    assert read(line * 200) == ([], "too long")


def test_reply_is_bounded() -> None:
    longest = b"250 " + b"x" * (MAX_LINE - 4)
    assert read(longest + b"\r\n")[1] == "empty"
    assert read(longest + b"x\r\n")[1] == "too long"
    assert read(b"2" * (MAX_LINE + 2))[1] == "too long"
    assert read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")[1] == "empty"
    assert read(b"250-x\r\n" * MAX_LINES + b"250 x\r\n")[1] == "too long"
    wide = b"250-" + b"x" * 1000 + b"\r\n"
    assert read(wide * (MAX_REPLY // len(wide) + 1))[1] == "too long"


@pytest.mark.parametrize(
    ("data", "enhanced", "text"),
    [
        (b"535 5.7.8 denied\r\n", "5.7.8", "denied"),
        (b"535-5.7.8 denied, see\r\n535 5.7.8 https://x\r\n", "5.7.8", "denied, see https://x"),
        (b"250 ok\r\n", "", "ok"),
        (b"250 5.7.8 is not of class 2\r\n", "", "5.7.8 is not of class 2"),
        (b"550 5.7.1\r\n", "5.7.1", ""),
        (b"550 5.7.1x\r\n", "", "5.7.1x"),
        (b"220 gr\xfc\xdfe\r\n", "", "grüße"),
        (b"220 gr\xc3\xbc\xc3\x9fe\r\n", "", "grüße"),
    ],
)
def test_reply_has_its_enhanced_code_and_words(data: bytes, enhanced: str, text: str) -> None:
    [answer], _ = read(data)
    assert (answer.enhanced, answer.text) == (enhanced, text)


SCRAPS = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [b"250 ok\r\n", b"250-a\r\n", b"250 b\r\n", b"\r", b"\n", b"\r\n", b"220", b" ", b"-"]
        ),
        st.just(b"x" * 900),
    ),
    max_size=40,
).map(b"".join)


@settings(deadline=None)
@given(SCRAPS, st.lists(st.integers(0, 4000), max_size=12))
def test_reader_gives_the_same_however_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in itertools.pairwise(ends)]
    assert read(*pieces) == read(stream)


@settings(deadline=None)
@given(SCRAPS)
def test_reader_gives_the_same_byte_by_byte(stream: bytes) -> None:
    assert read(*(bytes([byte]) for byte in stream)) == read(stream)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=30))
def test_reader_holds_no_more_than_its_bounds(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    try:
        for piece in pieces:
            reader.feed(piece)
            while reader.next() is not None:
                pass
            assert len(reader._buffer) <= MAX_LINE + 2
            assert reader._size <= MAX_REPLY
    except BadReply:
        pass  # the connection is over
