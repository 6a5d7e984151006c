"""What can be done with an SMTP: save, find, find by app, remove, check.

Every query starts from the owner, and what is somebody else's is not found.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypedDict, cast

from flask import current_app
from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import contains_eager, defer, joinedload

from . import accounts, apps, installation, mailcheck, values
from .accounts import Caller
from .config import settings
from .errors import BadInput, Busy, EditConflict, NotFound, TooMany
from .mailcheck import Report, Side, Stage, Step, Target
from .models import ApiToken, App, Check, Smtp, User, new_id
from .store import AnyRow, AnySelect, db, fetch, now, writing

log = logging.getLogger(__name__)

CHECKS_PER_USER = 30
CHECK_WINDOW = timedelta(minutes=10)
CHECKS_AT_ONCE = 2
_LEASE_MARGIN = timedelta(seconds=5)  # beyond the deadline, for writing the outcome


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
    return (
        select(Smtp)
        .join(Smtp.app)
        .options(contains_eager(Smtp.app))
        .where(Smtp.id == smtp_id, App.user_id == user_id)
    )


def find(user_id: str, smtp_id: str) -> Smtp:
    """The user's SMTP; raises :class:`NotFound`."""
    smtp = db.session.scalar(owned(user_id, smtp_id))
    if smtp is None:
        raise NotFound("SMTP")
    return smtp


def find_by_app(app: App) -> list[tuple[Smtp, Check | None]]:
    """The SMTPs of an app in the order of their use, each with its last check."""
    newest = (
        select(Check.id)
        .where(Check.smtp_id == Smtp.id)
        .order_by(Check.started.desc(), Check.id)
        .limit(1)
        .correlate(Smtp)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(Smtp, Check)
        .outerjoin(Check, Check.id == newest)
        .options(defer(Check.report_json))
        .where(Smtp.app_id == app.id)
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
    )
    return [(smtp, check) for smtp, check in rows]


def with_owners(
    *, smtp_id: str | None = None, app_id: str | None = None
) -> Sequence[tuple[str, str, str]]:
    """(id, owner's id, "host:port") of all SMTPs, of an app's, or of one: for the administrator."""
    statement = (
        select(Smtp.id, App.user_id, Smtp.host, Smtp.port)
        .join(Smtp.app)
        .order_by(App.user_id, App.name, Smtp.priority, Smtp.created, Smtp.id)
    )
    if smtp_id is not None:
        statement = statement.where(Smtp.id == smtp_id)
    if app_id is not None:
        statement = statement.where(Smtp.app_id == app_id)
    return [(row.id, row.user_id, f"{row.host}:{row.port}") for row in fetch(statement)]


class Summary(NamedTuple):
    """How an app stands: ``in_use`` is its first active SMTP as host:port, if it has one."""

    total: int
    active: int
    in_use: str | None
    on_reserve: bool  # an SMTP that comes before the one in use is disabled


def summaries(app_ids: Sequence[str]) -> dict[str, Summary]:
    """How each of these apps stands, in one statement; apps without SMTPs are left out."""
    of_app = Smtp.app_id
    order = (Smtp.priority, Smtp.created, Smtp.id)
    ranked = (
        select(
            Smtp.app_id,
            Smtp.enabled,
            Smtp.host,
            Smtp.port,
            func.count().over(partition_by=of_app).label("total"),
            func.count().filter(Smtp.enabled).over(partition_by=of_app).label("active"),
            func.row_number().over(partition_by=of_app, order_by=order).label("place"),
            func.row_number()
            .over(partition_by=of_app, order_by=(Smtp.enabled.desc(), *order))
            .label("choice"),
        )
        .where(Smtp.app_id.in_(app_ids))
        .subquery()
    )
    return {
        row.app_id: Summary(
            row.total,
            row.active,
            f"{row.host}:{row.port}" if row.enabled else None,
            on_reserve=row.enabled and row.place > 1,
        )
        for row in db.session.execute(select(ranked).where(ranked.c.choice == 1))
    }


_COLUMNS = tuple(
    column for column in Smtp.__table__.columns if column.name not in ("version", "checking_until")
)


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
        accounts.token_rows(digest)
        .add_columns(App.id.label("app_found"), *_COLUMNS)
        .select_from(ApiToken)
        .outerjoin(App, and_(App.user_id == ApiToken.user_id, which))
    )


def open_password(smtp: Any) -> str | None:
    """The password of an SMTP or of a row of one; raises :class:`SecretUnreadable`."""
    if smtp.password_sealed is None:
        return None
    return installation.secret_box().open(smtp.id, smtp.password_sealed)


# --- save and remove -----------------------------------------------------------------------


