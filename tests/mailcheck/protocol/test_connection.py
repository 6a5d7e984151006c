"""The bytes of one connection, without a socket: what a server may make us do is bounded."""

from __future__ import annotations

import ssl
from typing import NoReturn, cast

import pytest

from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.effects import Asks, Exchange, Glance
from smtpweb.mailcheck.core.failure import Failure, Symptom
from smtpweb.mailcheck.core.recorder import Recorder
from smtpweb.mailcheck.core.redaction import Secrets
from smtpweb.mailcheck.protocol import connection, tls
from smtpweb.mailcheck.protocol.connection import Connection


class _Empty:
    """A TLS session whose records never hold plain text, such as session tickets."""

    def read(self, _size: int) -> NoReturn:
        raise ssl.SSLWantReadError

    def write(self, _data: bytes) -> None:
        pass


def link() -> Connection:
    return Connection(None, Recorder(lambda: 0.0, Secrets("", "")), 60.0)


def answered(steps: Asks[object], data: bytes) -> tuple[Failure, int]:
    """The failure, and how often ``data`` was asked for, where each read gets it."""
    count = 0
    try:
        need = next(steps)
        while True:
            count += isinstance(need, Exchange)
            need = steps.send(None if isinstance(need, Glance) else data)
    except Failure as failure:
        return failure, count


def test_tls_without_end_and_with_nothing_in_it_is_left() -> None:
    line = link()
    line._tls = cast(ssl.SSLObject, _Empty())
    failure, reads = answered(line.hear(), b"\x17" * 16384)
    assert failure.symptom is Symptom.TOO_LONG
    assert reads == connection.MAX_TLS_OVERHEAD // 16384 + 1
    assert not line.open


def test_handshake_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_TLS_OVERHEAD", 3000)
    # The header of a record of 16 KiB, whose body comes in drops
    first = b"\x16\x03\x03\x40\x00"
    failure, reads = answered(
        link().start_tls(tls.looking_context(), "mail.example.com", Stage.TLS), first
    )
    assert failure.symptom is Symptom.TOO_LONG
    assert reads == 3000 // len(first) + 1


@pytest.mark.parametrize("data", [b"250 ok\r\n", b"250-ok\r\n", b"nonsense\r\n", b"2"])
def test_bytes_not_asked_for_are_seen_before_a_command(data: bytes) -> None:
    line = link()
    steps = line.expect_quiet()
    assert isinstance(next(steps), Glance)
    with pytest.raises(Failure) as raised:
        steps.send(data)
    assert raised.value.symptom in (Symptom.OUT_OF_STEP, Symptom.MALFORMED)


@pytest.mark.parametrize("data", [None, b"", b"\r\n", b" \r\n\r\n"])
def test_empty_lines_are_not_taken_for_an_answer(data: bytes | None) -> None:
    steps = link().expect_quiet()
    next(steps)
    with pytest.raises(StopIteration):
        steps.send(data)
