"""Create an object once, however often the same request arrives: one row per key, for a day.

The row is written in the transaction that creates the object, so that both exist or neither
does; another request with the same key waits for that transaction, in any process. The response
is not stored, as it would contain a password: only the id of what was created.
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
    """A request that must create only one object, identified by a key from its client.

    ``per_content``: the same key with different content is a different request rather than an
    error, as when a form is changed and submitted again.
    """

    key: str
    per_content: bool = False


def claim(user_id: str, once: Once, call: str, content: Mapping[str, Any], new_id: str) -> str:
    """Return the id of what this request creates: ``new_id``, or the id it created earlier.

    Call it inside the write that creates the object. Raises :class:`KeyReused` if the key was
    used for different content.
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
        if earlier is None:  # not a duplicate key: the account was removed in the meantime
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
    """Return a keyed digest: the text may contain a password, which an unkeyed one would expose."""
    key = config.settings().secret_key.encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _forget_old() -> None:
    # Skip rows that another request is deleting, so that the two never wait for each other.
    old = (
        select(IdempotencyKey.digest)
        .where(IdempotencyKey.created < now() - KEPT)
        .with_for_update(skip_locked=True)
    )
    db.session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.digest.in_(old)),
        execution_options={"synchronize_session": False},
    )
