"""How many checks of a host may run at the same time, on all machines together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text

from ..database.models import Due
from ..database.session import db

PER_HOST = 2  # checks at a time
_MOST_LOCKS = 64  # on hosts, in one claim


class HostPlaces:
    """Counts the running checks of each host, on all machines."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._taken: dict[str, int] = {}
        self._left: set[str] = set()
        self._postgresql = db.engine.dialect.name == "postgresql"

    def look_at(self, hosts: set[str]) -> None:
        """Count the checks of these hosts, too; leave out hosts that another worker has locked."""
        new = sorted(hosts - self._taken.keys())
        if not new:
            return
        if self._postgresql:
            self._left |= self._not_ours(new)
        counted = db.session.execute(
            select(Due.host, func.count())
            .where(Due.host.in_(new), Due.lease_until > self._moment)
            .group_by(Due.host)
        )
        under_way = {row[0]: row[1] for row in counted}
        self._taken |= {host: under_way.get(host, 0) for host in new}

    def _not_ours(self, hosts: list[str]) -> set[str]:
        """Lock hosts with more than ``PER_HOST`` servers; return those that could not be locked.

        SQLite has only one writer anyway. Locks take shared memory of PostgreSQL, so their number
        per claim is limited.
        """
        crowded = db.session.scalars(
            text(
                "SELECT host FROM unnest(CAST(:hosts AS text[])) AS host WHERE (SELECT count(*)"
                " FROM (SELECT FROM due WHERE due.host = host.host LIMIT :places + 1) AS few)"
                " > :places"
            ),
            {"hosts": hosts, "places": PER_HOST},
        ).all()
        locked = db.session.scalars(
            text(
                "SELECT host FROM unnest(CAST(:hosts AS text[])) AS host"
                " WHERE pg_try_advisory_xact_lock(7, hashtext(host))"
            ),
            {"hosts": crowded[:_MOST_LOCKS]},
        ).all()
        return set(crowded) - set(locked)

    def has_place(self, host: str) -> bool:
        """Check if another check of this host may begin."""
        return host not in self._left and self._taken[host] < PER_HOST

    def is_full(self, host: str) -> bool:
        """Check if the host has its maximum of checks, unless another worker has locked it."""
        return host not in self._left and self._taken[host] >= PER_HOST

    def take(self, host: str) -> None:
        """Count another check of this host."""
        self._taken[host] += 1
