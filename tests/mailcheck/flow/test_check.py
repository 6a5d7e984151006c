"""The core without sockets: driven by hand, with a clock of our own."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpweb.mailcheck import EgressPolicy, Encryption, Mode, Report, Stage, Target
from smtpweb.mailcheck.core.effects import (
    Connect,
    Connected,
    Exchange,
    Glance,
    HangUp,
    Lost,
    Need,
    NotConnected,
    Resolve,
    Silent,
    Together,
)
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.core.types import AddressOutcome
from smtpweb.mailcheck.flow.alternatives import Finding
from smtpweb.mailcheck.flow.check import course
from smtpweb.mailcheck.net.happy_eyeballs import Race
from tests.support.tokens import bearer

HERE = ipaddress.ip_address("192.0.2.1")
TARGET = Target(
    host="mail.example.com",
    port=25,
    mail_from="app@example.com",
    rcpt_to="test@example.com",
    policy=EgressPolicy.parse("192.0.2.1", ""),
)


class Script:
    """Plays driver and server: hands out ``pieces`` one read at a time, then silence or the end."""

    def __init__(self, pieces: Iterable[bytes], end: str = "closed", trip: float = 0.1) -> None:
        self.pieces = list(pieces)
        self.end = end
        self.trip = trip
        self.now = 1000.0
        self.sent: list[bytes] = []
        self.closed = 0
        self.turns = 0

    def run(self, target: Target = TARGET) -> Report:
        steps = course(target, clock=lambda: self.now)
        answer: object = None
        error: Exception | None = None
        try:
            while True:
                need = steps.send(answer) if error is None else steps.throw(error)
                answer, error = None, None
                try:
                    answer = self.carry_out(need)
                except (Silent, Lost, NotConnected) as raised:
                    error = raised
        except StopIteration as stop:
            report: Report = stop.value
            return report

    def carry_out(self, need: Need) -> object:
        match need:
            case Resolve():
                return (HERE,)
            case Connect():
                self.now += self.trip
                outcome = AddressOutcome(str(HERE), "connected", 1.0)
                return Connected("link", HERE, HERE, (outcome,))
            case Glance():
                return None
            case HangUp():
                self.closed += 1
                if need.data:
                    self.sent.append(need.data)
                return None
            case Exchange():
                return self.exchange(need)
            case Together():  # no other mode works
                for probe in need.courses:
                    probe.close()
                return (False,) * len(need.courses)
        raise AssertionError(need)

    def exchange(self, need: Exchange) -> bytes:
        if need.data:
            self.sent.append(need.data)
        if self.pieces:
            self.turns += 1
            self.now += self.trip
            return self.pieces.pop(0)
        if self.end == "silent":
            self.now = max(self.now, need.until)
            raise Silent
        if self.end == "reset":
            raise Lost("reset")
        return b""


GOOD = (
    b"220 hello\r\n",
    b"250-mail.example.com\r\n250 PIPELINING\r\n",
    b"250 ok\r\n250 ok\r\n354 go\r\n",
    b"250 2.0.0 queued as ABC\r\n221 bye\r\n",
)


def test_turns_without_tls_and_auth_are_as_few_as_can_be() -> None:
    """Five round trips: TCP, the greeting, EHLO, the envelope, the mail with QUIT."""
    script = Script(GOOD)
    report = script.run()
    assert report.accepted
    assert script.turns + 1 == 5
    assert script.sent[-1].endswith(b".\r\nQUIT\r\n")
    assert script.closed == 1
    assert report.queue_id == "ABC"


def test_turns_without_pipelining_are_two_more_with_quit_apart() -> None:
    script = Script(
        [b"220 hi\r\n", b"250 me\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"]
    )
    report = script.run()
    assert report.accepted
    assert script.turns + 1 == 7
    assert script.sent[-1] == b"QUIT\r\n"


OFFERS = b"250-me\r\n250-AUTH XOAUTH2 OAUTHBEARER\r\n250 PIPELINING\r\n"
REFUSED = b"334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize(
    ("length", "auth", "trips"),
    [
        (200, [b"235 ok\r\n"], 6),  # the token fits into the AUTH line
        (1500, [b"334 \r\n", b"235 ok\r\n"], 7),
    ],
)
def test_turns_with_a_token_are_as_few_as_can_be(
    mechanism: str, length: int, auth: list[bytes], trips: int
) -> None:
    script = Script([GOOD[0], OFFERS, *auth, *GOOD[2:]])
    report = script.run(with_token(bearer(length), mechanism))
    assert report.accepted
    assert script.turns + 1 == trips


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize(
    ("length", "auth", "trips"),
    [
        (200, [b"535 no\r\n"], 4),
        (200, [REFUSED, b"535 no\r\n"], 5),
        (1500, [b"334 \r\n", b"535 no\r\n"], 5),
        (1500, [b"334 \r\n", REFUSED, b"535 no\r\n"], 6),
    ],
)
def test_turns_until_a_token_is_refused_are_as_few_as_can_be(
    mechanism: str, length: int, auth: list[bytes], trips: int
) -> None:
    script = Script([GOOD[0], OFFERS, *auth])
    report = script.run(with_token(bearer(length), mechanism))
    assert report.stage is Stage.AUTH
    assert script.turns + 1 == trips


def with_token(token: str, mechanism: str) -> Target:
    return dataclasses.replace(
        TARGET, auth=True, username="app@example.com", access_token=token, mechanism=mechanism
    )


def test_milliseconds_are_those_of_each_stage() -> None:
    steps = {step.stage: step.milliseconds for step in Script(GOOD).run().steps}
    assert steps[Stage.CONNECT] == pytest.approx(100)
    assert steps[Stage.EHLO] == pytest.approx(100)
    assert steps[Stage.MAIL] == pytest.approx(100)  # the group's turn
    assert steps[Stage.RCPT] == pytest.approx(0)


def test_deadline_holds_over_all_stages() -> None:
    """Each reply comes just in time for itself; together they are too late."""
    script = Script([b"220-x\r\n"] * 100, end="silent", trip=1.0)
    report = script.run()
    assert not report.accepted
    assert script.now <= 1000 + TARGET.timeout + 1


@pytest.mark.parametrize("length", range(len(b"".join(GOOD))))
def test_connection_that_ends_after_any_number_of_bytes_is_a_report(length: int) -> None:
    """An end after the verdict is a success, before it a failure."""
    whole = b"".join(GOOD)
    pieces, start = [], 0
    for good in GOOD:
        piece = whole[start : min(start + len(good), length)]
        start += len(good)
        if piece:
            pieces.append(piece)
    report = Script(pieces, end="closed").run()
    verdict = whole.index(b"queued as ABC\r\n") + len(b"queued as ABC\r\n")
    assert report.accepted == (length >= verdict)


REPLIES = st.sampled_from(
    [b"220 hi\r\n", b"250 ok\r\n", b"250-x\r\n250 PIPELINING\r\n", b"250 AUTH PLAIN LOGIN\r\n",
     b"354 go\r\n", b"334 \r\n", b"334 VXNlcm5hbWU6\r\n", b"235 in\r\n", b"421 bye\r\n",
     b"450 later\r\n", b"503 what\r\n", b"550 no\r\n", b"250-half", b"\r\n", b"\xff\xfe\r\n"]
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(REPLIES, st.binary(min_size=1, max_size=40)), max_size=14),
    st.sampled_from(["closed", "silent", "reset"]),
    st.sampled_from(list(Encryption)),
    st.booleans(),
)
def test_bytes_of_any_kind_end_in_a_report(
    pieces: list[bytes], end: str, encryption: Encryption, login: bool
) -> None:
    script = Script(pieces, end=end)
    target = dataclasses.replace(
        TARGET, encryption=encryption, auth=login, username="u", password="a secret"
    )
    report = script.run(target)
    assert report.code != "SMTP_INTERNAL_ERROR"
    assert Report.from_dict(report.to_dict()) == report
    if report.accepted:
        assert b"".join(script.sent).count(b"Subject: ") == 1
    if encryption is not Encryption.NONE:
        assert not report.accepted  # no TLS was ever proved
        assert b"AUTH" not in b"".join(script.sent)
        assert b"MAIL" not in b"".join(script.sent)


# -- happy eyeballs

A4, B4, A6, B6 = map(ipaddress.ip_address, ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"))


def started(race: Race, now: float) -> list[Address]:
    found: list[Address] = []
    while (address := race.due(now)) is not None:
        found.append(address)
    return found


def test_race_lets_the_families_take_turns() -> None:
    race = Race((A6, B6, A4, B4), 0.0, 25.0, 10.0)
    assert [one.address for one in race.outcomes()] == [str(a) for a in (A6, A4, B6, B4)]


def test_race_tries_the_next_address_after_a_quarter_of_a_second() -> None:
    race = Race((A6, A4), 0.0, 25.0, 10.0)
    assert started(race, 0.0) == [A6]
    assert started(race, 0.2) == []
    assert race.wake() == 0.25
    assert started(race, 0.25) == [A4]
    race.won(A4, 0.3)
    assert [one.outcome for one in race.outcomes()] == ["given up", "connected"]


def test_race_goes_on_at_once_after_a_refusal() -> None:
    race = Race((A6, A4, B4), 0.0, 25.0, 10.0)
    started(race, 0.0)
    race.failed(A6, "refused", 0.01)
    assert started(race, 0.01) == [A4]


def test_race_attempt_ends_by_its_limit_and_by_the_deadline() -> None:
    race = Race((A6, A4), 0.0, 5.0, 10.0)
    started(race, 0.0)
    started(race, 0.25)
    assert race.expired(4.9) == []
    assert set(race.expired(5.0)) == {A6, A4}
    assert race.is_over
    assert {one.outcome for one in race.outcomes()} == {"timed out"}
    race = Race((A6,), 0.0, 25.0, 10.0)
    started(race, 0.0)
    assert race.expired(10.0) == [A6]


def test_race_names_the_addresses_that_were_not_needed() -> None:
    race = Race((A4, B4), 0.0, 25.0, 10.0)
    started(race, 0.0)
    race.won(A4, 0.1)
    assert [one.outcome for one in race.outcomes()] == ["connected", "not tried"]


def test_port_25_that_is_dropped_while_587_answers_has_a_cause_of_its_own() -> None:
    class Blocked(Script):
        def carry_out(self, need: Need) -> object:
            if isinstance(need, Connect) and need.port == 25:
                self.now += 10
                raise NotConnected((AddressOutcome(str(HERE), "timed out", 10000.0),))
            answer = super().carry_out(need)
            probed = (Finding.FAILS, Finding.WORKS, Finding.FAILS)
            return probed if isinstance(need, Together) else answer

    report = Blocked([]).run()
    assert report.code == "SMTP_CONNECT_PORT_25_BLOCKED_587_OPEN"
    assert report.alternatives == (Mode(587, Encryption.STARTTLS),)
    assert report.addresses[0].outcome == "timed out"
