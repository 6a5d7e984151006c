"""Check many SMTP servers of an app: queue checks, and read the progress from their rows.

Workers run the queued checks until every server has one; limits delay them but do not end the
batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from ..accounts.ownership import visible_smtps
from ..accounts.tokens import Caller
from ..database.models import Check, Smtp, new_id
from ..database.session import AnyRow, db, fetch, now, writing
from ..mailcheck import Stage
from ..registry import apps, names
from . import limits, verdict

SHOWN = 500  # rows of each kind that are read for the page of a batch
_PORTION = 1000  # checks queued in one transaction
_LONGEST = timedelta(minutes=6)  # no setting lets a check take so long
_LONGEST_URL = 300


@dataclass(frozen=True)
class Batch:
    """SMTP servers of an app to be checked once since a moment; all of them if without ids."""

    app_id: str
    since: datetime
    smtp_ids: tuple[str, ...] = ()

    def holds(self) -> ColumnElement[bool]:
        """Return the condition that an SMTP server belongs to the batch."""
        mine = Smtp.app_id == self.app_id
        return and_(mine, Smtp.id.in_(self.smtp_ids)) if self.smtp_ids else mine

    def counts(self) -> ColumnElement[bool]:
        """Return the condition that a check counts for the batch, whoever started it."""
        return and_(
            # Allows the database to use an index.
            or_(Check.started > self.since - _LONGEST, Check.queued.is_not(None)),
            or_(
                Check.started >= self.since,
                Check.finished >= self.since,
                Check.queued.is_not(None),
                and_(Check.finished.is_(None), Check.ends_by > now()),
            ),
        )


# --- progress ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """The progress of a batch. ``rows``: the newest check of each SMTP server that has one.

    Rows are (smtp_id, ``names.COLUMNS``, id, started, ends_by, queued, finished, accepted, stage,
    code, title, arrived). ``left``: how many servers have no check; ``waiting``: (id,
    ``names.COLUMNS``) of these, at most ``SHOWN``. ``queued``: checks waiting for a worker;
    ``delayed_for``: seconds for which a limit delays the next one.
    """

    total: int
    begun: int
    finished: int
    accepted: int
    without_result: int
    queued: int
    rows: Sequence[AnyRow]
    waiting: Sequence[AnyRow]
    delayed_for: int

    @property
    def going_on(self) -> bool:
        """Check if checks are queued or running."""
        return self.finished < self.begun

    @property
    def left(self) -> int:
        """Return how many servers have no check."""
        return self.total - self.begun


def standing(user_id: str, batch: Batch) -> Standing:
    """Return the progress of the batch."""
    total = db.session.scalar(select(func.count()).select_from(Smtp).where(batch.holds())) or 0
    newest = (
        select(
            Check.smtp_id, Check.id, Check.started, Check.ends_by, Check.queued, Check.finished,
            Check.accepted, Check.stage, Check.code, Check.title, Check.facts, Check.arrived,
            Check.cancelled, Check.mode,
            *names.COLUMNS,
            func.row_number()
            .over(partition_by=Check.smtp_id, order_by=(Check.started.desc(), Check.id.desc()))
            .label("place"),
        )
        .join(Check.smtp)
        .where(batch.holds(), batch.counts())
        .subquery()
    )  # fmt: skip
    row = newest.c
    is_queued = row.queued.is_not(None)
    is_over = ~is_queued & (row.finished.is_not(None) | (row.ends_by <= now()))
    says_nothing = row.finished.is_(None) | (row.stage == Stage.POLICY)
    counts = fetch(
        select(
            func.count().label("begun"),
            func.count().filter(is_over).label("finished"),
            func.count().filter(row.accepted.is_(True)).label("accepted"),
            func.count()
            .filter(is_over & says_nothing & row.accepted.is_not(True))
            .label("without_result"),
            func.count().filter(is_queued).label("queued"),
        ).where(row.place == 1)
    )[0]
    # Queued checks come last.
    rows = fetch(
        select(newest).where(row.place == 1).order_by(is_queued, row.started, row.id).limit(SHOWN)
    )
    waiting = fetch(
        select(Smtp.id, *names.COLUMNS)
        .where(
            batch.holds(),
            ~select(Check.id).where(Check.smtp_id == Smtp.id, batch.counts()).exists(),
        )
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
        .limit(SHOWN if counts.begun < total else 0)
    )
    runs = counts.begun - counts.finished > counts.queued
    delayed = limits.wait(user_id) if counts.queued and not runs else 0
    return Standing(
        total,
        counts.begun,
        counts.finished,
        counts.accepted,
        counts.without_result,
        counts.queued,
        rows,
        waiting,
        delayed,
    )


# --- queueing ------------------------------------------------------------------------------


def start(caller: Caller, batch: Batch, base_url: str | None = None) -> int:
    """Queue a check of each server of the batch that has none yet; return how many.

    A server that is already queued is not queued again. ``base_url`` is our public URL, for the
    links in test emails. Raises :class:`NotFound`.
    """
    app_id = apps.find(caller.user_id, batch.app_id).id
    missing = (
        visible_smtps(caller.user_id)
        .with_only_columns(Smtp.id, Smtp.version, maintain_column_froms=True)
        .where(
            Smtp.app_id == app_id,
            batch.holds(),
            ~select(Check.id).where(Check.smtp_id == Smtp.id, batch.counts()).exists(),
        )
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
    )
    servers = [tuple(row) for row in fetch(missing)]
    if base_url and len(base_url) > _LONGEST_URL:
        base_url = None
    queued = 0
    for first in range(0, len(servers), _PORTION):
        queued += _queue(caller.user_id, servers[first : first + _PORTION], base_url)
    return queued


def _queue(user_id: str, servers: Sequence[tuple[str, int]], base_url: str | None) -> int:
    """Queue a check of each of these servers (id, version), in this order; return how many."""
    moment = now()
    try:
        with writing() as session:
            ids = [smtp_id for smtp_id, _ in servers]
            there = set(
                session.scalars(select(Smtp.id).where(Smtp.id.in_(ids)).with_for_update(read=True))
            )
            there -= set(
                session.scalars(
                    select(Check.smtp_id).where(Check.queued.is_not(None), Check.smtp_id.in_(ids))
                )
            )
            rows = [
                {
                    "id": new_id(),
                    "smtp_id": smtp_id,
                    "user_id": user_id,
                    "smtp_version": version,
                    # A millisecond apart, to keep the order.
                    "started": moment + timedelta(milliseconds=place),
                    "queued": moment + timedelta(milliseconds=place),
                    "ends_by": moment,
                    "kind": verdict.BULK,
                    "mode": verdict.EMAIL,
                    "base_url": base_url,
                }
                for place, (smtp_id, version) in enumerate(servers)
                if smtp_id in there
            ]
            if rows:
                session.execute(insert(Check), rows)
            return len(rows)
    except IntegrityError:  # another request queued one at the same time
        return sum(_queue(user_id, [server], base_url) for server in servers) if servers[1:] else 0


def stop(user_id: str, app_id: str) -> int:
    """Remove the user's checks of this app from the queue; running ones will finish."""
    mine = select(Smtp.id).where(Smtp.app_id == app_id)
    with writing() as session:
        ended = session.execute(
            delete(Check)
            .where(Check.queued.is_not(None), Check.user_id == user_id, Check.smtp_id.in_(mine))
            .execution_options(synchronize_session=False)
        )
        return int(ended.rowcount)  # type: ignore[attr-defined]
