"""Types of columns that several tables use."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import String, text
from sqlalchemy.orm import mapped_column

from ..session import UtcDateTime, now


def new_id() -> str:
    """Return a new id: 24 lower-case hexadecimal digits."""
    return secrets.token_hex(12)


def only_where(condition: str) -> dict[str, Any]:
    """Return the options of a partial index on rows for which ``condition`` is true."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


Id = Annotated[str, mapped_column(String(24), primary_key=True, default=new_id)]
Email = Annotated[str, mapped_column(String(254))]
Name = Annotated[str, mapped_column(String(200))]
Digest = Annotated[str, mapped_column(String(64))]  # SHA-256 in hexadecimal
Time = Annotated[datetime, mapped_column(UtcDateTime)]
Created = Annotated[datetime, mapped_column(UtcDateTime, default=now)]