def save(
    user_id: str,
    app_id: str,
    changes: SmtpChanges,
    smtp_id: str | None = None,
    *,
    version: int | None = None,
) -> Smtp:
    """Create an SMTP in the app (host and port needed), or edit the one with this id there.

    ``version``: refuse with :class:`EditConflict` unless the SMTP is still at it. Raises
    :class:`NotFound` and :class:`BadInput`.
    """
    with writing() as session:
        app = apps.find(user_id, app_id)
        if smtp_id is None:
            moment = now()
            smtp = Smtp(
                id=new_id(), app_id=app.id, priority=10, auth=False, starttls=False, ssltls=False,
                debug=False, version=0, created=moment, modified=moment,
            )  # fmt: skip
            session.add(smtp)
        else:
            smtp = _for_update(user_id, smtp_id)
            if smtp.app_id != app.id:
                raise NotFound("SMTP")
            if version is not None and smtp.version != version:
                raise EditConflict("This SMTP was changed after you opened the form.")
            smtp.modified = now()
        before = _destination(smtp)
        for name, value in changes.items():
            if name != "password":
                setattr(smtp, name, value)
        _settle_password(smtp, changes, moved=_destination(smtp) != before)
        smtp.version += 1
        return smtp


def _destination(smtp: Smtp) -> tuple[Any, ...]:
    """Where a stored password goes, and how.

    starttls and auth count too: without them it would travel in clear, or to another use.
    """
    return (smtp.host, smtp.port, smtp.username, smtp.auth, smtp.starttls, smtp.ssltls)


def _settle_password(smtp: Smtp, changes: SmtpChanges, *, moved: bool) -> None:
    """Seal a new password, or keep the stored one if it still goes to where it was entered for."""
    errors: dict[str, list[str]] = {}
    if smtp.auth and not smtp.username:
        errors["username"] = ["Required when auth is true."]
    if "password" in changes:
        password = changes["password"]
        if smtp.auth and not password:
            errors["password"] = ["Required when auth is true."]
        else:
            box = installation.secret_box()
            smtp.password_sealed = None if password is None else box.seal(smtp.id, password)
    elif smtp.password_sealed and moved:
        errors["password"] = [
            "Enter the password again: host, port, login or encryption changed, and a stored"
            " password is only sent to where it was entered for."
        ]
    elif smtp.auth and not smtp.password_sealed:
        errors["password"] = ["Required when auth is true."]
    if errors:
        raise BadInput(errors)


def remove(user_id: str, smtp_id: str) -> None:
    """Remove the SMTP and its history; raises :class:`NotFound`."""
    with writing() as session:
        session.delete(_for_update(user_id, smtp_id))


def _for_update(user_id: str, smtp_id: str) -> Smtp:
    smtp = db.session.scalar(
        owned(user_id, smtp_id).with_for_update(of=Smtp),
        execution_options={"populate_existing": True},
    )
    if smtp is None:
        raise NotFound("SMTP")
    return smtp


# --- check ---------------------------------------------------------------------------------


def check(
    caller: Caller,
    smtp_id: str,
    *,
    watch: Callable[[Step], None] | None = None,
    limited: bool = True,
) -> Check:
    """Send a real test mail through the SMTP, keep the outcome, enable or disable the SMTP.

    Raises :class:`NotFound`, :class:`Busy` and :class:`TooMany`. No transaction and no
    connection is held while we wait for the network.
    """
    slots = cast(threading.BoundedSemaphore, current_app.extensions["smtpweb.check_slots"])
    if not slots.acquire(blocking=False):
        raise Busy("Too many checks are under way: nothing was changed.", retry_after=5)
    try:
        begun, target = _begin(caller, smtp_id, limited)
        try:
            report = target if isinstance(target, Report) else mailcheck.check(target, watch)
        except BaseException:
            _release(begun)  # our bug: the check stays without an outcome, which says so
            raise
        log.info(
            "check %s of %s:%s by %s: %s at %s", begun.id, report.host, report.port,
            caller.user_id, report.code, report.stage,
        )  # fmt: skip
        return _finish(begun, report)
    finally:
        slots.release()


def _begin(caller: Caller, smtp_id: str, limited: bool) -> tuple[Check, Target | Report]:
    """Claim the SMTP and read all that the check needs, in one transaction."""
    moment = now()
    ends_by = moment + timedelta(seconds=settings().check_timeout) + _LEASE_MARGIN
    with writing() as session:
        smtp = _for_update(caller.user_id, smtp_id)
        if smtp.checking_until and smtp.checking_until > moment:
            raise Busy(
                "A check of this SMTP is under way.",
                retry_after=int((smtp.checking_until - moment).total_seconds()) + 1,
            )
        if limited:
            _refuse_too_many(caller.user_id)
        target = _target(smtp)  # may find the password unreadable: before anything is written
        begun = Check(
            smtp_id=smtp.id,
            user_id=caller.user_id,
            smtp_version=smtp.version,
            started=moment,
            ends_by=ends_by,
        )
        smtp.checking_until = ends_by
        session.add(begun)
    return begun, target


