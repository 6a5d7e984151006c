"""Check many SMTP servers of an app: queue them, and tell from rows how far that has come.

A batch goes on by itself until every server has its check: limits delay it, they never stop it.
Each of its checks is a row from the moment it is queued, and a worker carries it out.
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
from ..registry import apps
from . import limits, verdict

SHOWN = 500  # rows of a batch that are read for its page, and of each kind
_PORTION = 1000  # that are queued in one transaction
_LONGEST = timedelta(minutes=6)  # no setting lets a check take so long
_LONGEST_URL = 300


@dataclass(frozen=True)
class Batch:
    """SMTPs of an app, each to be checked once since a moment; no ids stand for all of them."""

    app_id: str
    since: datetime
    smtp_ids: tuple[str, ...] = ()

    def holds(self) -> ColumnElement[bool]:
        """The condition that an SMTP is one of them."""
        mine = Smtp.app_id == self.app_id
        return and_(mine, Smtp.id.in_(self.smtp_ids)) if self.smtp_ids else mine

    def counts(self) -> ColumnElement[bool]:
        """The condition that a check is one of the batch's, whoever began it."""
        return and_(
            # So that an index on it is of use
            or_(Check.started > self.since - _LONGEST, Check.queued.is_not(None)),
            or_(
                Check.started >= self.since,
                Check.finished >= self.since,
                Check.queued.is_not(None),
                and_(Check.finished.is_(None), Check.ends_by > now()),
            ),
        )


# --- how it stands -------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How far a batch has come. ``rows``: the newest check of each SMTP that has one, in order.

    Rows are (smtp_id, host, port, id, started, ends_by, queued, finished, accepted, stage, code,
    title, arrived). ``left``: how many have none; ``waiting``: (id, host, port) of them, at most
    ``SHOWN``. ``queued``: how many of the checks wait for a worker; ``delayed_for``: seconds for
    which a limit delays the next one.
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
        """Whether there will be more to see."""
        return self.finished < self.begun

    @property
    def left(self) -> int:
        """How many have no check."""
        return self.total - self.begun


def standing(user_id: str, batch: Batch) -> Standing:
    """How far the batch has come."""
    total = db.session.scalar(select(func.count()).select_from(Smtp).where(batch.holds())) or 0
    newest = (
        select(
            Check.smtp_id, Check.id, Check.started, Check.ends_by, Check.queued, Check.finished,
            Check.accepted, Check.stage, Check.code, Check.title, Check.facts, Check.arrived,
            Smtp.host, Smtp.port,
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
    # Those that wait for a worker come last
    rows = fetch(
        select(newest).where(row.place == 1).order_by(is_queued, row.started, row.id).limit(SHOWN)
    )
    waiting = fetch(
        select(Smtp.id, Smtp.host, Smtp.port)
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
    """Queue a check of those of the batch that have none yet; returns how many.

    A server that waits in the queue already is not queued again. ``base_url`` is where we are
    reached, for the links in the test emails. Raises :class:`NotFound`.
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
    """Queue a check of each of these (id, version), in this order."""
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
                    # A millisecond apart: the order in which they are carried out
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
    except IntegrityError:  # one was queued at the same moment by another request
        return sum(_queue(user_id, [server], base_url) for server in servers) if servers[1:] else 0


def stop(user_id: str, app_id: str) -> int:
    """Take the user's checks of this app out of the queue; those under way are finished."""
    mine = select(Smtp.id).where(Smtp.app_id == app_id)
    with writing() as session:
        ended = session.execute(
            delete(Check)
            .where(Check.queued.is_not(None), Check.user_id == user_id, Check.smtp_id.in_(mine))
            .execution_options(synchronize_session=False)
        )
        return int(ended.rowcount)  # type: ignore[attr-defined]
