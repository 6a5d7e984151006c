"""SMTP servers as registered: save, find, reorder, remove; ``checking`` does the rest.

Every query starts from the owner, and other users' servers are not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TypedDict

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    and_,
    cast,
    func,
    literal,
    select,
    update,
)

from .. import installation
from ..accounts import tokens
from ..accounts.ownership import may_see_app, owner_id, visible_smtps
from ..config import settings
from ..database.models import ApiToken, App, Smtp, SmtpOauth, new_id
from ..database.rows import SmtpPassword, SmtpSettings, TokenAndSmtp, with_tokens_and_smtps
from ..database.session import AnyRow, AnySelect, db, fetch, now, writing
from ..errors import EditConflict, NotFound, QuotaReached, SecretUnreadable, Sentence
from ..providers import credentials, preflight
from ..providers.settings import Warning
from . import (
    apps,
    checkability,
    destination,
    fields,
    grants,
    passwords,
    priorities,
    schedule,
    status,
)
from .destination import Fate
from .grants import OauthChanges
from .idempotency import Once, claim
from .status import Reason


class SmtpChanges(TypedDict, total=False):
    """The fields of an SMTP server to change, named as in ``fields.SMTP``.

    On an edit, fields left out keep their values. ``password`` None removes the stored one.
    """

    priority: int
    host: str
    port: int
    username: str | None
    password: str | None
    auth: bool
    starttls: bool
    ssltls: bool
    debug: bool
    defaultfromemail: str | None
    defaultfromname: str | None
    passwordexpires: datetime | None


# --- find ----------------------------------------------------------------------------------


def owned(user_id: str, smtp_id: str) -> Select[Smtp]:
    """Select the SMTP server, with its app, if the app belongs to this user."""
    return visible_smtps(user_id).where(Smtp.id == smtp_id)


def find(user_id: str, smtp_id: str) -> Smtp:
    """Return the user's SMTP server; raise :class:`NotFound`."""
    smtp = db.session.scalar(owned(user_id, smtp_id))
    if smtp is None:
        raise NotFound("SMTP")
    return smtp


def with_owners(
    *, smtp_id: str | None = None, app_id: str | None = None
) -> Sequence[tuple[str, str, str]]:
    """Return (id, owner's id, "host:port") of all servers, an app's, or one: for administrators."""
    statement = (
        select(Smtp.id, owner_id.label("owner_id"), Smtp.host, Smtp.port)
        .join(Smtp.app)
        .order_by(owner_id, App.name, Smtp.priority, Smtp.created, Smtp.id)
    )
    if smtp_id is not None:
        statement = statement.where(Smtp.id == smtp_id)
    if app_id is not None:
        statement = statement.where(Smtp.app_id == app_id)
    return [(row.id, row.owner_id, f"{row.host}:{row.port}") for row in fetch(statement)]


_OURS = (
    "version",
    "settings_version",
    "judged",
    "checking_until",
    "uncheckable",
    "off_by",
    "degraded_since",
    "good_facts",
)  # not exposed by the API
_COLUMNS = tuple(column for column in Smtp.__table__.columns if column.name not in _OURS)


def rows_by_app(digest: str, app_id: str) -> Sequence[TokenAndSmtp]:
    """Return token, app and its SMTP servers in one statement; no rows without a valid token.

    ``app_found`` is null if the token's owner has no such app, ``id`` if it has no SMTP servers.
    """
    return with_tokens_and_smtps(
        fetch(
            _token_and_app(digest, App.id == app_id)
            .outerjoin(Smtp, Smtp.app_id == App.id)
            .outerjoin(SmtpOauth, SmtpOauth.smtp_id == Smtp.id)
            .order_by(Smtp.priority, Smtp.created, Smtp.id)
        )
    )


def rows_by_id(digest: str, smtp_id: str) -> Sequence[TokenAndSmtp]:
    """Return token and SMTP server in one statement; ``app_found`` is null if not the owner's."""
    mine = select(Smtp.app_id).where(Smtp.id == smtp_id).scalar_subquery()
    return with_tokens_and_smtps(
        fetch(
            _token_and_app(digest, App.id == mine)
            .outerjoin(Smtp, and_(Smtp.app_id == App.id, Smtp.id == smtp_id))
            .outerjoin(SmtpOauth, SmtpOauth.smtp_id == Smtp.id)
        )
    )


def _token_and_app(digest: str, which: ColumnElement[bool]) -> AnySelect:
    return (
        tokens.token_rows(digest)
        .add_columns(App.id.label("app_found"), App.defaultfromemail.label("app_sender"))
        .add_columns(*_COLUMNS, *grants.COLUMNS)
        .select_from(ApiToken)
        .outerjoin(App, and_(may_see_app(ApiToken.user_id), which))
    )


