"""Claim due checks within the limits per user and host.

Only the database stores what is due. A claim is a row of ``check`` and a lease in ``due``: if its
worker dies, the lease ends and any worker can claim the server again.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.orm import contains_eager, selectinload

from ..accounts.ownership import is_kept
from ..checking import arrival, limits, service, verdict
from ..config import settings
from ..database.models import App, Check, Due, MaintenanceWindow, Smtp, new_id
from ..database.session import AnyRow, db, now, writing
from ..errors import SecretUnreadable, TooMany
from ..mailcheck import Purpose, Report, Target, not_tried
from ..mailcheck.core.failure import Symptom
from ..registry import schedule
from . import host_places, maintenance
from .host_places import HostPlaces

HOST_SPACING = timedelta(seconds=0.5)  # between two pairs of checks of a busy host
LEASE_MARGIN = timedelta(seconds=30)  # beyond the deadline of a check
_BUSY_AGAIN = timedelta(seconds=30)  # until the next attempt if a check by hand is running
_HEAVY_SHARE = 4  # a user with more than 1/4 of what is due waits for the others
_MOST_USERS = 100  # whose queued checks are considered in one claim


@dataclass(frozen=True)
class Claim:
    """A check claimed by this worker, with its target or a report that needs no check."""

    check_id: str
    smtp_id: str
    kind: str
    started: datetime
    ends_by: datetime  # of the lease
    target: Target | Report


def claim(worker_id: str, room: int) -> list[Claim]:
    """Claim at most ``room`` checks, queued ones before scheduled ones."""
    moment = now()
    ends_by = moment + timedelta(seconds=settings().check_timeout) + LEASE_MARGIN
    with writing() as session, session.no_autoflush:  # rows of checks are written at once
        hosts = HostPlaces(moment)
        queued = _queued(worker_id, moment, ends_by, hosts, max(1, room // 2))
        scheduled = _scheduled(moment, ends_by, hosts, room - len(queued))
        # Due again when the lease ends, in case this worker dies
        _lease(worker_id, scheduled, ends_by, next_at=ends_by)
    return queued + scheduled


def is_anything_due() -> bool:
    """Check if a check is due or queued."""
    moment = now()
    due = select(Due.smtp_id).where(schedule.is_due(moment)).limit(1)
    queued = select(Check.id).where(Check.queued.is_not(None)).limit(1)
    return db.session.scalar(due) is not None or db.session.scalar(queued) is not None


# --- scheduled checks ----------------------------------------------------------------------


def _scheduled(moment: datetime, ends_by: datetime, hosts: HostPlaces, room: int) -> list[Claim]:
    window = due_rows(moment, room * 2)
    if len(window) == room * 2:  # a backlog: one user may fill it
        window += _others(moment, window, room)
    hosts.look_at({row.host for row in window})
    chosen, later = _choose(window, hosts, room)
    _defer(later, moment)
    claims = []
    windows = _Windows(moment)
    for smtp, due in _locked(chosen, moment, windows):
        if (closed := windows.closed_until(smtp)) is not None:
            due.next_at = min(closed + schedule.jittered(schedule.SOON), moment + schedule.DAY)
            continue
        needs_email = smtp.app.emailevery == "always" or (
            smtp.app.emailevery == "daily" and verdict.must_email(due, moment)
        )
        check = Check(
            id=new_id(),
            smtp_id=smtp.id,
            smtp_version=smtp.version,
            kind=verdict.SCHEDULED,
            mode=verdict.EMAIL if needs_email else verdict.PROBE,
            started=moment,
            ends_by=ends_by,
        )
        claims.append(_claim(check, smtp, settings().base_url))
        db.session.add(check)
    return claims


def due_rows(moment: datetime, size: int, *others: object) -> list[AnyRow]:
    """Lock at most so many rows of ``due``, oldest first, that no other worker has locked."""
    if size <= 0:
        return []
    return list(
        db.session.execute(
            select(Due.smtp_id, Due.user_id, Due.host)
            .where(schedule.is_due(moment), *others)  # type: ignore[arg-type]
            .order_by(Due.next_at)
            .limit(size)
            .with_for_update(skip_locked=True)
        )
    )


class _Pace:
    """Limits a costly operation to a twentieth of the time."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def may(self) -> bool:
        return time.monotonic() >= self._not_before

    def took(self, seconds: float) -> None:
        self._not_before = time.monotonic() + max(0.2, seconds * 20)


