"""What is registered of an SMTP: save, find, put in order, remove; ``checks`` does the rest.

Every query starts from the owner, and what is somebody else's is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypedDict

from sqlalchemy import JSON, Integer, Select, and_, cast, func, literal, select, update

from .. import installation
from ..accounts import tokens
from ..accounts.ownership import may_see_app, owner_id, visible_smtps
from ..config import settings
from ..database.models import ApiToken, App, Smtp, new_id
from ..database.session import AnyRow, AnySelect, db, fetch, now, writing
from ..errors import BadInput, EditConflict, NotFound, QuotaReached, SecretUnreadable, Sentence
from ..mailcheck.core.addresses import parse_host
from ..providers import preflight, presets
from ..providers.settings import Warning
from . import apps, checkability, priorities, schedule, status
from .idempotency import Once, claim
from .status import Reason


class SmtpChanges(TypedDict, total=False):
    """What is to be said of an SMTP; on an edit, what is left out stays as it is.

    ``password`` None removes the stored one.
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


# --- find ----------------------------------------------------------------------------------


def owned(user_id: str, smtp_id: str) -> Select[Smtp]:
    """Select the SMTP, with its app, if it is in an app of this user's."""
    return visible_smtps(user_id).where(Smtp.id == smtp_id)


def find(user_id: str, smtp_id: str) -> Smtp:
    """The user's SMTP; raises :class:`NotFound`."""
    smtp = db.session.scalar(owned(user_id, smtp_id))
    if smtp is None:
        raise NotFound("SMTP")
    return smtp


def with_owners(
    *, smtp_id: str | None = None, app_id: str | None = None
) -> Sequence[tuple[str, str, str]]:
    """(id, owner's id, "host:port") of all SMTPs, of an app's, or of one: for the administrator."""
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
    "certificate_until",
    "good_facts",
)  # not told by the API
_COLUMNS = tuple(column for column in Smtp.__table__.columns if column.name not in _OURS)


def rows_by_app(digest: str, app_id: str) -> Sequence[AnyRow]:
    """Token, app and its SMTPs in one statement: no row without a good token.

    ``app_found`` is null where the token's owner has no such app, ``id`` where it has no SMTP.
    """
    return fetch(
        _token_and_app(digest, App.id == app_id)
        .outerjoin(Smtp, Smtp.app_id == App.id)
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
    )


def rows_by_id(digest: str, smtp_id: str) -> Sequence[AnyRow]:
    """Token and SMTP in one statement; ``app_found`` is null where the owner has no such SMTP."""
    mine = select(Smtp.app_id).where(Smtp.id == smtp_id).scalar_subquery()
    return fetch(
        _token_and_app(digest, App.id == mine).outerjoin(
            Smtp, and_(Smtp.app_id == App.id, Smtp.id == smtp_id)
        )
    )


def _token_and_app(digest: str, which: Any) -> AnySelect:
    return (
        tokens.token_rows(digest)
        .add_columns(App.id.label("app_found"), App.defaultfromemail.label("app_sender"), *_COLUMNS)
        .select_from(ApiToken)
        .outerjoin(App, and_(may_see_app(ApiToken.user_id), which))
    )


def open_password(smtp: Any) -> str | None:
    """The password of an SMTP or of a row of one; raises :class:`SecretUnreadable`."""
    if smtp.password_sealed is None:
        return None
    return installation.secret_box().open(smtp.id, smtp.password_sealed)


def judge(smtp: Any, app_sender: str | None) -> tuple[str | None, tuple[Warning, ...]]:
    """The password of an SMTP or of a row of one, and what is likely to fail of it as stored.

    Nothing of that is stored, because what providers want changes.
    """
    password, unreadable = None, []
    try:
        password = open_password(smtp)
    except SecretUnreadable as error:  # one bad row must not hide the others
        text = Sentence(error.title)
        unreadable = [Warning("password", "PASSWORD_UNREADABLE", text)]
    found = preflight.warnings(checkability.settings_of(smtp, app_sender, password or ""))
    return password, (*unreadable, *found)


