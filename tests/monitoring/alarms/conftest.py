"""Fixtures of alarm tests: an app with two working servers, and its channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from smtpweb.config import Settings
from smtpweb.database.models import AlarmDelivery, AlarmEvent, Check, Smtp, StatusChange
from smtpweb.database.session import db, now, writing
from smtpweb.extensions import services
from smtpweb.mailcheck import EgressPolicy, Report, Side, Stage
from smtpweb.mailcheck.core.types import Reply
from smtpweb.monitoring.alarms import channels, deliver_due
from smtpweb.registry import status
from tests.conftest import settings_for
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import Person


@pytest.fixture
def settings(database_url: str) -> Settings:
    base = settings_for(database_url)
    return dataclasses.replace(
        base,
        base_url="http://localhost",
        webhook_egress=base.egress.for_webhooks("*"),
        apprise_schemas=frozenset({"json", "ntfy"}),
    )


@pytest.fixture
def backup() -> Iterator[FakeServer]:
    """An SMTP server that takes the alarms."""
    with fake_smtp() as server:
        yield server


class Shop:
    """An app of alice's with SMTP servers whose checks a test makes up."""

    def __init__(self, alice: Person, app: Flask) -> None:
        self.alice, self.app = alice, app
        self.idapp = alice.make_app("shop", defaultfromemail="shop@example.com")["_id"]
        self.broken = self.add("broken.example.net", 587, priority=1)

    def add(self, host: str, port: int, **parameters: Any) -> str:
        made = self.alice.make_smtp(self.idapp, host=host, port=port, **parameters)
        with self.app.app_context(), writing() as session:
            smtp = session.get_one(Smtp, made["_id"])
            smtp.judged, smtp.uncheckable = True, None
        return str(made["_id"])

    def check(self, smtp_id: str, *, accepted: bool, by: str | None = None) -> None:
        """A check as the database has it, and what it does to its server."""
        report = Report(
            accepted=accepted,
            stage=Stage.ACCEPTED if accepted else Stage.AUTH,
            code="SMTP_ACCEPTED" if accepted else "SMTP_AUTH_WRONG_CREDENTIALS",
            title="Accepted" if accepted else "Wrong user name or password",
            meaning="The server refused them.",
            advice=("Enter them again.", "Check again."),
            temporary=False,
            side=Side.SETTINGS,
            reply=None if accepted else Reply(535, "5.7.8", "no @everyone <!channel>"),  # type: ignore[arg-type]
            host="broken.example.net",
            port=587,
            rcpt_to="test@example.com",
        )
        with self.app.app_context(), writing() as session:
            smtp = session.get_one(Smtp, smtp_id)
            check = Check(
                smtp_id=smtp_id, smtp_version=1, kind="scheduled", ends_by=now(), finished=now(),
                accepted=accepted, stage=report.stage, code=report.code, title=report.title,
                report_json=report.to_dict(),
            )  # fmt: skip
            session.add(check)
            session.flush()
            reason = status.Reason.CHECK_ACCEPTED if accepted else status.Reason.CHECK_FAILED
            with status.changing(smtp, reason, by=by or status.MACHINE, check=check):
                smtp.enabled, smtp.judged = accepted, True

    def lose(self, smtp_id: str | None = None) -> None:
        self.check(smtp_id or self.broken, accepted=False)

    def recover(self, smtp_id: str | None = None) -> None:
        self.check(smtp_id or self.broken, accepted=True)

    def channel(self, kind: str, target: str | None, **changes: Any) -> str:
        given: Any = {"kind": kind, **({"target": target} if target else {}), **changes}
        app_id = changes.pop("app_id", self.idapp if target else None)
        given.pop("app_id", None)
        with self.app.app_context():
            made, secret = channels.save(self.alice.user_id, app_id, given)
            self.secret = secret
            return made.id

    def deliver(self) -> int:
        with self.app.app_context():
            return deliver_due(seconds=20)

    def later(self, **lapse: float) -> None:
        """Let all that is waiting have been written so much earlier."""
        earlier = timedelta(**lapse)
        with self.app.app_context(), writing() as session:
            for model, columns in (
                (AlarmDelivery, ("due_at", "created")),
                (AlarmEvent, ("at", "again_at")),
                (StatusChange, ("at",)),
            ):
                for row in session.query(model):
                    for column in columns:
                        if getattr(row, column) is not None:
                            setattr(row, column, getattr(row, column) - earlier)

    def deliveries(self) -> list[AlarmDelivery]:
        with self.app.app_context():
            return list(db.session.query(AlarmDelivery).order_by(AlarmDelivery.created))

    def events(self) -> list[AlarmEvent]:
        with self.app.app_context():
            return list(db.session.query(AlarmEvent).order_by(AlarmEvent.at))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events()]

    def find(self, channel_id: str) -> Any:
        with self.app.app_context():
            return channels.find(self.alice.user_id, channel_id)

    def set_policy(self, policy: EgressPolicy) -> None:
        self.change_settings(webhook_egress=policy)

    def change_settings(self, **changes: Any) -> None:
        settings = services(self.app).settings
        services(self.app).settings = dataclasses.replace(settings, **changes)

    def due_now(self) -> None:
        with self.app.app_context(), writing() as session:
            session.execute(
                update(AlarmDelivery).where(AlarmDelivery.due_at.is_not(None)).values(due_at=now())
            )


@pytest.fixture
def shop(app: Flask, alice: Person) -> Shop:
    return Shop(alice, app)
