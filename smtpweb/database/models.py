"""The tables. A model knows only its own row: no queries, no rules, no network."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from flask_login import UserMixin
from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..mailcheck import Encryption, Outcome, Report, Stage, Step
from .rows import SmtpUser
from .session import Base, Sealed, UtcDateTime, now


def new_id() -> str:
    """A new id, as the API shows it: 24 lower-case hexadecimal digits."""
    return secrets.token_hex(12)


def encryption_of(starttls: bool, ssltls: bool) -> Encryption:
    """The encryption that two flags mean; implicit TLS wins if both are set, as in JavaMail."""
    if ssltls:
        return Encryption.IMPLICIT
    return Encryption.STARTTLS if starttls else Encryption.NONE


def hides_username(smtp: SmtpUser) -> bool:
    """Whether the user name of an ``Smtp``, or of a row with its columns, must not be shown."""
    return bool(smtp.username) and smtp.username_is_secret is not False


Id = Annotated[str, mapped_column(String(24), primary_key=True, default=new_id)]
Email = Annotated[str, mapped_column(String(254))]
Name = Annotated[str, mapped_column(String(200))]
Digest = Annotated[str, mapped_column(String(64))]  # SHA-256 in hexadecimal
Time = Annotated[datetime, mapped_column(UtcDateTime)]
Created = Annotated[datetime, mapped_column(UtcDateTime, default=now)]


class Installation(Base):
    """A single row. Opening its canary at start-up proves that the keys are the right ones."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True)
    canary: Mapped[str] = mapped_column(Sealed)
    created: Mapped[Created]


class User(Base, UserMixin):
    """An account. ``name_key`` is the name in comparable form, see ``validators.name_key``."""

    __tablename__ = "user"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    email: Mapped[Email]
    password_hash: Mapped[str] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str | None] = mapped_column(String(10))  # null: the browser decides
    created: Mapped[Created]
    modified: Mapped[Created]

    # The random id of the browser session; set by accounts.sessions.
    session_key = ""

    def get_id(self) -> str:
        """The id that Flask-Login puts into the cookie: the session's, so it can be revoked."""
        return self.session_key

    def __repr__(self) -> str:
        return f"<User {self.id}>"


class BrowserSession(Base):
    """A browser that is signed in. Only the digest of its random id is stored."""

    __tablename__ = "browser_session"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created: Mapped[Created]
    seen: Mapped[Created]

    user: Mapped[User] = relationship()


class ApiToken(Base):
    """A bearer token, personal or from signing in (24 hours). Only its digest is stored."""

    __tablename__ = "api_token"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[Digest] = mapped_column(unique=True)
    personal: Mapped[bool]
    label: Mapped[Name]
    scopes: Mapped[str] = mapped_column(String(100))  # separated by spaces
    created: Mapped[Created]
    expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def __repr__(self) -> str:
        return f"<ApiToken {self.id}>"


class FailedLogin(Base):
    """A failed sign-in, kept as long as it counts against further attempts."""

    __tablename__ = "failed_login"
    __table_args__ = (Index(None, "account", "network", "at"), Index(None, "network", "at"))

    id: Mapped[Id]
    account: Mapped[Digest]
    network: Mapped[str] = mapped_column(String(50))
    at: Mapped[Created]


class StartedWork(Base):
    """A check or a search that counts against its user's limits.

    No operation of its user removes it. It counts as under way until ``until`` at the latest, so
    one whose worker died expires. The ``id`` of a check is that of its ``Check``.
    """

    __tablename__ = "started_work"
    __table_args__ = (Index(None, "user_id", "kind", "started"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))
    started: Mapped[Created]
    until: Mapped[Time]


class App(Base):
    """An application that sends email, with the address that its test emails go to."""

    __tablename__ = "app"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    testemail: Mapped[Email]
    defaultfromemail: Mapped[Email | None]
    defaultfromname: Mapped[Name | None]
    strategy: Mapped[str] = mapped_column(String(10), default="RANDOM")
    # Kept for clients that send them; smtpweb itself does not send the apps' email.
    timebetweenemails: Mapped[int] = mapped_column(default=60)  # seconds
    retaindata: Mapped[bool] = mapped_column(default=False)
    useblacklist: Mapped[bool] = mapped_column(default=False)
    useautoblacklist: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)
    created: Mapped[Created]
    modified: Mapped[Created]

    smtps: Mapped[list[Smtp]] = relationship(
        back_populates="app",
        passive_deletes=True,
        order_by=lambda: (Smtp.priority, Smtp.created, Smtp.id),
    )


