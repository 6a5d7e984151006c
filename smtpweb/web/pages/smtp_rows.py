"""What lists of SMTP servers show of each."""

from __future__ import annotations

from collections.abc import Sequence

from flask import url_for

from ...database.models import Smtp
from ...database.session import AnyRow
from ...registry import overview
from ..presentation.sparkline import Bar, bar


class Urls:
    """The addresses that rows link to, with ANY in place of an id: built once, not for each row."""

    ANY = "0" * 24

    def __init__(self) -> None:
        self.show = url_for("pages.show_smtp", smtp_id=self.ANY)
        self.fix = url_for("pages.fix_smtp", smtp_id=self.ANY)
        self.run = url_for("pages.check_smtp", smtp_id=self.ANY)
        self.check = url_for("pages.show_check", check_id=self.ANY)
        self.app = url_for("pages.show_app", app_id=self.ANY)


def with_checks(smtps: Sequence[Smtp]) -> list[tuple[Smtp, AnyRow | None, Bar]]:
    """Return each SMTP server with its newest check, if any, and the bar of its last ones."""
    marks = overview.marks([smtp.id for smtp in smtps])
    newest = overview.newest(marks)
    return [(smtp, newest.get(smtp.id), bar(marks[smtp.id])) for smtp in smtps]
