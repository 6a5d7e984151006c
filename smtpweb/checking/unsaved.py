"""Test settings that are not saved: nothing is stored, and no email is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import mailcheck
from ..accounts.tokens import Caller
from ..database.models import Smtp, new_id
from ..database.session import now, writing
from ..errors import BadInput, Sentence
from ..mailcheck import Purpose, Report, Target
from ..oauth import access_tokens
from ..oauth.access_tokens import UnsavedGrant
from ..registry import grants, smtps
from ..registry.grants import OauthChanges
from ..registry.smtps import SmtpChanges
from . import connections, limits, service, tokens


class _NotSaved(Exception):
    """Rolls back what was only saved to be read."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """What to test, as plain values. ``grant`` None: the stored one."""

    smtp_id: str
    target: Target | Report
    needs_token: bool
    grant: UnsavedGrant | None


def probe(
    caller: Caller,
    app_id: str,
    changes: SmtpChanges,
    smtp_id: str | None = None,
    *,
    oauth: OauthChanges | None = None,
    access_token: str = "",
    keep_password: bool = False,
) -> Report:
    """Test the settings that :func:`.smtps.save` would leave behind, up to RCPT.

    ``smtp_id``: of the server that they would be saved to. Its stored secrets are used exactly if
    they would be kept. ``access_token``: sign in with it, in place of what the settings say.
    Raises what saving and checking raise, and :class:`BadInput` for a sign-in that has to be saved
    first. Settings that are refused do not count as a check.
    """
    if access_token:  # they need no other way to sign in
        changes, oauth = {**changes, "auth": False}, None
    elif oauth:
        oauth = tokens.with_metadata(caller.user_id, oauth)
    found = _settings(
        lambda: smtps.save(
            caller.user_id, app_id, changes, smtp_id,
            oauth=oauth, keep_password=keep_password,
        ),
        smtp_id,
        access_token,
    )  # fmt: skip
    slots = limits.take_slot()
    share = new_id()
    try:
        with writing():
            limits.take_share(caller.user_id, limits.CHECK, share, now() + service.longest())
        try:
            target = found.target
            if found.needs_token and isinstance(target, Target):
                target = tokens.with_token(found.smtp_id, target, found.grant)
            return mailcheck.check(target) if isinstance(target, Target) else target
        finally:
            with writing():
                limits.give_back_share(share)
    finally:
        slots.release()


def _settings(save: Callable[[], Smtp], smtp_id: str | None, access_token: str) -> _Settings:
    # By saving them for a moment, all rules are those of saving; nobody else ever sees it.
    try:
        with writing():
            stored = grants.content_of(smtp_id) if smtp_id else None
            smtp = save()
            target = service.target_of(smtp, "", Purpose.PROBE)
            if access_token and isinstance(target, Target):
                if not target.username:
                    raise BadInput({"username": [Sentence("Is required.")]})
                target = connections.with_access_token(target, access_token)
            needs_token = smtp.uses_oauth and not access_token
            changed = needs_token and grants.content_of(smtp.id) != stored
            grant = _unsaved_grant(smtp) if changed else None
            found = _Settings(smtp.id, target, needs_token, grant)
            raise _NotSaved
    except _NotSaved:
        return found


def _unsaved_grant(smtp: Smtp) -> UnsavedGrant:
    row = grants.find(smtp.id)
    grant = access_tokens.unsaved(smtp, row) if row is not None else None
    if grant is None:
        interactive = grants.is_interactive(smtp)
        message = (
            Sentence("Save first, then sign in at the provider.")
            if interactive
            else Sentence("Save first: a test could use up the refresh token.")
        )
        raise BadInput({"oauthgrant": [message]})
    return grant
