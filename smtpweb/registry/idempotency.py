"""Create a thing once, however often the same request arrives: one row for each key, for a day.

The row is written in the transaction that creates the thing, so that both are there or neither
is; another request with the same key waits for that transaction, in whichever process it is.
No answer is kept, as it would hold a password: only the id of what was created.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from .. import config
from ..database.models import IdempotencyKey
from ..database.session import db, now
from ..errors import KeyReused, Sentence

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Once:
    """A request that must create one thing only, named by a key of its client.

    ``per_content``: the same key with other content is another request rather than a fault, as
    of a form that is sent again after it was changed.
    """

    key: str
    per_content: bool = False


def claim(user_id: str, once: Once, call: str, content: Mapping[str, Any], new_id: str) -> str:
    """The id of what this request is to create: ``new_id``, or what it created before.

    Inside the write that creates it. Raises :class:`KeyReused` where the key was used for other
    content.
    """
    _forget_old()
    said = _digest(json.dumps(content, sort_keys=True, default=str))
    parts = [user_id, call, once.key, *([said] if once.per_content else [])]
    digest = _digest(json.dumps(parts))
    row = IdempotencyKey(
        digest=digest, user_id=user_id, content_digest=said, created_id=new_id, created=now()
    )
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError:
        earlier = db.session.scalars(
            select(IdempotencyKey).where(IdempotencyKey.digest == digest)
        ).one_or_none()
        if earlier is None:  # not the key but the account is at fault: it was removed meanwhile
            raise
        if not hmac.compare_digest(earlier.content_digest, said):
            raise KeyReused(
                Sentence(
                    "This Idempotency-Key was already used for a request with different parameters."
                )
            ) from None
        return earlier.created_id
    return new_id


def _digest(text: str) -> str:
    """Keyed: what is digested may hold a password, which could otherwise be guessed from it."""
    key = config.settings().secret_key.encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _forget_old() -> None:
    # Rows that another request is deleting are left to it: the two must not wait for each other.
    old = (
        select(IdempotencyKey.digest)
        .where(IdempotencyKey.created < now() - KEPT)
        .with_for_update(skip_locked=True)
    )
    db.session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.digest.in_(old)),
        execution_options={"synchronize_session": False},
    )
