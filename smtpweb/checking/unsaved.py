"""Test settings that are not saved: nothing is stored, and no email is sent."""

from __future__ import annotations

from collections.abc import Callable

from ..accounts.tokens import Caller
from ..database.models import Smtp, new_id
from ..database.session import now, writing
from ..errors import BadInput, Sentence
from ..mailcheck import Purpose, Report, Target, check
from ..registry import smtps
from ..registry.grants import OauthChanges
from ..registry.smtps import SmtpChanges
from . import limits, service


class _NotSaved(Exception):
    """Rolls back what was only saved to be read."""


def probe(
    caller: Caller,
    app_id: str,
    changes: SmtpChanges,
    smtp_id: str | None = None,
    *,
    oauth: OauthChanges | None = None,
    keep_password: bool = False,
) -> Report:
    """Test the settings that :func:`.smtps.save` would leave behind, up to RCPT.

    ``smtp_id``: of the server that they would be saved to. Its stored password is used exactly if
    it would be kept. Raises what saving and checking raise, and :class:`BadInput` for a sign-in
    with tokens.
    """
    slots = limits.take_slot()
    share = new_id()
    try:
        with writing():
            limits.take_share(caller.user_id, limits.CHECK, share, now() + service.longest())
        try:
            target = _target(
                lambda: smtps.save(
                    caller.user_id, app_id, changes, smtp_id,
                    oauth=oauth, keep_password=keep_password,
                )
            )  # fmt: skip
            return check(target) if isinstance(target, Target) else target
        finally:
            with writing():
                limits.give_back_share(share)
    finally:
        slots.release()


def _target(save: Callable[[], Smtp]) -> Target | Report:
    # By saving them for a moment, all rules are those of saving; nobody else ever sees it.
    try:
        with writing():
            smtp = save()
            if smtp.uses_oauth:
                message = Sentence("Save first: a sign-in with tokens is tested as it is stored.")
                raise BadInput({"signin": [message]})
            target = service.target_of(smtp, "", Purpose.PROBE)
            raise _NotSaved
    except _NotSaved:
        return target