def _refuse_too_many(user_id: str) -> None:
    """Checks send mail and reach out into the network: each user has a share of them."""
    moment = now()
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    recent, oldest, under_way = db.session.execute(
        select(
            func.count(),
            func.min(Check.started),
            func.count().filter(Check.finished.is_(None), Check.ends_by > moment),
        ).where(Check.user_id == user_id, Check.started > moment - CHECK_WINDOW)
    ).one()
    if under_way >= CHECKS_AT_ONCE:
        raise TooMany(f"You have {under_way} checks under way: wait for one of them.", 5)
    if recent >= CHECKS_PER_USER:
        wait = int((oldest + CHECK_WINDOW - moment).total_seconds()) + 1
        minutes = int(CHECK_WINDOW.total_seconds() // 60)
        raise TooMany(f"At most {CHECKS_PER_USER} checks in {minutes} minutes.", wait)


def _target(smtp: Smtp) -> Target | Report:
    """What to check, as plain values; or the report where it need not be tried."""
    app, config = smtp.app, settings()
    mail_from = smtp.defaultfromemail or app.defaultfromemail or _as_address(smtp.username)
    if not mail_from:
        return Report(
            accepted=False,
            stage=Stage.POLICY,
            code="SMTP_POLICY_NO_FROM",
            title="No From address: set a default From email for this SMTP or its app",
            meaning="The test mail has no sender: neither the SMTP nor its app has a default From,"
            " and the SMTP's user name is not a mail address. Nothing was sent.",
            advice=(
                "Set the default From email of this SMTP or of its app, to an address that the"
                " SMTP server lets you send from.",
                "Check again.",
            ),
            temporary=False,
            side=Side.SETTINGS,
            host=smtp.host,
            port=smtp.port,
            rcpt_to=app.testemail,
        )
    return Target(
        host=smtp.host,
        port=smtp.port,
        mail_from=mail_from,
        rcpt_to=app.testemail,
        encryption=smtp.encryption,
        auth=smtp.auth,
        username=smtp.username or "",
        password=open_password(smtp) or "",
        from_name=smtp.defaultfromname or app.defaultfromname or "",
        ehlo_name=config.ehlo_name,
        timeout=float(config.check_timeout),
        policy=config.egress,
        ca_file=config.ca_file,
    )


def _as_address(username: str | None) -> str | None:
    try:
        return values.email(username or "")
    except ValueError:
        return None


def _finish(begun: Check, report: Report) -> Check:
    """Keep the outcome, and let it decide about the SMTP unless that was edited meanwhile."""
    with writing() as session:
        smtp = _claimed(begun)
        if smtp is None:
            raise NotFound("SMTP")  # removed meanwhile, and its checks with it
        session.add(begun)
        begun.finished = now()
        begun.accepted = report.accepted
        begun.stage, begun.code, begun.title = report.stage, report.code, report.title
        begun.report_json = report.to_dict()
        begun.applied = smtp.version == begun.smtp_version and not report.refused_by_policy
        if begun.applied:
            smtp.enabled = report.accepted
            smtp.numerrors = 0 if report.accepted else smtp.numerrors + 1
        if smtp.checking_until == begun.ends_by:
            smtp.checking_until = None
    return begun


def _release(begun: Check) -> None:
    with writing():
        smtp = _claimed(begun)
        if smtp and smtp.checking_until == begun.ends_by:
            smtp.checking_until = None


def _claimed(begun: Check) -> Smtp | None:
    return db.session.scalar(
        select(Smtp).where(Smtp.id == begun.smtp_id).with_for_update(),
        execution_options={"populate_existing": True},
    )


def find_check(user_id: str, check_id: str) -> Check:
    """One check with its SMTP and app; raises :class:`NotFound`."""
    found = db.session.scalar(
        select(Check)
        .join(Check.smtp)
        .join(Smtp.app)
        .options(contains_eager(Check.smtp).contains_eager(Smtp.app), joinedload(Check.user))
        .where(Check.id == check_id, App.user_id == user_id)
    )
    if found is None:
        raise NotFound("Check")
    return found


def history(smtp: Smtp, page: int, size: int) -> tuple[list[Check], int]:
    """One page of the SMTP's checks, newest first (``page`` from 0), and how many there are."""
    total = db.session.scalar(select(func.count()).where(Check.smtp_id == smtp.id)) or 0
    checks = db.session.scalars(
        select(Check)
        .where(Check.smtp_id == smtp.id)
        .options(joinedload(Check.user), defer(Check.report_json))
        .order_by(Check.started.desc(), Check.id)
        .offset(page * size)
        .limit(size)
    )
    return list(checks), total