_looks_for_others = _Pace()


def _others(moment: datetime, window: Sequence[AnyRow], size: int) -> list[AnyRow]:
    """Return due rows of other users than those who fill the window, so that they need not wait."""
    counts = Counter(row.user_id for row in window)
    heavy = [user for user, count in counts.items() if count > len(window) / _HEAVY_SHARE]
    if not heavy or not _looks_for_others.may():
        return []
    started = time.monotonic()
    seen = {row.smtp_id for row in window}
    others = due_rows(moment, size, Due.user_id.not_in(heavy))
    _looks_for_others.took(time.monotonic() - started)
    return [row for row in others if row.smtp_id not in seen]


def _choose(
    window: Iterable[AnyRow], hosts: HostPlaces, room: int
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the servers to check now, users in turn, and by host those whose host is full."""
    by_user: dict[str, list[AnyRow]] = defaultdict(list)
    for row in window:
        by_user[row.user_id].append(row)
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*by_user.values()))
    chosen: list[str] = []
    later: dict[str, list[str]] = defaultdict(list)
    for row in in_turn:
        if row is None:
            continue
        if hosts.is_full(row.host):
            later[row.host].append(row.smtp_id)
        elif len(chosen) < room and hosts.has_place(row.host):
            hosts.take(row.host)
            chosen.append(row.smtp_id)
    return chosen, later


def _defer(later: dict[str, list[str]], moment: datetime) -> None:
    """Postpone servers whose host is full, spaced in pairs."""
    rows = [
        {"id": smtp_id, "at": moment + HOST_SPACING * (place // host_places.PER_HOST + 1)}
        for waiting in later.values()
        for place, smtp_id in enumerate(waiting)
    ]
    if rows:
        table = Due.__table__
        statement = (
            update(table)  # type: ignore[arg-type]
            .where(table.c.smtp_id == bindparam("id"))
            .values(next_at=bindparam("at"))
        )
        db.session.connection().execute(statement, rows)


def _locked(ids: Sequence[str], moment: datetime, windows: _Windows) -> Iterable[tuple[Smtp, Due]]:
    """Yield the servers and their rows of ``due``, locked, except those being checked by hand."""
    if not ids:
        return
    smtps = _locked_smtps(ids)
    windows.read(smtps.values())
    dues = db.session.scalars(
        select(Due).where(Due.smtp_id.in_(list(smtps))).with_for_update(skip_locked=True),
        execution_options={"populate_existing": True},
    )
    for due in dues:
        smtp = smtps[due.smtp_id]
        if smtp.checking_until is not None and smtp.checking_until > moment:
            due.next_at = moment + _BUSY_AGAIN
            continue
        yield smtp, due


def _locked_smtps(ids: Sequence[str]) -> dict[str, Smtp]:
    """Return by id those of these servers that nobody else has locked, with all they need."""
    if not ids:
        return {}
    smtps = db.session.scalars(
        select(Smtp)
        .join(Smtp.app)
        .options(contains_eager(Smtp.app).selectinload(App.user), selectinload(Smtp.oauth))
        .where(Smtp.id.in_(ids), is_kept)
        .with_for_update(of=Smtp, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return {smtp.id: smtp for smtp in smtps}


class _Windows:
    """The maintenance windows of a batch."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._windows: list[MaintenanceWindow] = []

    def read(self, smtps: Iterable[Smtp]) -> None:
        """Load the windows of these servers and their apps."""
        ids = {owner_id for smtp in smtps for owner_id in (smtp.id, smtp.app_id)}
        self._windows = maintenance.windows_of(ids) if ids else []

    def closed_until(self, smtp: Smtp) -> datetime | None:
        """Return until when no check of this server is scheduled, or None."""
        return maintenance.closed_until(smtp, self._windows, self._moment)


# --- queued checks -------------------------------------------------------------------------


def _queued(
    worker_id: str, moment: datetime, ends_by: datetime, hosts: HostPlaces, room: int
) -> list[Claim]:
    users = db.session.scalars(
        select(Check.user_id)
        .where(Check.queued.is_not(None))
        .group_by(Check.user_id)
        .order_by(func.min(Check.queued))
        .limit(_MOST_USERS)
    ).all()
    claims: list[Claim] = []
    # First an equal part for everybody, then what is left: one user may have queued thousands.
    for part in (max(1, room // max(1, len(users))), room):
        for user_id in users:
            left = min(part, room - len(claims))
            if user_id is not None and left > 0:
                left = min(left, limits.room(user_id))
            if left > 0:
                found = _queued_of(user_id, moment, ends_by, hosts, left)
                _lease(worker_id, found, ends_by)  # before it looks again, or for what is due
                claims += found
    return claims


def _queued_of(
    user_id: str | None, moment: datetime, ends_by: datetime, hosts: HostPlaces, room: int
) -> list[Claim]:
    is_idle = or_(Smtp.checking_until.is_(None), Smtp.checking_until <= moment)
    checks = db.session.scalars(
        select(Check)
        .join(Check.smtp)
        .where(Check.queued.is_not(None), Check.user_id == user_id, is_idle)
        .order_by(Check.queued, Check.id)
        .limit(room)
        .with_for_update(of=Check, skip_locked=True)
    ).all()
    by_smtp = {check.smtp_id: check for check in checks}
    smtps = list(_locked_smtps(list(by_smtp)).values())
    hosts.look_at({smtp.host for smtp in smtps})
    claims = []
    for smtp in smtps:
        if not hosts.has_place(smtp.host):
            continue
        check = by_smtp[smtp.id]
        if user_id is not None:
            try:
                limits.take_share(user_id, limits.CHECK, check.id, ends_by)
            except TooMany:  # another worker was faster
                break
        hosts.take(smtp.host)
        check.queued, check.started, check.ends_by = None, moment, ends_by
        check.smtp_version = smtp.version
        claims.append(_claim(check, smtp, settings().base_url or check.base_url))
    return claims


# --- leases --------------------------------------------------------------------------------


def _claim(check: Check, smtp: Smtp, base_url: str | None) -> Claim:
    link, digest = "", None
    if check.mode == verdict.EMAIL and base_url:
        link, digest = arrival.new_link(base_url)
    try:
        target = service.target_of(smtp, link, Purpose(check.mode))
    except SecretUnreadable:
        target = _unreadable(smtp)
    check.arrival_digest = digest if isinstance(target, Target) else None
    return Claim(check.id, smtp.id, check.kind, check.started, check.ends_by, target)


def _lease(worker_id: str, claims: Sequence[Claim], ends_by: datetime, **changed: datetime) -> None:
    """Lease the claimed servers, which are locked, and change their rows of ``due``."""
    if not claims:
        return
    ids = [claim.smtp_id for claim in claims]
    for statement in (
        update(Smtp).where(Smtp.id.in_(ids)).values(checking_until=ends_by),
        update(Due)
        .where(Due.smtp_id.in_(ids))
        .values(lease_until=ends_by, leased_by=worker_id, **changed),
    ):
        db.session.execute(statement, execution_options={"synchronize_session": False})


def _unreadable(smtp: Smtp) -> Report:
    return not_tried(
        Symptom.SEAL_UNREADABLE,
        host=smtp.host,
        port=smtp.port,
        rcpt_to=smtp.app.testemail,
        encryption=smtp.encryption,
    )


def give_back(claims: Sequence[Claim]) -> None:
    """Return unfinished checks to other workers immediately, because this one must end."""
    moment = now()
    by_id = {claim.smtp_id: claim for claim in claims}
    with writing() as session:
        smtps = session.scalars(
            select(Smtp).where(Smtp.id.in_(list(by_id))).order_by(Smtp.id).with_for_update(),
            execution_options={"populate_existing": True},
        ).all()
        for smtp in smtps:
            claim = by_id[smtp.id]
            due = session.get(Due, smtp.id, populate_existing=True, with_for_update=True)
            if due is not None and due.lease_until == claim.ends_by and due.next_at is not None:
                due.next_at = moment
            verdict.release(smtp, due, claim.ends_by)
            limits.give_back_share(claim.check_id)
            mine = (Check.id == claim.check_id, Check.finished.is_(None))
            if claim.kind == verdict.SCHEDULED:
                session.execute(delete(Check).where(*mine))
            else:
                queued = {"queued": claim.started, "progress": None}
                session.execute(update(Check).where(*mine).values(queued))
