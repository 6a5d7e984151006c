"""Where the port or the mode is wrong, the check finds the one of the same host that works."""

import json
import socket

import pytest

from smtpweb.mailcheck import EgressPolicy, Encryption, Mode, Report, Stage
from smtpweb.mailcheck.flow import alternatives
from tests.support.cancelled_checks import give_up
from tests.support.fake_smtp import fake_smtp

LOGIN = ("app@example.com", "correct horse")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(alternatives, "LIMIT", 1.5)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def mode(server):
    return Mode(server.port, Encryption(server.knobs["tls"]))


def test_a_closed_port_is_answered_by_the_ones_that_work(check):
    with (
        fake_smtp(tls="implicit", login=LOGIN) as tls,
        fake_smtp(tls="starttls", login=LOGIN) as up,
    ):
        modes = (Mode(closed_port(), Encryption.IMPLICIT), mode(tls), mode(up))
        report = check(tls.target(port=closed_port(), other_modes=modes))
    assert report.stage is Stage.CONNECT
    assert report.alternatives == modes[1:]
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    for server in (tls, up):
        verbs = {line.split()[0] for line in server.heard}
        assert verbs <= {"EHLO", "STARTTLS", "QUIT"}
        assert server.heard[-1] == "QUIT"
        assert LOGIN[1].encode() not in b"".join(server.reads)


@pytest.mark.parametrize(
    ("tls", "asked"), [("starttls", Encryption.IMPLICIT), ("implicit", Encryption.STARTTLS)]
)
def test_the_wrong_way_to_tls_is_answered_by_the_right_one_at_the_same_port(check, tls, asked):
    with fake_smtp(tls=tls) as server:
        report = check(server.target(encryption=asked, other_modes=()))
        assert not report.accepted
        assert report.alternatives == (mode(server),)
        assert check(server.target()).accepted


def test_a_login_that_needs_tls_first_is_answered_by_starttls(check):
    with fake_smtp(tls="starttls", login=LOGIN, auth_needs_tls=True) as server:
        report = check(server.target(encryption=Encryption.NONE, other_modes=()))
    assert report.code == "SMTP_AUTH_NEEDS_TLS"
    assert report.alternatives == (mode(server),)


def test_a_port_without_login_is_answered_by_one_that_has_it(check):
    with fake_smtp() as plain, fake_smtp(tls="starttls", login=LOGIN) as up:
        report = check(up.target(
            port=plain.port, encryption=Encryption.NONE, other_modes=(mode(up),)
        ))  # fmt: skip
    assert report.code == "SMTP_AUTH_NOT_OFFERED"
    assert report.alternatives == (mode(up),)


def test_a_silent_port_leaves_time_to_find_the_one_that_answers(check):
    with fake_smtp("silent from the start") as silent, fake_smtp(tls="starttls") as up:
        modes = (mode(up),)
        report = check(up.target(
            port=silent.port, encryption=Encryption.NONE, other_modes=modes, timeout=2.0
        ))  # fmt: skip
    assert report.code == "SMTP_CONNECT_OTHER_MODE_WORKS"
    assert report.alternatives == modes


@pytest.mark.parametrize(
    "knobs",
    [
        {"tls": "implicit", "certificate": "expired"},
        {"tls": "starttls", "certificate": "wrong-name"},
        {"tls": "starttls", "replies": {"connect": "554 go away"}},
        {"tls": "starttls"},  # offers no login, which the check needs
        {"tls": "", "login": LOGIN},  # plain text, whatever it was asked for as
    ],
    ids=lambda knobs: " ".join(map(str, knobs.values())),
)
def test_what_does_not_prove_itself_or_is_in_clear_is_never_proposed(check, knobs):
    with fake_smtp(**knobs) as server, fake_smtp(tls="implicit", login=LOGIN) as asked:
        modes = tuple(Mode(server.port, encryption) for encryption in Encryption)
        report = check(asked.target(port=closed_port(), other_modes=modes))
    assert report.alternatives == ()
    assert server.connections == 2  # by both ways to TLS, and not in clear
    assert any("none works" in line.text for line in report.transcript)


def test_a_port_that_the_policy_denies_is_not_probed(check):
    with fake_smtp(tls="implicit") as server:
        asked = closed_port()
        policy = EgressPolicy.parse("127.0.0.0/8,::1/128", str(asked))
        report = check(server.target(port=asked, policy=policy, other_modes=(mode(server),)))
    assert report.stage is Stage.CONNECT
    assert (report.alternatives, server.connections) == ((), 0)


def test_a_port_that_is_not_open_at_this_address_is_not_probed(check):
    """An entry with a port opens that port there and no other, though other hosts may use it."""
    with fake_smtp(tls="implicit") as server:
        asked = closed_port()
        allowed = f"127.0.0.1/32:{asked}, [::1]:{asked}"
        policy = EgressPolicy.parse(allowed, f"{asked},{server.port}")
        assert policy.refuses_port("localhost", server.port) is None
        report = check(server.target(port=asked, policy=policy, other_modes=(mode(server),)))
    assert report.stage is Stage.CONNECT
    assert (report.alternatives, server.connections) == ((), 0)


@pytest.mark.parametrize("verb", ["AUTH", "MAIL", "RCPT", "dot"])
def test_a_refusal_that_no_other_mode_would_mend_probes_nothing(check, verb):
    with (
        fake_smtp(tls="starttls", login=LOGIN, replies={verb: "550 5.7.1 no"}) as server,
        fake_smtp(tls="implicit", login=LOGIN) as other,
    ):
        report = check(server.target(other_modes=(mode(other),)))
    assert not report.accepted
    assert other.connections == 0


def test_silent_ports_are_waited_for_together(check, monkeypatch):
    """One after the other, the first would leave the second no time to be connected to."""
    monkeypatch.setattr(alternatives, "LIMIT", 0.5)
    with fake_smtp("silent from the start", tls="implicit") as server:
        modes = tuple(Mode(server.port, Encryption(name)) for name in ("starttls", "implicit"))
        report = check(server.target(port=closed_port(), other_modes=modes))
    assert server.connections == 2
    assert report.alternatives == ()


def test_a_check_that_is_cancelled_amid_its_probes_leaves_nothing_open():
    with fake_smtp("silent from the start") as server:
        modes = (Mode(server.port, Encryption.STARTTLS),)
        target = server.target(port=closed_port(), other_modes=modes)
        give_up(target, when=lambda: server.connections)
