"""The peer: the same calls as FastAPI, Pydantic and SQLAlchemy are usually written.

It keeps tokens as digests, checks the owner, and seals passwords with Fernet, as smtpweb did. It
has no warnings, no entity tags, no aliases of parameters, and no security headers.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from cryptography.fernet import Fernet
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, field_serializer
from sqlalchemy import ForeignKey, Index, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

URL = os.environ["BENCH_PEER_URL"]
BOX = Fernet(os.environ["BENCH_PEER_KEY"])
engine = create_engine(URL, pool_size=40)
app = FastAPI()
bearer = HTTPBearer()


class Base(DeclarativeBase):
    pass


class Token(Base):
    __tablename__ = "token"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    scopes: Mapped[str]
    expires: Mapped[datetime | None]


class App(Base):
    __tablename__ = "app"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)


class Smtp(Base):
    __tablename__ = "smtp"
    __table_args__ = (Index("by_app", "app_id", "priority", "created"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id"))
    priority: Mapped[int]
    host: Mapped[str]
    port: Mapped[int]
    username: Mapped[str | None]
    sealed: Mapped[str | None]
    auth: Mapped[bool]
    starttls: Mapped[bool]
    ssltls: Mapped[bool]
    debug: Mapped[bool]
    defaultfromemail: Mapped[str | None]
    defaultfromname: Mapped[str | None]
    numerrors: Mapped[int] = mapped_column(default=0)
    created: Mapped[datetime]
    modified: Mapped[datetime]
    enabled: Mapped[bool] = mapped_column(default=True)

    @property
    def password(self) -> str | None:
        return BOX.decrypt(self.sealed).decode() if self.sealed else None

    @property
    def status(self) -> str:
        return "A" if self.enabled else "D"


class SmtpOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str = Field(serialization_alias="_id")
    app_id: str = Field(serialization_alias="idapp")
    priority: int
    host: str
    port: int
    username: str | None
    password: str | None
    auth: bool
    starttls: bool
    ssltls: bool = Field(serialization_alias="sslTls")
    debug: bool
    defaultfromemail: str | None
    defaultfromname: str | None
    numerrors: int
    created: datetime
    modified: datetime
    status: str

    @field_serializer("created", "modified")
    def without_zone(self, moment: datetime) -> str:
        return moment.isoformat(timespec="milliseconds")


def database() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(database)]


def caller(
    session: Database, sent: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> Token:
    digest = hashlib.sha256(sent.credentials.encode()).hexdigest()
    token = session.get(Token, digest)
    if token is None or (token.expires and token.expires < _now()):
        raise HTTPException(403, "Credentials not valid")
    return token


Caller = Annotated[Token, Depends(caller)]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _owned(session: Session, token: Token, app_id: str) -> App:
    app = session.scalar(select(App).where(App.id == app_id, App.user_id == token.user_id))
    if app is None:
        raise HTTPException(406, "App not found")
    return app


@app.get("/private/smtps/findByApp", response_model=list[SmtpOut])
def find_by_app(session: Database, token: Caller, idapp: str) -> list[Smtp]:
    app = _owned(session, token, idapp)
    order = (Smtp.priority, Smtp.created, Smtp.id)
    return list(session.scalars(select(Smtp).where(Smtp.app_id == app.id).order_by(*order)))


@app.get("/private/smtps/findById", response_model=SmtpOut)
def find_by_id(session: Database, token: Caller, idsmtp: str) -> Smtp:
    smtp = session.get(Smtp, idsmtp)
    if smtp is None:
        raise HTTPException(406, "SMTP not found")
    _owned(session, token, smtp.app_id)
    return smtp


@app.post("/private/smtps/save", response_model=SmtpOut)
def save(
    session: Database,
    token: Caller,
    idapp: Annotated[str, Form()],
    host: Annotated[str, Form()],
    port: Annotated[int, Form(ge=1, le=65535)],
    priority: Annotated[int, Form()] = 10,
    username: Annotated[str | None, Form()] = None,
    password: Annotated[str | None, Form()] = None,
    auth: Annotated[bool, Form()] = False,
    starttls: Annotated[bool, Form()] = False,
    ssltls: Annotated[bool, Form()] = False,
    debug: Annotated[bool, Form()] = False,
    defaultfromemail: Annotated[str | None, Form()] = None,
    defaultfromname: Annotated[str | None, Form()] = None,
) -> Smtp:
    found = _owned(session, token, idapp)
    moment = _now()
    smtp = Smtp(
        id=secrets.token_hex(12), app_id=found.id, priority=priority, host=host, port=port,
        username=username, sealed=BOX.encrypt(password.encode()).decode() if password else None,
        auth=auth, starttls=starttls, ssltls=ssltls, debug=debug,
        defaultfromemail=defaultfromemail, defaultfromname=defaultfromname, numerrors=0,
        created=moment, modified=moment, enabled=True,
    )  # fmt: skip
    session.add(smtp)
    session.commit()
    return smtp


@event.listens_for(engine, "connect")
def _set_up(connection: object, _record: object) -> None:
    if URL.startswith("sqlite"):
        connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
        connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]


def seed() -> None:
    """Create the tables, an account, and an app with 2 and one with 20 servers; print the ids."""
    Base.metadata.create_all(engine)
    token, apps = secrets.token_urlsafe(32), []
    with Session(engine) as session:
        digest = hashlib.sha256(token.encode()).hexdigest()
        session.add(Token(digest=digest, user_id="ana", scopes="read write secrets"))
        for servers in (2, 20):
            apps.append(App(id=secrets.token_hex(12), user_id="ana"))
            session.add(apps[-1])
            session.flush()
            for number in range(servers):
                address = f"shop{number}@example.com"
                save(
                    session, Token(user_id="ana"), apps[-1].id, f"smtp{number}.example.net", 587,
                    number, address, f"correct horse {number}", True, True, False, False,
                    address, "Shop",
                )  # fmt: skip
        print(token, *(one.id for one in apps))


if __name__ == "__main__":
    seed()