def open_password(smtp: SmtpPassword) -> str | None:
    """Return the password of an SMTP server or row; raise :class:`SecretUnreadable`."""
    if smtp.password_sealed is None:
        return None
    return installation.secret_box().open(smtp.id, smtp.password_sealed)


def warnings_of(smtp: SmtpSettings, app_sender: str | None) -> tuple[Warning, ...]:
    """Return what is likely to fail with a stored SMTP server or row, without decrypting it."""
    found = preflight.warnings(checkability.settings_of(smtp, app_sender))
    return found if has_key_of_password(smtp) else _with_unreadable(found)


def password_and_warnings(
    smtp: SmtpSettings, app_sender: str | None
) -> tuple[str | None, tuple[Warning, ...]]:
    """Like :func:`warnings_of`, plus the password, if permitted; an unreadable one is a warning."""
    found = warnings_of(smtp, app_sender)
    try:
        return open_password(smtp), found
    except SecretUnreadable:  # one bad row must not hide the others
        return None, _with_unreadable(found)


def has_key_of_password(smtp: SmtpPassword) -> bool:
    """Check whether a key exists for the password, if any; do not try to open it."""
    sealed = smtp.password_sealed
    return sealed is None or installation.secret_box().has_key_of(sealed)


def _with_unreadable(found: tuple[Warning, ...]) -> tuple[Warning, ...]:
    others = (warning for warning in found if warning.field != "password")
    text = Sentence(SecretUnreadable.title)
    return Warning("password", "PASSWORD_UNREADABLE", text), *others


# --- save and remove -----------------------------------------------------------------------


def save(
    user_id: str,
    app_id: str,
    changes: SmtpChanges,
    smtp_id: str | None = None,
    *,
    oauth: OauthChanges | None = None,
    version: int | None = None,
    once: Once | None = None,
) -> Smtp:
    """Create an SMTP server in the app (host and port required), or edit the one with this id.

    ``oauth``: how to get access tokens, if it signs in with them; left out, that stays as it is.
    ``version``: refuse with :class:`EditConflict` unless the server still has this version.
    ``once``: if the same request has already created a server, return that one. Raises
    :class:`NotFound`, :class:`BadInput`, :class:`QuotaReached` and, with ``once``,
    :class:`KeyReused`.
    """
    with writing() as session:
        app = apps.find_to_fill(user_id, app_id)
        is_edit = smtp_id is not None
        if smtp_id is None:
            smtp_id = new_id()
            if once is not None:
                content = {"app_id": app.id} | changes | (oauth or {})
                first_id = claim(user_id, once, "smtps/save", content, smtp_id)
                if first_id != smtp_id:
                    return find(user_id, first_id)
            _refuse_too_many(app)
            moment = now()
            smtp = Smtp(
                id=smtp_id, app_id=app.id, version=0, created=moment, modified=moment,
                **fields.defaults(fields.SMTP),
            )  # fmt: skip
            session.add(smtp)
        else:
            smtp = find_for_update(user_id, smtp_id)
            if smtp.app_id != app.id:
                raise NotFound("SMTP")
            if version is not None and smtp.version != version:
                raise EditConflict(
                    Sentence("This SMTP server was changed after you opened the form.")
                )
            smtp.modified = now()
        moved = destination.moves(smtp, changes)
        had_oauth, smtp.uses_oauth = smtp.uses_oauth, grants.is_wanted(smtp, changes, oauth)
        fate = destination.fate_of_password(smtp, changes)
        hid_username = smtp.hides_username
        for name, value in changes.items():
            if not fields.SMTP[name].secret:
                setattr(smtp, name, value)
        keeps_hidden_name = hid_username and "username" not in changes
        if keeps_hidden_name and moved:
            if smtp.auth:
                passwords.refuse_to_move_name()
            smtp.username, keeps_hidden_name = None, False  # forgotten like the password
        passwords.settle(smtp, changes, Fate.FORGOTTEN if smtp.uses_oauth else fate)
        if had_oauth or smtp.uses_oauth:
            session.flush()  # the row of a new server, to which the grant refers
            grants.settle(smtp, oauth, moved=moved)
        is_new = "password" in changes or grants.has_secret(oauth)
        if is_new and "passwordexpires" not in changes:
            smtp.passwordexpires = None  # the date was that of the old one
        if moved:
            smtp.certificate_expires = None
        if moved or "password" in changes or smtp.lacks_notes:
            _note_credentials(smtp, changes)
        if keeps_hidden_name:
            # It was the password until now, and may still be valid elsewhere
            smtp.username_is_secret = True
        smtp.version += 1
        edited = status.changing(smtp, Reason.EDITED, by=user_id) if is_edit else nullcontext()
        with edited:
            smtp.settings_version, smtp.judged = smtp.version, False
            smtp.degraded_since = None
            smtp.uncheckable = checkability.prevented_by(smtp, app.defaultfromemail)
        session.flush()
        schedule.plan(smtp, app)
        return smtp


