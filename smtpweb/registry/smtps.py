"""SMTP servers as registered: save, find, remove; ``checking`` does the rest.

Every query starts from the owner, and other users' servers are not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TypedDict

from sqlalchemy import (
    Select,
    func,
    select,
)

from .. import installation
from ..accounts.ownership import is_kept, owner_id, visible_smtps
from ..config import settings
from ..database.insertion import insert_now, refer
from ..database.models import App, Smtp, new_id
from ..database.rows import SmtpPassword, SmtpSettings
from ..database.secret_box import SecretBox
from ..database.session import db, fetch, now, writing
from ..errors import EditConflict, NotFound, QuotaReached, SecretUnreadable, Sentence
from ..providers import credentials
from ..providers.settings import Warning
from . import (
    apps,
    checkability,
    connection,
    destination,
    fields,
    grants,
    names,
    passwords,
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
    name: str | None
    note: str | None
    tags: str | None
    passwordexpires: datetime | None
    mechanism: str | None
    ehloname: str | None
    envelopefrom: str | None
    sourceaddress: str | None
    cacertificates: str | None
    certificatepin: str | None
    clientcertificate: str | None
    clientkey: str | None


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
    """Return (id, owner's id, name) of all servers, an app's, or one: for administrators."""
    statement = (
        select(Smtp.id, owner_id.label("owner_id"), *names.COLUMNS)
        .join(Smtp.app)
        .where(is_kept)
        .order_by(owner_id, App.name, Smtp.priority, Smtp.created, Smtp.id)
    )
    if smtp_id is not None:
        statement = statement.where(Smtp.id == smtp_id)
    if app_id is not None:
        statement = statement.where(Smtp.app_id == app_id)
    return [(row.id, row.owner_id, names.with_address(row)) for row in fetch(statement)]


def open_password(smtp: SmtpPassword, box: SecretBox | None = None) -> str | None:
    """Return the password of an SMTP server or row; raise :class:`SecretUnreadable`.

    ``box``: :func:`.installation.secret_box`, for callers that open many.
    """
    if smtp.password_sealed is None:
        return None
    return (box or installation.secret_box()).open(smtp.id, smtp.password_sealed)


def warnings_of(smtp: SmtpSettings, app_sender: str | None) -> tuple[Warning, ...]:
    """Return what is likely to fail with a stored SMTP server or row, without decrypting it."""
    return warnings_finder(app_sender)(smtp)


def warnings_finder(app_sender: str | None) -> Callable[[SmtpSettings], tuple[Warning, ...]]:
    """Return :func:`warnings_of` for the SMTP servers of one app in one request."""
    find = checkability.warnings_finder(app_sender)
    box = installation.secret_box()

    def finder(smtp: SmtpSettings) -> tuple[Warning, ...]:
        found, sealed = find(smtp), smtp.password_sealed
        return found if sealed is None or box.has_key_of(sealed) else with_unreadable(found)

    return finder


def has_key_of_password(smtp: SmtpPassword) -> bool:
    """Check whether a key exists for the password, if any; do not try to open it."""
    sealed = smtp.password_sealed
    return sealed is None or installation.secret_box().has_key_of(sealed)


def with_unreadable(found: tuple[Warning, ...]) -> tuple[Warning, ...]:
    """Return these warnings, and that the password cannot be read, instead of others about it."""
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
    keep_password: bool = False,
) -> Smtp:
    """Create an SMTP server in the app (host and port required), or edit the one with this id.

    ``oauth``: how to get access tokens, if it signs in with them; left out, that stays as it is.
    ``version``: refuse with :class:`EditConflict` unless the server still has this version.
    ``once``: if the same request has already created a server, return that one.
    ``keep_password``: its user wants to, if :func:`.destination.is_proven`. Raises
    :class:`NotFound`, :class:`BadInput`, :class:`QuotaReached` and, with ``once``,
    :class:`KeyReused`.
    """
    changes = connection.without_automatic(changes)
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
            refuse_too_many(app)
            moment = now()
            smtp = Smtp(
                id=smtp_id, app_id=app.id, version=0, created=moment, modified=moment,
                **fields.defaults(fields.SMTP),
            )  # fmt: skip
            refer(smtp, "app", app)
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
        if moved and keep_password and destination.is_proven(smtp, changes):
            if fate is Fate.NEEDED_AGAIN:
                fate, moved = Fate.KEPT, False
            moved = moved and not destination.trusts_seen_key(smtp, changes)
        hid_username = smtp.hides_username
        only_labels = is_edit and _changes_only_labels(smtp, changes)
        for name, value in changes.items():
            if not fields.SMTP[name].secret:
                setattr(smtp, name, value)
        keeps_hidden_name = hid_username and "username" not in changes
        if keeps_hidden_name and moved:
            if smtp.auth:
                passwords.refuse_to_move_name()
            smtp.username, keeps_hidden_name = None, False  # forgotten like the password
        passwords.settle(smtp, changes, Fate.FORGOTTEN if smtp.uses_oauth else fate)
        connection.settle(smtp, changes, moved=moved)
        if had_oauth or smtp.uses_oauth:
            if not is_edit:
                insert_now(smtp)  # the grant refers to it
            only_labels &= not grants.settle(smtp, oauth, moved=moved)
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
        if only_labels:
            return smtp  # the results of checks still apply
        edited = status.changing(smtp, Reason.EDITED, by=user_id) if is_edit else nullcontext()
        with edited:
            smtp.settings_version, smtp.judged = smtp.version, False
            smtp.degraded_since = None
            smtp.uncheckable = checkability.prevented_by(smtp, app.defaultfromemail)
        if not is_edit and not smtp.uses_oauth:
            insert_now(smtp)
        session.flush()
        schedule.plan(smtp, app, is_new=not is_edit)
        return smtp


def _changes_only_labels(smtp: Smtp, changes: SmtpChanges) -> bool:
    """Whether an edit changes how a server is called, and nothing that a check tests."""
    changed = {
        name
        for name, value in changes.items()
        if fields.SMTP[name].secret or value != getattr(smtp, name)
    }
    return bool(changed) and changed <= fields.LABELS


def refuse_too_many(app: App) -> None:
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


def find_for_update(user_id: str, smtp_id: str) -> Smtp:
    """Return the user's SMTP server in its current state, locked until this write ends."""
    smtp: Smtp | None = db.session.scalar(
        owned(user_id, smtp_id).with_for_update(of=Smtp),
        execution_options={"populate_existing": True},
    )
    if smtp is None:
        raise NotFound("SMTP")
    return smtp