class Smtp(Base):
    """An SMTP server of an app. Edits raise ``version``, checks do not.

    ``settings_version`` is the version of the last edit that was more than reordering: the outcome
    of a check that began at it or later applies to the current settings. ``judged``: there is such
    an outcome. ``uncheckable``: the code of the reason why the server cannot be checked (no From
    address, refused by the egress policy, a cause on our side), or null.
    """

    __tablename__ = "smtp"
    __table_args__ = (Index(None, "app_id", "priority", "created"),)

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    priority: Mapped[int] = mapped_column(default=10)
    host: Mapped[str] = mapped_column(String(253))
    port: Mapped[int]
    username: Mapped[str | None] = mapped_column(String(1024))
    password_sealed: Mapped[str | None] = mapped_column(Sealed)
    # The user name is also the password, such as a token of Postmark. Null: not known yet.
    username_is_secret: Mapped[bool | None] = mapped_column(default=False)
    # Codes of what is likely to be wrong with the password, see ``providers.credentials``. Null:
    # there is none, or it is not known yet.
    password_findings: Mapped[str | None] = mapped_column(String(200))
    auth: Mapped[bool] = mapped_column(default=False)
    # It signs in with access tokens: there is a row in ``smtp_oauth``, and no password.
    uses_oauth: Mapped[bool] = mapped_column(default=False)
    starttls: Mapped[bool] = mapped_column(default=False)
    ssltls: Mapped[bool] = mapped_column(default=False)
    debug: Mapped[bool] = mapped_column(default=False)
    defaultfromemail: Mapped[Email | None]
    defaultfromname: Mapped[Name | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    numerrors: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    settings_version: Mapped[int] = mapped_column(default=1)
    judged: Mapped[bool] = mapped_column(default=False)
    uncheckable: Mapped[str | None] = mapped_column(String(80))
    # The lease of a running check (docs/decisions/0002); null: no check is under way.
    checking_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created: Mapped[Created]
    modified: Mapped[Created]

    app: Mapped[App] = relationship(back_populates="smtps")
    checks: Mapped[list[Check]] = relationship(
        back_populates="smtp", passive_deletes=True, order_by=lambda: Check.started.desc()
    )

    @property
    def hides_username(self) -> bool:
        """Whether its user name must not be shown; true if that is not known yet."""
        return hides_username(self)

    @property
    def lacks_notes(self) -> bool:
        """Whether something of its credentials is not known yet that is kept beside them."""
        lacks_findings = self.password_sealed is not None and self.password_findings is None
        return self.username_is_secret is None or lacks_findings

    @property
    def shown_username(self) -> str | None:
        """The user name, unless it is as secret as the password."""
        return None if self.hides_username else self.username

    @property
    def encryption(self) -> Encryption:
        """The encryption that its two flags mean."""
        return encryption_of(self.starttls, self.ssltls)

    def __repr__(self) -> str:
        return f"<Smtp {self.id}>"


class IdempotencyKey(Base):
    """What a request with this key created. Digests are keyed, see ``registry.idempotency``."""

    __tablename__ = "idempotency_key"

    digest: Mapped[Digest] = mapped_column(primary_key=True)  # of user, call and key
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    content_digest: Mapped[Digest]
    created_id: Mapped[str] = mapped_column(String(24))  # of an app or SMTP server, even if removed
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


class Check(Base):
    """A check of an SMTP server. ``finished`` null: still under way, or interrupted."""

    __tablename__ = "check"
    __table_args__ = (
        Index(None, "smtp_id", "started"),
        Index(None, "user_id", "started"),
        Index(None, "started"),  # for removing the oldest
        # The metrics of a day are read from this index alone: rows are large.
        Index(None, "finished", "accepted", "stage"),
    )

    id: Mapped[Id]
    smtp_id: Mapped[str] = mapped_column(ForeignKey("smtp.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    smtp_version: Mapped[int]
    started: Mapped[Created]
    ends_by: Mapped[Time]
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted: Mapped[bool | None]
    # Whether the outcome changed the SMTP server: false if it was edited during the check, or if
    # the cause was on our side.
    applied: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str | None] = mapped_column(String(20))
    code: Mapped[str | None] = mapped_column(String(80))
    title: Mapped[str | None] = mapped_column(String(500))
    # What the texts of the cause name; null in checks of before it was kept, which have only text.
    facts: Mapped[dict[str, str] | None] = mapped_column(JSON)
    report_json: Mapped[dict[str, Any] | None] = mapped_column("report", JSON)
    # The steps so far of a check that is being followed, for whichever worker shows it.
    progress: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    # The digest of the one-time link in the test email by which its reader confirms the arrival.
    arrival_digest: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    arrived: Mapped[datetime | None] = mapped_column(UtcDateTime)

    smtp: Mapped[Smtp] = relationship(back_populates="checks")
    user: Mapped[User | None] = relationship()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every stage in order, from the report or from the progress so far."""
        report = self.report
        return report.steps if report else steps_of(self.progress)

    @property
    def report(self) -> Report | None:
        """The outcome, or None while there is none."""
        return Report.from_dict(self.report_json) if self.report_json else None


class CheckQueue(Base):
    """The SMTP servers of an app that are to be checked one after the other; one queue per user.

    The process that works on it extends ``alive_until``; when that has passed, any other process
    may take it over. ``waits_until``: a limit forbids to start a check earlier.
    """

    __tablename__ = "check_queue"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    owner: Mapped[str] = mapped_column(String(24))  # random id of the thread that works on it
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"), index=True)
    since: Mapped[Time]
    smtp_ids: Mapped[list[str]] = mapped_column(JSON)
    alive_until: Mapped[Time]
    waits_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FormDraft(Base):
    """The values of a form whose session had ended, kept for minutes for the same user.

    ``sealed`` holds them as JSON, without passwords, sealed for this row's id.
    """

    __tablename__ = "form_draft"
    __table_args__ = (UniqueConstraint("user_id", "path"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(200))
    sealed: Mapped[str] = mapped_column(Sealed)
    created: Mapped[Created]


def steps_of(progress: list[dict[str, Any]] | None) -> tuple[Step, ...]:
    """The progress of a check as steps, one for every stage in order."""
    reached = {
        step["stage"]: Step(Stage(step["stage"]), Outcome(step["outcome"]), step["milliseconds"])
        for step in progress or ()
    }
    return tuple(reached.get(stage) or Step(stage, Outcome.NOT_REACHED) for stage in Stage)
