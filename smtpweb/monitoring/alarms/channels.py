"""Alarm channels: save, find, remove, test. Every query starts from the owner.

The target of a channel can contain a secret, so it is encrypted and never shown again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TypedDict
from urllib.parse import urlsplit

from sqlalchemy import Select, bindparam, func, or_, select

from ... import installation, validators
from ...accounts.ownership import visible_channels
from ...checking import limits
from ...config import ROOT, settings
from ...database.models import AlarmChannel, User, new_id
from ...database.session import db, now, writing
from ...errors import BadInput, NotFound, QuotaReached, Sentence
from ...mailcheck.core.addresses import parse_host
from ...mailcheck.core.once import once
from ...registry import apps
from ...registry.idempotency import Once, claim
from . import deliveries, events, quiet_hours
from .kinds import Kind
from .senders import webhook
from .senders.outcome import Attempt

MOST = 50  # channels of an app, and of an account beside them
_LONGEST_URL = 2000


class ChannelChanges(TypedDict, total=False):
    """The fields of a channel to change. On an edit, fields left out keep their values."""

    kind: str
    target: str
    label: str | None
    events: str
    quiet_from: int | None
    quiet_until: int | None
    timezone: str
    weekly: bool
    off: bool


# --- find ----------------------------------------------------------------------------------


def find(user_id: str, channel_id: str) -> AlarmChannel:
    """Return the user's channel; raise :class:`NotFound`."""
    channel = db.session.scalar(_owned(user_id, channel_id))
    if channel is None:
        raise NotFound("Alarm")
    return channel


def _owned(user_id: str, channel_id: str) -> Select[AlarmChannel]:
    return visible_channels(user_id).where(AlarmChannel.id == channel_id)


def of_app(user_id: str, app_id: str) -> list[AlarmChannel]:
    """Return the channels of one app, oldest first; raise :class:`NotFound`."""
    app = apps.find(user_id, app_id)
    return _listed(visible_channels(user_id).where(AlarmChannel.app_id == app.id))


def of_account(user_id: str) -> list[AlarmChannel]:
    """Return the channels for all apps of an account, oldest first."""
    return _listed(visible_channels(user_id).where(AlarmChannel.app_id.is_(None)))


def _listed(statement: Select[AlarmChannel]) -> list[AlarmChannel]:
    return list(db.session.scalars(_in_order(statement)))


def _in_order(statement: Select[AlarmChannel]) -> Select[AlarmChannel]:
    return statement.order_by(AlarmChannel.created, AlarmChannel.id)


def switched_off(user_id: str, app_id: str) -> list[AlarmChannel]:
    """Return channels of an app and its account that were switched off after failed deliveries."""
    values = {"user_id": user_id, "app_id": app_id}
    return list(db.session.scalars(_switched_off(), values))


@once
def _switched_off() -> Select[AlarmChannel]:
    """Select them: built once, as every page of an app shows them."""
    return _in_order(
        visible_channels(bindparam("user_id")).where(
            AlarmChannel.off_reason.in_(("gone", "failing")),
            or_(AlarmChannel.app_id.is_(None), AlarmChannel.app_id == bindparam("app_id")),
        )
    )


# --- save and remove -----------------------------------------------------------------------


