"""What the check says about real servers, and that a mail is in the store where it says so.

All scenarios of a server are run once, by both drivers, before its tests look at the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smtpweb.mailcheck import Report
from tests.real.expected import EXPECTED, NOT_THERE, OTHERWISE, REPLIES, TEMPORARY
from tests.real.scenarios import AT_ONCE, SCENARIOS, SERVERS, Measured, run

CASES = [
    (server, scenario)
    for server in SERVERS
    for scenario in SCENARIOS
    if scenario not in NOT_THERE.get(server, ())
]


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Measured]]:
    """The servers of the chosen tests are measured in the background from the first test on."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted: list[str] = [
        str(item.callspec.params["server"]) for item in items if item.module is request.module
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        under_way = {name: threads.submit(run, name) for name in dict.fromkeys(wanted)}
        yield lambda name: under_way[name].result()


@pytest.mark.parametrize(("server", "scenario"), CASES)
def test_real_server_is_diagnosed_by_both_drivers(
    measured: Callable[[str], Measured], server: str, scenario: str
) -> None:
    outcome = measured(server)
    expected = OTHERWISE[server].get(scenario, EXPECTED[scenario])
    for report in (outcome.reports[scenario], outcome.asyncio_reports[scenario]):
        assert (report.stage, report.code) == expected, report.transcript
        assert report.accepted == (report.code == "SMTP_ACCEPTED")
        assert report.temporary == (report.code in TEMPORARY)
        assert _reply(report) == REPLIES[server].get(scenario, "")


def _reply(report: Report) -> str:
    if report.reply is None:
        return ""
    return f"{report.reply.code} {report.reply.enhanced}".strip()


@pytest.mark.parametrize("server", SERVERS)
def test_scenarios_are_left_out_only_where_a_server_lacks_them(
    measured: Callable[[str], Measured], server: str
) -> None:
    left_out = SCENARIOS.keys() - measured(server).reports.keys()
    assert left_out == NOT_THERE.get(server, set())


@pytest.mark.parametrize("server", SERVERS)
def test_store_holds_each_accepted_mail_once_and_nothing_else(
    measured: Callable[[str], Measured], server: str
) -> None:
    outcome = measured(server)
    accepted = [
        report.message_id
        for report in (*outcome.reports.values(), *outcome.asyncio_reports.values())
        if report.accepted
    ]
    assert accepted
    assert sorted(outcome.arrived) == sorted(accepted)


@pytest.mark.parametrize("server", SERVERS)
def test_servers_own_number_of_a_mail_is_found(
    measured: Callable[[str], Measured], server: str
) -> None:
    for report in measured(server).reports.values():
        assert bool(report.queue_id) == (report.accepted and server != "aiosmtpd")
