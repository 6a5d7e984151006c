"""Claims and results in batches: their number of statements does not grow with their size."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from smtpweb.database.models import App, Check, Due, Smtp
from smtpweb.database.session import db, now
from smtpweb.mailcheck import Encryption, Report, Side, Stage
from smtpweb.monitoring import claims, settlement, workers
from smtpweb.monitoring.claims import Claim
from smtpweb.monitoring.settlement import Result
from tests.support.counting import statements
from tests.support.people import Person, make_person
from tests.support.worker import make_due

OAUTH = {
    "oauthgrant": "client_credentials", "oauthclientid": "an-app", "oauthclientsecret": "s",
    "oauthtokenurl": "https://login.example/token", "username": "shop@example.com",
}  # fmt: skip


def add_servers(app: Flask, owner: Person, count: int) -> list[str]:
    """Register servers, of which half sign in with OAuth, each with a host of its own."""
    idapp = owner.make_app(f"of {owner.user_id}", defaultfromemail="shop@example.com")["_id"]
    made = []
    for number in range(count):
        secret = OAUTH if number % 2 else {"username": "u", "password": "p"}
        host = f"{owner.name}{number}.example"
        smtp = owner.make_smtp(idapp, host=host, port=587, starttls="true", auth="true", **secret)
        made.append(smtp["_id"])
    return made


def claim(app: Flask) -> list[Claim]:
    with app.app_context():
        return claims.claim("w" * 24, 100)


def report(claimed: Claim, *, accepted: bool) -> Report:
    return Report(
        accepted=accepted, stage=Stage.ACCEPTED if accepted else Stage.AUTH,
        code="SMTP_TEST", title="", meaning="", advice=(), temporary=False,
        side=Side.NONE if accepted else Side.SMTP, host="h", port=587,
        encryption=Encryption.STARTTLS,
    )  # fmt: skip


@pytest.mark.parametrize("email", ["never", "always"])
def test_batch_takes_as_many_statements_as_one_check(
    app: Flask, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    counts = []
    for round_number, owners in enumerate((1, 6)):
        people = [make_person(app, f"owner{round_number}{n}") for n in range(owners)]
        ids = [smtp_id for person in people for smtp_id in add_servers(app, person, 4)]
        with app.app_context():
            db.session.execute(update(App).values(emailevery=email))
            db.session.execute(update(Due).values(next_at=None))
            db.session.commit()
            worker_id = workers.register()
        make_due(app, *ids)
        with statements() as claiming:
            claimed = claim(app)
        assert sorted(one.smtp_id for one in claimed) == sorted(ids)
        results = [Result(one, report(one, accepted=True)) for one in claimed]
        with statements() as settling, app.app_context():
            settlement.settle(worker_id, results)
        counts.append((len(claiming), len(settling)))
        with app.app_context():
            done = db.session.scalars(select(Smtp.checking_until).where(Smtp.id.in_(ids)))
            assert set(done) == {None}
    assert counts[0] == counts[1]


def test_queued_server_that_is_also_due_is_claimed_once(app: Flask, alice: Person) -> None:
    (smtp_id,) = add_servers(app, alice, 1)
    idapp = alice.smtp(smtp_id)["idapp"]
    alice.post("/private/smtps/checkByApp", idapp=idapp)
    make_due(app, smtp_id)
    claimed = claim(app)
    assert [(one.smtp_id, one.kind) for one in claimed] == [(smtp_id, "bulk")]
    with app.app_context():
        due = db.session.get_one(Due, smtp_id)
        assert due.lease_until is not None
        assert due.lease_until > now() + timedelta(seconds=5)
        assert db.session.query(Check).count() == 1