# --- save and remove -----------------------------------------------------------------------


def save(
    user_id: str,
    app_id: str,
    changes: SmtpChanges,
    smtp_id: str | None = None,
    *,
    version: int | None = None,
    once: Once | None = None,
) -> Smtp:
    """Create an SMTP in the app (host and port needed), or edit the one with this id there.

    ``version``: refuse with :class:`EditConflict` unless the SMTP is still at it. ``once``: where
    the same request created an SMTP before, give that. Raises :class:`NotFound`,
    :class:`BadInput`, :class:`QuotaReached` and, with ``once``, :class:`KeyReused`.
    """
    with writing() as session:
        app = apps.find_to_fill(user_id, app_id)
        is_edit = smtp_id is not None
        if smtp_id is None:
            smtp_id = new_id()
            if once is not None:
                content = {"app_id": app.id} | changes
                first_id = claim(user_id, once, "smtps/save", content, smtp_id)
                if first_id != smtp_id:
                    return find(user_id, first_id)
            _refuse_too_many(app)
            moment = now()
            smtp = Smtp(
                id=smtp_id, app_id=app.id, priority=10, auth=False, starttls=False, ssltls=False,
                debug=False, version=0, created=moment, modified=moment,
            )  # fmt: skip
            session.add(smtp)
        else:
            smtp = find_for_update(user_id, smtp_id)
            if smtp.app_id != app.id:
                raise NotFound("SMTP")
            if version is not None and smtp.version != version:
                raise EditConflict(Sentence("This SMTP was changed after you opened the form."))
            smtp.modified = now()
        before = _destination(smtp)
        hid_username = smtp_id is not None and smtp.hides_username
        for name, value in changes.items():
            if name != "password":
                setattr(smtp, name, value)
        moved = _destination(smtp) != before
        if moved:
            smtp.certificate_until = None  # of another server
        if moved and hid_username and smtp.auth and "username" not in changes:
            _refuse_to_move_name()
        _settle_password(smtp, changes, moved=moved)
        if moved or "password" in changes or smtp.username_is_secret is None:
            smtp.username_is_secret = _is_secret_name(smtp)
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
    """Refuse one more SMTP server in the app than ``SMTPWEB_MAX_SMTPS``."""
    most = settings().max_smtps
    if not most:
        return
    # One at a time counts: others wait here until the one before them is there to be counted.
    db.session.execute(select(App.id).where(App.id == app.id).with_for_update(key_share=True))
    if (db.session.scalar(select(func.count()).where(Smtp.app_id == app.id)) or 0) >= most:
        raise QuotaReached(
            Sentence("An app may have at most %(number)s SMTP servers here.", number=most)
        )


def _destination(smtp: Smtp) -> tuple[Any, ...]:
    """Where a stored password goes, and how.

    starttls and auth count too: without them it would travel in clear, or to another use. Hosts
    of before version 0.2 may be stored in another spelling than the one that is looked up.
    """
    try:
        host = parse_host(smtp.host or "").name
    except ValueError:
        host = smtp.host
    return (host, smtp.port, smtp.username, smtp.auth, smtp.starttls, smtp.ssltls)


def _settle_password(smtp: Smtp, changes: SmtpChanges, *, moved: bool) -> None:
    """Seal a new password, or keep the stored one if it still goes to where it was entered for.

    Without authentication none is needed, and one that was stored for other settings is
    forgotten: nothing could say later what it was entered for.
    """
    errors: dict[str, list[str]] = {}
    if smtp.auth and not smtp.username:
        errors["username"] = [Sentence("Required when auth is true.")]
    if "password" in changes:
        password = changes["password"]
        if smtp.auth and not password:
            errors["password"] = [Sentence("Required when auth is true.")]
        else:
            box = installation.secret_box()
            smtp.password_sealed = None if password is None else box.seal(smtp.id, password)
    elif smtp.password_sealed and moved and not smtp.auth:
        smtp.password_sealed = None
    elif smtp.password_sealed and moved:
        errors["password"] = [
            Sentence(
                "Enter the password again: host, port, login or encryption changed, and a stored"
                " password is only sent to where it was entered for."
            )
        ]
    elif smtp.auth and not smtp.password_sealed:
        errors["password"] = [Sentence("Required when auth is true.")]
    if errors:
        raise BadInput(errors)


