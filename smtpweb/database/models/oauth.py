"""The table of how SMTP servers get their OAuth access tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..session import Base, Sealed, UtcDateTime, now


class SmtpOauth(Base):
    """The OAuth settings of an SMTP server that signs in with access tokens.

    Secrets are sealed together with a digest of all that they may be used for, see
    ``registry.grants``. ``clientsecret_sealed`` holds a client secret, or the key of a service
    account. ``pending_sealed``: a sign-in that was started and not finished. While a worker
    requests a token, ``renewing_by`` is its random id until ``renewing_until``; if that time has
    passed, the worker was interrupted, possibly between answer and commit. ``interrupted``: that
    happened to a refresh token, which the provider may have replaced.
    """

    __tablename__ = "smtp_oauth"

    smtp_id: Mapped[str] = mapped_column(
        String(24), ForeignKey("smtp.id", ondelete="CASCADE"), primary_key=True
    )
    grant: Mapped[str] = mapped_column(String(30))
    provider: Mapped[str] = mapped_column(String(30))
    tenant: Mapped[str | None] = mapped_column(String(253))
    clientid: Mapped[str] = mapped_column(String(500), default="")
    scope: Mapped[str | None] = mapped_column(String(1000))
    issuer: Mapped[str | None] = mapped_column(String(500))
    tokenurl: Mapped[str] = mapped_column(String(500))
    authurl: Mapped[str | None] = mapped_column(String(500))
    deviceurl: Mapped[str | None] = mapped_column(String(500))
    clientauth: Mapped[str] = mapped_column(String(10))
    clientsecret_sealed: Mapped[str | None] = mapped_column(Sealed(20000))
    refreshtoken_sealed: Mapped[str | None] = mapped_column(Sealed(20000))
    accesstoken_sealed: Mapped[str | None] = mapped_column(Sealed(40000))
    accesstoken_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pending_sealed: Mapped[str | None] = mapped_column(Sealed(20000))
    renewing_by: Mapped[str | None] = mapped_column(String(24))
    renewing_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    interrupted: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    def __repr__(self) -> str:
        return f"<SmtpOauth {self.smtp_id}>"
