"""Tables of accounts: users, sessions, tokens, failed sign-ins."""

from __future__ import annotations

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..session import Base, Sealed, UtcDateTime
from .columns import Created, Digest, Email, Id, Name


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
        """Return the session's id for Flask-Login's cookie, so that the session can be revoked."""
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
