"""Checks over the API: register a fake server and check it."""

from __future__ import annotations

from typing import Any

from tests.support.fake_smtp import FakeServer
from tests.support.people import Person, Reply


def register(alice: Person, idapp: str, server: FakeServer, **more: Any) -> str:
    """Register the fake server as an SMTP server; return its id."""
    given = {"host": "127.0.0.1", "port": server.port, "defaultfromemail": "app@shop.example"}
    smtp_id: str = alice.make_smtp(idapp, **(given | more))["_id"]
    return smtp_id


def check(alice: Person, smtp_id: str) -> Reply:
    return alice.post("/private/smtps/check", idsmtp=smtp_id)