def _refuse_too_many(app: App) -> None:
    """Refuse to exceed ``SMTPWEB_MAX_SMTPS`` SMTP servers in the app."""
    most = settings().max_smtps
    if not most:
        return
    # Serialise counting: others wait here until the previous insert can be counted.
    db.session.execute(select(App.id).where(App.id == app.id).with_for_update(key_share=True))
    if (db.session.scalar(select(func.count()).where(Smtp.app_id == app.id)) or 0) >= most:
        raise QuotaReached(
            Sentence("An app can have at most %(number)s SMTP servers.", number=most)
        )


def _note_credentials(smtp: Smtp, changes: SmtpChanges) -> None:
    """Store what is known of user name and password, so that they need not be decrypted again."""
    try:
        password = changes["password"] if "password" in changes else open_password(smtp)
    except SecretUnreadable:
        smtp.username_is_secret = smtp.password_findings = None
        return
    noted = credentials.note(smtp.host, smtp.username, password)
    smtp.username_is_secret, smtp.password_findings = noted


def remove(user_id: str, smtp_id: str) -> None:
    """Remove the SMTP server and its history; raise :class:`NotFound`."""
    with writing() as session:
        session.delete(find_for_update(user_id, smtp_id))


# --- reorder -------------------------------------------------------------------------------


def reorder(user_id: str, app_id: str, seen: Mapping[str, int]) -> list[AnyRow]:
    """Rearrange these SMTP servers, in the order of ``seen``, among their current positions.

    ``seen``: the displayed version of each server. Returns all SMTP servers of the app in their
    new order, as rows (id, host, port, priority, created, version) from before the change. Raises
    :class:`EditConflict` unless all still have the version seen, and :class:`NotFound`.
    """
    with writing():
        line = _line(user_id, app_id, seen)
        by_id = {smtp.id: smtp for smtp in line}
        turn = iter(seen)
        return _renumber([by_id[next(turn)] if smtp.id in seen else smtp for smtp in line])


def move(
    user_id: str, app_id: str, seen: Mapping[str, int], smtp_id: str, step: int
) -> list[AnyRow]:
    """Move one server of ``seen`` by ``step`` positions in its app; else like :func:`reorder`."""
    with writing():
        line = _line(user_id, app_id, seen)
        here = next(index for index, smtp in enumerate(line) if smtp.id == smtp_id)
        there = min(max(here + step, 0), len(line) - 1)
        line.insert(there, line.pop(here))
        return _renumber(line)


def _line(user_id: str, app_id: str, seen: Mapping[str, int]) -> list[AnyRow]:
    """Lock and return the app's servers in order of use; refuse outdated versions in ``seen``."""
    # Serialise reordering; servers may be added meanwhile, as they have no position yet.
    if db.session.scalar(apps.owned(user_id, app_id).with_for_update(key_share=True)) is None:
        raise NotFound("App")
    # Rows, not entities: there may be ten thousand, only a few of which change.
    locked = db.session.execute(
        select(Smtp.id, Smtp.host, Smtp.port, Smtp.priority, Smtp.created, Smtp.version)
        .where(Smtp.app_id == app_id)
        .order_by(Smtp.id)
        .with_for_update()
    )
    line = sorted(locked, key=lambda smtp: (smtp.priority, smtp.created, smtp.id))
    versions = {smtp.id: smtp.version for smtp in line}
    if any(versions.get(smtp_id) != version for smtp_id, version in seen.items()):
        raise EditConflict(Sentence("These SMTP servers were changed after you opened the page."))
    return line


def _renumber(line: list[AnyRow]) -> list[AnyRow]:
    """Assign priorities that put the SMTP servers into this order.

    This counts as an edit for open forms, but does not invalidate check results: the settings
    that a check tests stay the same.
    """
    changed = priorities.renumber(
        [priorities.Place(smtp.priority, smtp.created, smtp.id) for smtp in line]
    )
    if changed:
        # One statement and one parameter for any number: both databases can read JSON as a table
        name = "json_each" if db.engine.dialect.name == "sqlite" else "json_each_text"
        new = getattr(func, name)(literal(changed, JSON)).table_valued("key", "value", name="new")
        db.session.execute(
            update(Smtp)
            .where(Smtp.id == new.c.key)
            .values(priority=cast(new.c.value, Integer), version=Smtp.version + 1, modified=now()),
            execution_options={"synchronize_session": False},
        )
    return line


def find_for_update(user_id: str, smtp_id: str) -> Smtp:
    """Return the user's SMTP server in its current state, locked until this write ends."""
    smtp: Smtp | None = db.session.scalar(
        owned(user_id, smtp_id).with_for_update(of=Smtp),
        execution_options={"populate_existing": True},
    )
    if smtp is None:
        raise NotFound("SMTP")
    return smtp
