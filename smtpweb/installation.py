"""What must be true before the first request: a current schema and the right keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

from sqlalchemy import Column, String, Table, and_, func, literal, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from .config import MIGRATIONS, settings
from .database import migrations
from .database.models import Installation, Smtp, User
from .database.secret_box import SecretBox
from .database.session import Base, Sealed, db, fetch, writing
from .errors import ConfigError, SecretUnreadable
from .providers import credentials

_CANARY_ID = 1
_BATCH = 200


def make_ready() -> None:
    """Raise :class:`ConfigError` unless this installation can serve; called before the fork."""
    if problem := schema_problem():
        raise ConfigError(problem)
    box = secret_box()
    canary = db.session.scalar(select(Installation.canary))
    if canary is None:
        try:
            with writing() as session:
                session.add(Installation(id=_CANARY_ID, canary=box.seal(str(_CANARY_ID), "canary")))
        except IntegrityError:
            return make_ready()  # another process was faster; check our keys against its canary
    else:
        try:
            box.open(str(_CANARY_ID), canary)
        except SecretUnreadable:
            raise ConfigError(
                "SMTPWEB_ENCRYPTION_KEYS has no key that opens this database:"
                " restore the keys that its passwords were encrypted with."
            ) from None
    _note_credentials(box)
    db.session.remove()
    return None


def _note_credentials(box: SecretBox) -> None:
    """Note for rows of earlier versions what is kept of user name and password since then."""
    columns = (Smtp.id, Smtp.host, Smtp.username, Smtp.password_sealed)
    lacking = or_(
        Smtp.username_is_secret.is_(None),
        and_(Smtp.password_findings.is_(None), Smtp.password_sealed.is_not(None)),
    )
    batch = select(*columns).where(lacking).order_by(Smtp.id)
    rows = fetch(batch.limit(_BATCH))
    while rows:
        with writing() as session:
            for smtp_id, host, username, sealed in rows:
                try:
                    password = sealed and box.open(smtp_id, sealed)
                except SecretUnreadable:
                    continue  # null: its user name stays hidden
                unchanged = (
                    Smtp.host == host,
                    Smtp.username.is_not_distinct_from(username),
                    Smtp.password_sealed.is_not_distinct_from(sealed),
                )
                session.execute(
                    update(Smtp)
                    .where(Smtp.id == smtp_id, lacking, *unchanged)
                    .values(credentials.note(host, username, password)._asdict())
                )
        rows = fetch(batch.where(Smtp.id > rows[-1][0]).limit(_BATCH))


def schema_problem() -> str:
    """Why this version cannot work with the database's schema, or ""."""
    fetch(select(literal(1)))  # renews the pool if its connections died while idle
    current = migrations.current_revision()
    newest = migrations.newest_revision(MIGRATIONS)
    if current == newest:
        return ""
    return (
        f"The database is at revision {current or 'none'}, this version needs {newest}:"
        " run 'flask --app wsgi db upgrade'."
    )


def secret_box() -> SecretBox:
    """The :class:`SecretBox` with this installation's keys."""
    return settings().secret_box


def rotate_keys() -> Iterator[tuple[int, int]]:
    """Seal everything again under the newest key; yields (resealed, unreadable) per batch.

    Can be interrupted, repeated, and run while others write: a value is replaced only if it has
    not changed since it was read. Secrets are found by column type, so that none is forgotten.
    """
    box = secret_box()
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Sealed):
                yield from _reseal(box, table, column)


def count_stale_seals() -> int:
    """How many secrets are not sealed under the newest key."""
    box = secret_box()
    return sum(
        fetch(select(func.count()).select_from(table).where(_stale(box, column)))[0][0]
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Sealed)
    )


def _stale(box: SecretBox, column: Column[str]) -> ColumnElement[bool]:
    return type_coerce(column, String).not_like(literal(box.seal_prefix) + "%")


def _reseal(box: SecretBox, table: Table, column: Column[str]) -> Iterator[tuple[int, int]]:
    (key,) = table.primary_key.columns
    batch = select(key, column).where(_stale(box, column)).order_by(key).limit(_BATCH)
    rows = fetch(batch)
    while rows:
        resealed = unreadable = 0
        with writing() as session:
            for row_id, sealed in rows:
                try:
                    fresh = box.seal(str(row_id), box.open(str(row_id), sealed))
                except SecretUnreadable:
                    unreadable += 1
                    continue
                session.execute(
                    update(table).where(key == row_id, column == sealed).values({column: fresh})
                )
                resealed += 1
        yield resealed, unreadable
        rows = fetch(batch.where(key > rows[-1][0]))


def needs_first_account() -> bool:
    """Whether there is no account yet."""
    return not fetch(select(User.id).limit(1))


def set_up_code() -> str:
    """The code that the set-up page asks for, printed on the console.

    Derived from the secret key rather than stored, so that all workers have the same one. It is
    useless once the first account exists.
    """
    digest = hmac.digest(settings().secret_key.encode(), b"smtpweb set-up code", hashlib.sha256)
    letters = base64.b32encode(digest).decode()
    return "-".join(letters[start : start + 4] for start in (0, 4, 8))
