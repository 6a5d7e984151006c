"""Lists of SMTP servers: database rows, and the rows of the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from smtpweb.database.models import Check, Smtp, new_id
from smtpweb.database.session import db, now
from tests.support.browser import Page, words
from tests.support.people import Person


def add_smtp(
    idapp: str, number: int, *, enabled: bool = True, judged: bool = True, **values: Any
) -> str:
    """Add an SMTP server as a database row; needs an application context."""
    smtp = Smtp(
        app_id=idapp, host=f"{number}.example.net", port=587, priority=number, enabled=enabled,
        judged=judged, **values,
    )  # fmt: skip
    db.session.add(smtp)
    db.session.commit()
    return smtp.id


def add_check(smtp_id: str, minutes_ago: float, accepted: bool | None, **values: Any) -> None:
    """Add a finished check that started ``minutes_ago``; needs an application context."""
    began = now() - timedelta(minutes=minutes_ago)
    stage = "accepted" if accepted else "auth"
    given: dict[str, Any] = {
        "smtp_id": smtp_id, "smtp_version": 1, "started": began, "ends_by": began,
        "finished": began, "accepted": accepted, "stage": stage, "applied": True,
    }  # fmt: skip
    db.session.add(Check(**given | values))
    db.session.commit()


def fill_app(alice: Person, idapp: str, many: int, first_active: int) -> None:
    """Add ``many`` SMTP servers to an app, those before ``first_active`` disabled."""
    with alice.app.app_context():
        moment = now()
        db.session.execute(
            insert(Smtp),
            [
                {
                    "id": new_id(), "app_id": idapp, "host": f"{number}.example.net", "port": 25,
                    "priority": 10, "enabled": number >= first_active, "judged": True,
                    "created": moment + timedelta(milliseconds=number),
                }
                for number in range(many)
            ],
        )  # fmt: skip
        db.session.commit()


def rows(page: Page) -> list[str]:
    """Return the text of each row in the list."""
    return [
        words(row)
        for row in page.all("li")
        if {"row-item", "dense-row"} & set(row.get("class", "").split())
    ]


def hosts(page: Page) -> list[str]:
    """Return the SMTP servers in the order of the list, by the number in their names."""
    links = [link for link in page.all("a") if "row-title" in link.get("class", "")]
    return [words(link).partition(".")[0] for link in links]