def save(
    user_id: str,
    app_id: str | None,
    changes: ChannelChanges,
    channel_id: str | None = None,
    *,
    once: Once | None = None,
) -> tuple[AlarmChannel, str | None]:
    """Create a channel of the app, or of the account, or edit the one with this id.

    Returns it, and the secret that signs its webhooks if that is new. ``once``: if the same
    request has already created a channel, return that one. Raises :class:`NotFound`,
    :class:`BadInput` and :class:`QuotaReached`.
    """
    target = changes.get("target")
    kind = changes.get("kind")
    if channel_id is not None:
        kind = kind or find(user_id, channel_id).kind
    # Before the transaction, because Apprise parses its URL in another process.
    address, shown = _read_target(kind or "", target) if target else (None, "")
    with writing() as session:
        if app_id is not None:
            app_id = apps.find_to_fill(user_id, app_id).id
        if channel_id is None:
            channel_id = new_id()
            if once is not None:
                content = {"app_id": app_id} | changes
                first_id = claim(user_id, once, "alarms/save", content, channel_id)
                if first_id != channel_id:
                    return find(user_id, first_id), None
            _refuse_too_many(user_id, app_id)
            moment = now()
            channel = AlarmChannel(
                id=channel_id, user_id=user_id, app_id=app_id, kind=kind, shown="",
                events=validators.USUAL_EVENTS, timezone="UTC", created=moment, modified=moment,
            )  # fmt: skip
            session.add(channel)
            if address is None and app_id is not None:
                raise BadInput({"target": [Sentence("Is required.")]})
        else:
            channel = _for_update(user_id, channel_id)
            if channel.app_id != app_id:
                raise NotFound("Alarm")
            if channel.kind != kind and address is None:
                raise BadInput({"target": [Sentence("Is required.")]})
            channel.modified = now()
        secret = _set_target(channel, kind or "", address, shown)
        _set_rest(channel, changes)
        return channel, secret


def _set_target(channel: AlarmChannel, kind: str, address: str | None, shown: str) -> str | None:
    channel.kind = kind
    if address is None:
        return None
    box = installation.secret_box()
    channel.target_sealed, channel.shown = box.seal(channel.id, address), shown
    channel.failing_since = None
    if channel.off_reason != "hand":
        channel.off_since = channel.off_reason = None
    if kind != "webhook":
        channel.secret_sealed = None
        return None
    # A new receiver must not get the secret of the old one.
    secret = webhook.new_secret()
    channel.secret_sealed = box.seal(channel.id, secret)
    return secret


def _set_rest(channel: AlarmChannel, changes: ChannelChanges) -> None:
    if "label" in changes:
        channel.label = changes["label"]
    channel.events = changes.get("events", channel.events)
    channel.timezone = changes.get("timezone", channel.timezone)
    if "quiet_from" in changes:
        channel.quiet_from = changes["quiet_from"]
    if "quiet_until" in changes:
        channel.quiet_until = changes["quiet_until"]
    if (channel.quiet_from is None) != (channel.quiet_until is None):
        raise BadInput({"quietuntil": [Sentence("Enter both ends of the quiet hours, or none.")]})
    if "weekly" in changes:
        is_wanted = changes["weekly"] and channel.kind == "email"
        if not is_wanted:
            channel.weekly_at = None
        elif channel.weekly_at is None or "timezone" in changes:
            channel.weekly_at = quiet_hours.next_report(now(), channel.timezone)
    if channel.kind != "email":
        channel.weekly_at = None
    if changes.get("off"):
        channel.off_since, channel.off_reason = channel.off_since or now(), "hand"
    elif "off" in changes:
        channel.off_since = channel.off_reason = channel.failing_since = None


def _refuse_too_many(user_id: str, app_id: str | None) -> None:
    # Lock the user, so that concurrent requests count each other's channels.
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    counted = select(func.count()).where(
        AlarmChannel.user_id == user_id, AlarmChannel.app_id.is_not_distinct_from(app_id)
    )
    if (db.session.scalar(counted) or 0) >= MOST:
        raise QuotaReached(Sentence("There can be at most %(number)s alarms here.", number=MOST))


def remove(user_id: str, channel_id: str) -> None:
    """Remove the channel with its pending deliveries; raise :class:`NotFound`."""
    with writing() as session:
        session.delete(_for_update(user_id, channel_id))


def _for_update(user_id: str, channel_id: str) -> AlarmChannel:
    channel = db.session.scalar(
        _owned(user_id, channel_id).with_for_update(of=AlarmChannel),
        execution_options={"populate_existing": True},
    )
    if channel is None:
        raise NotFound("Alarm")
    return channel


