"""The states of SMTP servers and apps: the rule in SQL is the rule in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations_with_replacement, product
from typing import Any

import pytest
from sqlalchemy import select

from smtpweb.database.models import App, Smtp
from smtpweb.database.session import db, now
from smtpweb.registry import overview, smtps, states
from smtpweb.registry.overview import Wanted
from smtpweb.registry.states import AppState, SmtpState
from smtpweb.web.presentation import labels
from tests.support.people import Person

COLUMNS: dict[SmtpState, dict[str, Any]] = {
    SmtpState.ACTIVE: {"enabled": True, "judged": True, "uncheckable": None},
    SmtpState.DEGRADED: {"enabled": True, "judged": True, "degraded_since": now()},
    SmtpState.OFF: {"enabled": False, "judged": True, "off_since": now()},
    SmtpState.DISABLED: {"enabled": False, "judged": True, "uncheckable": None},
    SmtpState.UNCHECKED: {"enabled": True, "judged": False, "uncheckable": None},
    SmtpState.UNCHECKABLE: {"enabled": True, "judged": False, "uncheckable": "SMTP_POLICY_PORT"},
}


def add_app(user_id: str, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    app = App(user_id=user_id, name=name, testemail="a@example.com")
    db.session.add(app)
    db.session.flush()
    for number, columns in enumerate(rows):
        db.session.add(Smtp(app_id=app.id, host="h", port=25, priority=number, **columns))
    db.session.commit()
    return app.id


def test_smtp_state_is_the_same_in_python_and_sql(alice: Person, inside: None) -> None:
    every = [
        {
            "enabled": enabled,
            "judged": judged,
            "uncheckable": code,
            "degraded_since": degraded,
            "off_since": off,
        }
        for enabled, judged, code, degraded, off in product(
            (True, False), (True, False), (None, "SMTP_X"), (None, now()), (None, now())
        )
    ]
    app = db.session.get_one(App, add_app(alice.user_id, "all", every))
    rows = db.session.execute(select(Smtp, states.SMTP_STATE)).all()
    assert len(rows) == 32
    assert {states.smtp_state(smtp) for smtp, _ in rows} == set(SmtpState)
    for smtp, state in rows:
        assert states.smtp_state(smtp) == state
    # Every filter of the list together shows each of them once.
    found = [overview.find_smtps(app, Wanted("", s, "priority"), 0, 50)[1] for s in SmtpState]
    assert sum(found) == 32
    problems = [smtp for smtp, _ in rows if states.smtp_state(smtp) in states.SMTP_PROBLEMS]
    assert overview.count_problems(alice.user_id) == len(problems) == 12


def test_app_state_is_the_same_in_python_and_sql(alice: Person, inside: None) -> None:
    made = {}
    for size in range(4):
        for chosen in combinations_with_replacement(SmtpState, size):
            name = " ".join(chosen) or "empty"
            made[add_app(alice.user_id, name, [COLUMNS[state] for state in chosen])] = chosen
    summaries = overview.summaries(list(made))
    listed, total = overview.find_apps(alice.user_id, Wanted("", "", "state"), 0, 100)
    assert total == len(made) == 84
    order = list(AppState)
    told = [summaries[app.id].state if made[app.id] else AppState.EMPTY for app in listed]
    assert told == sorted(told, key=order.index)
    assert set(told) == set(AppState)
    problems, _ = overview.find_apps(alice.user_id, Wanted("", "problems", "name"), 0, 100)
    named = {app.id for app in problems}
    for app_id, chosen in made.items():
        # What makes an app one with problems, said without the rule
        is_used = any(state is not SmtpState.OFF for state in chosen)
        expected = not is_used or any(state in states.SMTP_PROBLEMS for state in chosen)
        assert (app_id in named) is expected, chosen


def test_states_have_a_name_and_a_filter() -> None:
    assert set(labels.SMTP_STATES) == set(SmtpState)
    assert set(labels.APP_STATES) == set(AppState)
    assert {value for value, _ in labels.SMTP_FILTER} == {state.value for state in SmtpState}
    assert set(overview.SMTP_STATES) == {"", *(state.value for state in SmtpState)}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "SMTP_POLICY_NO_FROM"),
        ({"defaultfromemail": "a@example.com"}, None),
        ({"username": "a@example.com"}, None),
        ({"username": "apikey"}, "SMTP_POLICY_NO_FROM"),
        ({"defaultfromemail": "a@example.com", "host": "169.254.169.254"}, "SMTP_POLICY_RESERVED"),
        ({"defaultfromemail": "a@example.com", "host": "10.1.2.3"}, "SMTP_POLICY_ADDRESS"),
        ({"defaultfromemail": "a@example.com", "host": "127.0.0.1"}, None),
    ],
)
def test_saving_says_whether_a_server_can_be_checked(
    alice: Person, inside: None, changes: smtps.SmtpChanges, code: str | None
) -> None:
    idapp = add_app(alice.user_id, "shop", [])
    smtp = smtps.save(alice.user_id, idapp, {"host": "mail.example.net", "port": 587, **changes})
    assert smtp.uncheckable == code
    assert smtp.created <= now()
