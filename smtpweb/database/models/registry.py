"""Tables of registered apps and their SMTP servers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from ...mailcheck import Encryption
from ...mailcheck.core.trust import expires
from ..rows import SmtpUser
from ..session import Base, Sealed, UtcDateTime, now
from .columns import Created, Digest, Email, Id, Name, only_where

if TYPE_CHECKING:
    from .accounts import User
    from .checking import Check
    from .oauth import SmtpOauth


def encryption_of(starttls: bool, ssltls: bool) -> Encryption:
    """Return the encryption for the two flags; implicit TLS wins if both are set (JavaMail)."""
    if ssltls:
        return Encryption.IMPLICIT
    return Encryption.STARTTLS if starttls else Encryption.NONE


def hides_username(smtp: SmtpUser) -> bool:
    """Check if the user name of an ``Smtp``, or of a row with its columns, must not be shown."""
    return bool(smtp.username) and smtp.username_is_secret is not False


def _sort_name_of_row(context: DefaultExecutionContext) -> str:
    """The ``sort_name`` of an app that is inserted as a row, without its model."""
    name: str = context.get_current_parameters()["name"]  # type: ignore[no-untyped-call]
    return name.lower()


# The condition of the index of SMTP servers with a problem; the states are in registry/states.py.
HAS_PROBLEM = "off_since IS NULL AND (NOT enabled OR uncheckable IS NOT NULL)"


class App(Base):
    """An application that sends email, with the address that its test emails go to."""

    __tablename__ = "app"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        Index(None, "user_id", "sort_name", "id", **only_where("removed IS NULL")),
    )

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    # What lists sort by: the name without case. An index on lower(name) would do on PostgreSQL, but
    # SQLite's own lower() knows only ASCII, so other programs would break such an index.
    sort_name: Mapped[str] = mapped_column(
        String(200), default=_sort_name_of_row, server_default=""
    )
    testemail: Mapped[Email]
    defaultfromemail: Mapped[Email | None]
    defaultfromname: Mapped[Name | None]
    strategy: Mapped[str] = mapped_column(String(10), default="RANDOM")
    # Kept for clients that send them; smtpweb itself does not send the apps' email.
    timebetweenemails: Mapped[int] = mapped_column(default=60)  # seconds
    retaindata: Mapped[bool] = mapped_column(default=False)
    useblacklist: Mapped[bool] = mapped_column(default=False)
    useautoblacklist: Mapped[bool] = mapped_column(default=False)
    # Minutes between two scheduled checks of an SMTP server; 0: no checks are scheduled.
    checkevery: Mapped[int] = mapped_column(default=60)
    # How often a scheduled check sends a real email: "never", "daily" or "always".
    emailevery: Mapped[str] = mapped_column(String(10), default="daily")
    # Scheduled checks are paused until then, by a user.
    off_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    off_by: Mapped[str | None] = mapped_column(String(24))
    off_note: Mapped[str | None] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(default=1)
    # Deleted on a page, and nobody's until that is undone or it is deleted for good. An SMTP server
    # that was deleted alone is in such an app, too. The API deletes at once.
    removed: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    created: Mapped[Created]
    modified: Mapped[Created]

    user: Mapped[User] = relationship(viewonly=True)
    smtps: Mapped[list[Smtp]] = relationship(
        back_populates="app",
        passive_deletes=True,
        order_by=lambda: (Smtp.priority, Smtp.created, Smtp.id),
    )

    @validates("name")
    def _set_sort_name(self, _attribute: str, name: str) -> str:
        self.sort_name = name.lower()
        return name


class Smtp(Base):
    """An SMTP server of an app. Edits raise ``version``, checks do not.

    ``settings_version`` is the version of the last edit that was more than reordering: the outcome
    of a check begun at this version or later applies to the current settings. ``judged``: there is
    such an outcome. ``uncheckable``: the code of the reason why the server cannot be checked (no
    From address, refused by the egress policy, a cause on our side), or null.
    """

    __tablename__ = "smtp"
    __table_args__ = (
        Index(None, "app_id", "priority", "created"),
        Index(None, "host", "port"),  # for finding duplicates
        Index("ix_smtp_problem", "app_id", **only_where(HAS_PROBLEM)),
        Index("ix_smtp_off_until", "off_until", **only_where("off_until IS NOT NULL")),
        *(
            Index(f"ix_smtp_{name}", name, **only_where(f"{name} IS NOT NULL"))
            for name in (
                "degraded_since",
                "certificate_expires",
                "clientcertificate_expires",
                "passwordexpires",
            )
        ),
    )

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    priority: Mapped[int] = mapped_column(default=10)
    host: Mapped[str] = mapped_column(String(253))
    port: Mapped[int]
    username: Mapped[str | None] = mapped_column(String(1024))
    password_sealed: Mapped[str | None] = mapped_column(Sealed)
    # The user name is also the password, such as a token of Postmark. Null: not known yet.
    username_is_secret: Mapped[bool | None] = mapped_column(default=False)
    # Codes of likely problems with the password, see ``providers.credentials``. Null: there is no
    # password, or they are not known yet.
    password_findings: Mapped[str | None] = mapped_column(String(200))
    auth: Mapped[bool] = mapped_column(default=False)
    # It signs in with access tokens: there is a row in ``smtp_oauth``, and no password.
    uses_oauth: Mapped[bool] = mapped_column(default=False)
    starttls: Mapped[bool] = mapped_column(default=False)
    ssltls: Mapped[bool] = mapped_column(default=False)
    debug: Mapped[bool] = mapped_column(default=False)
    # How a check connects, see ``fields.CONNECTION``; null: automatic. Certificates are PEM.
    mechanism: Mapped[str | None] = mapped_column(String(20))
    ehloname: Mapped[str | None] = mapped_column(String(255))
    envelopefrom: Mapped[Email | None]
    sourceaddress: Mapped[str | None] = mapped_column(String(45))
    cacertificates: Mapped[str | None] = mapped_column(Text)
    certificatepin: Mapped[str | None] = mapped_column(String(44))
    clientcertificate: Mapped[str | None] = mapped_column(Text)
    clientkey_sealed: Mapped[str | None] = mapped_column(Sealed(30000))
    defaultfromemail: Mapped[Email | None]
    defaultfromname: Mapped[Name | None]
    name: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str | None] = mapped_column(String(1000))
    tags: Mapped[str | None] = mapped_column(String(400))  # separated by ", "
    enabled: Mapped[bool] = mapped_column(default=True)
    numerrors: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    settings_version: Mapped[int] = mapped_column(default=1)
    judged: Mapped[bool] = mapped_column(default=False)
    uncheckable: Mapped[str | None] = mapped_column(String(80))
    # The lease of a running check (docs/decisions/0002); null: no check is running.
    checking_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Since when, until when and by which user it is turned off; without ``off_until``, until
    # a person enables it. No check enables it.
    off_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    off_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    off_by: Mapped[str | None] = mapped_column(String(24))
    off_note: Mapped[str | None] = mapped_column(String(200))
    # Since when scheduled checks fail temporarily; they are repeated before it is disabled.
    degraded_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Expiry of the certificate seen by the last check, of the password, as entered, and of the
    # client certificate, set along with it.
    certificate_expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    passwordexpires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    clientcertificate_expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    good_facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[Created]
    modified: Mapped[Created]

    app: Mapped[App] = relationship(back_populates="smtps")
    oauth: Mapped[SmtpOauth | None] = relationship(viewonly=True)
    checks: Mapped[list[Check]] = relationship(
        back_populates="smtp", passive_deletes=True, order_by="Check.started.desc()"
    )

    @validates("clientcertificate")
    def _set_expiry(self, _attribute: str, pem: str | None) -> str | None:
        self.clientcertificate_expires = expires(pem) if pem else None
        return pem

    @property
    def hides_username(self) -> bool:
        """Check if its user name must not be shown; true if that is not known yet."""
        return hides_username(self)

    @property
    def lacks_notes(self) -> bool:
        """Check if what is stored about its credentials has yet to be computed."""
        lacks_findings = self.password_sealed is not None and self.password_findings is None
        return self.username_is_secret is None or lacks_findings

    @property
    def shown_username(self) -> str | None:
        """Return the user name, unless it is as secret as the password."""
        return None if self.hides_username else self.username

    @property
    def encryption(self) -> Encryption:
        """Return the encryption for its two flags."""
        return encryption_of(self.starttls, self.ssltls)

    def __repr__(self) -> str:
        return f"<Smtp {self.id}>"


class IdempotencyKey(Base):
    """The object that a request with this key created; keyed digests, see ``idempotency``."""

    __tablename__ = "idempotency_key"

    digest: Mapped[Digest] = mapped_column(primary_key=True)  # of user, call and key
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    content_digest: Mapped[Digest]
    created_id: Mapped[str] = mapped_column(String(24))  # of an app or SMTP server, even if removed
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


class FormDraft(Base):
    """The values of a form whose session had ended, kept for minutes for the same user.

    ``sealed`` contains them as JSON, without passwords, encrypted for this row's id.
    """

    __tablename__ = "form_draft"
    __table_args__ = (UniqueConstraint("user_id", "path"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(200))
    sealed: Mapped[str] = mapped_column(Sealed)
    created: Mapped[Created]


class UndoableAct(Base):
    """What a user did on a page and can undo for some minutes; see ``registry.acts``.

    ``facts``: what it takes to undo it, without secrets.
    """

    __tablename__ = "undoable_act"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