def _refuse_to_move_name() -> None:
    raise BadInput(
        {
            "username": [
                Sentence(
                    "Enter the user name again: it is as secret as the password, and only sent to"
                    " where it was entered for."
                )
            ]
        }
    )


def _is_secret_name(smtp: Smtp) -> bool | None:
    try:
        return presets.is_secret_name(smtp.host, smtp.username, open_password(smtp))
    except SecretUnreadable:
        return None


def remove(user_id: str, smtp_id: str) -> None:
    """Remove the SMTP and its history; raises :class:`NotFound`."""
    with writing() as session:
        session.delete(find_for_update(user_id, smtp_id))


# --- put in order --------------------------------------------------------------------------


def reorder(user_id: str, app_id: str, seen: Mapping[str, int]) -> list[AnyRow]:
    """Let these SMTPs take, in the order of ``seen``, the places that they have now in the app.

    ``seen``: the version at which each of them was shown. Returns all SMTPs of the app in their
    new order, as rows (id, host, port, priority, created, version) of before. Raises
    :class:`EditConflict` unless all are still at the version seen, and :class:`NotFound`.
    """
    with writing():
        line = _line(user_id, app_id, seen)
        by_id = {smtp.id: smtp for smtp in line}
        turn = iter(seen)
        return _renumber([by_id[next(turn)] if smtp.id in seen else smtp for smtp in line])


def move(
    user_id: str, app_id: str, seen: Mapping[str, int], smtp_id: str, step: int
) -> list[AnyRow]:
    """Move an SMTP of ``seen`` by so many places among all of its app; else as :func:`reorder`."""
    with writing():
        line = _line(user_id, app_id, seen)
        here = next(index for index, smtp in enumerate(line) if smtp.id == smtp_id)
        there = min(max(here + step, 0), len(line) - 1)
        line.insert(there, line.pop(here))
        return _renumber(line)


def _line(user_id: str, app_id: str, seen: Mapping[str, int]) -> list[AnyRow]:
    """All SMTPs of the app in the order of their use, locked; refuses what was seen too early."""
    # One at a time changes the order; SMTPs may be added meanwhile, as they stand nowhere yet.
    if db.session.scalar(apps.owned(user_id, app_id).with_for_update(key_share=True)) is None:
        raise NotFound("App")
    # Rows, not entities: there may be ten thousand, of which a few are changed.
    locked = db.session.execute(
        select(Smtp.id, Smtp.host, Smtp.port, Smtp.priority, Smtp.created, Smtp.version)
        .where(Smtp.app_id == app_id)
        .order_by(Smtp.id)
        .with_for_update()
    )
    line = sorted(locked, key=lambda smtp: (smtp.priority, smtp.created, smtp.id))
    versions = {smtp.id: smtp.version for smtp in line}
    if any(versions.get(smtp_id) != version for smtp_id, version in seen.items()):
        raise EditConflict(Sentence("These SMTPs were changed after you opened the page."))
    return line


def _renumber(line: list[AnyRow]) -> list[AnyRow]:
    """Give priorities that put the SMTPs into this order.

    That is an edit to whoever has a form open, but not to a check: it tests the same as before.
    """
    changed = priorities.renumber(
        [priorities.Place(smtp.priority, smtp.created, smtp.id) for smtp in line]
    )
    if changed:
        # One statement and one parameter, however many: a JSON object is a table to both databases
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
    """The user's SMTP as it is now, locked until the end of this write."""
    smtp: Smtp | None = db.session.scalar(
        owned(user_id, smtp_id).with_for_update(of=Smtp),
        execution_options={"populate_existing": True},
    )
    if smtp is None:
        raise NotFound("SMTP")
    return smtp