# --- targets ---------------------------------------------------------------------------------


def _read_target(kind: str, target: str) -> tuple[str, str]:
    """Return the target to encrypt, and the part that can be shown; raise :class:`BadInput`."""
    try:
        if kind == "email":
            address = validators.email(target)
            return address, address
        validators.text(target, most=_LONGEST_URL)
        return _webhook(target) if kind == "webhook" else _apprise(target)
    except ValueError as error:
        raise BadInput({"target": [error.args[0]]}) from None


_NO_WEBHOOK = Sentence("Must be a URL such as https://hooks.example.com/smtp.")


def _webhook(target: str) -> tuple[str, str]:
    import httpcore  # loaded on first use, see smtpweb/deferred.py

    try:
        parts = urlsplit(target)
        port = parts.port
        if parts.scheme not in ("http", "https") or not parts.hostname or not target.isascii():
            raise ValueError
        if any(ord(char) < 33 for char in target):
            raise ValueError
        host = parse_host(parts.hostname).name
        httpcore.URL(target)
    except ValueError:
        raise ValueError(_NO_WEBHOOK) from None
    except httpcore.LocalProtocolError:
        raise ValueError(_NO_WEBHOOK) from None
    if parts.username or parts.password:
        raise ValueError(
            Sentence("Must not contain a user name or password: webhooks are signed instead.")
        )
    shown = f"[{host}]" if ":" in host else host
    authority = f"{shown}:{port}" if port else shown
    path = parts.path or "/"
    query = f"?{parts.query}" if parts.query else ""
    rest = "…" if path != "/" or query else ""
    return f"{parts.scheme}://{authority}{path}{query}", f"{parts.scheme}://{authority}/{rest}"


def _apprise(target: str) -> tuple[str, str]:
    schema = target.partition("://")[0].lower()
    allowed = settings().apprise_schemas
    if "://" not in target or schema not in allowed:
        raise ValueError(
            Sentence(
                "Must be an Apprise URL of one of these services: %(list)s.",
                list=", ".join(sorted(allowed)) or "none",
            )
        )
    if not _apprise_reads(target):
        raise ValueError(
            Sentence(
                "Apprise cannot read this URL: see the format in its documentation of the service."
            )
        )
    return target, f"{schema}://…"


def _apprise_reads(url: str) -> bool:
    """Check if Apprise can parse this URL, in a separate process, see ``senders.chat``."""
    job = json.dumps({"url": url, "only_read": True, "allow": settings().webhook_egress.to_dict()})
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "smtpweb.monitoring.alarms.senders.apprise_process"],
            input=job, capture_output=True, encoding="utf-8", env={}, cwd=ROOT, timeout=30,
            check=False,
        )  # fmt: skip
        return bool(json.loads(ended.stdout)["delivered"])
    except (subprocess.TimeoutExpired, OSError, ValueError, KeyError, TypeError):
        return False


# --- a test ----------------------------------------------------------------------------------


def test(user_id: str, channel_id: str) -> Attempt:
    """Send a test to the channel immediately, and store the result.

    It counts as a check of the user. Raises :class:`NotFound`, :class:`Busy` and
    :class:`TooMany`.
    """
    slots = limits.take_slot()
    work_id = new_id()
    try:
        with writing():
            channel = _for_update(user_id, channel_id)
            until = now() + deliveries.LEASE
            limits.take_share(user_id, limits.CHECK, work_id, until)
            event_id = events.add_event(
                user_id=user_id,
                app_id=channel.app_id,
                kind=Kind.TEST,
                key=f"test:{work_id}",
                facts={"app": channel.app.name if channel.app else None},
            )
            delivery_id = events.add_delivery(
                event_id or "", channel.id, channel.id, until, leased_by=work_id
            )
        try:
            return deliveries.deliver_now(delivery_id or "", work_id)
        finally:
            with writing():
                limits.give_back_share(work_id)
    finally:
        slots.release()
