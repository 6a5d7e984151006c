"""The form of an alarm: its target, events and quiet hours."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext
from wtforms import SelectChoice, SubmitField
from wtforms.validators import InputRequired, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from ... import validators
from ...database.models import AlarmChannel
from ...monitoring.alarms.channels import ChannelChanges
from ..presentation.channel_labels import clock
from .form_fields import REQUIRED, LineField, text_field, trimmed
from .forms import Form, once_field
from .noted_fields import BooleanField, SelectMultipleField

TARGETS = {
    "email": lazy_gettext("Email address"),
    "webhook": lazy_gettext("URL of the webhook"),
    "apprise": lazy_gettext("Apprise URL"),
}


class AlarmForm(Form):
    """Create or edit an alarm; see :meth:`of` for its values."""

    target = LineField(validators=[Optional()], filters=[trimmed])
    label = text_field(lazy_gettext("Label"), validators.display_name, required=False)
    events = SelectMultipleField(
        lazy_gettext("Notify me when"),
        [InputRequired(lazy_gettext("Choose at least one."))],
        choices=[
            SelectChoice("lost", lazy_gettext("an SMTP server stops working")),
            SelectChoice(
                "lastlost", lazy_gettext("the last one does, so that nothing can be sent")
            ),
            SelectChoice("recovered", lazy_gettext("an SMTP server works again")),
            SelectChoice("expiring", lazy_gettext("a certificate or a password expires soon")),
            SelectChoice("degraded", lazy_gettext("an SMTP server is degraded for a day")),
        ],
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    quietfrom = text_field(lazy_gettext("Quiet from"), validators.clock_time, required=False)
    quietuntil = text_field(lazy_gettext("Quiet until"), validators.clock_time, required=False)
    timezone = text_field(lazy_gettext("Time zone"), validators.timezone)
    weekly = BooleanField(lazy_gettext("Send a weekly report too, on Monday morning"))
    once_key = once_field()
    submit = SubmitField(lazy_gettext("Save"))

    def __init__(
        self, kind: str, channel: AlarmChannel | None, *, required: bool, **options: Any
    ) -> None:
        """``required``: the target must not be empty."""
        super().__init__(self.of(channel), **options)
        self.kind, self.channel = kind, channel
        self.target.label.text = TARGETS[kind]
        self.target.validators = [InputRequired(REQUIRED) if required else Optional()]
        self.target.flags.optional = not required

    @staticmethod
    def of(channel: AlarmChannel | None) -> dict[str, Any]:
        """Return the values of a channel for the form, without its target."""
        if channel is None:
            return {"events": validators.USUAL_EVENTS.split(), "timezone": "UTC"}
        return {
            "label": channel.label or "",
            "events": channel.events.split(),
            "quietfrom": clock(channel.quiet_from),
            "quietuntil": clock(channel.quiet_until),
            "timezone": channel.timezone,
            "weekly": channel.weekly_at is not None,
        }

    def changes(self) -> ChannelChanges:
        """Return the changes to save; an empty target keeps the stored one."""
        changes: ChannelChanges = {
            "kind": self.kind,
            "label": self.accepted.get("label"),
            "events": " ".join(
                kind for kind in validators.ALARM_EVENTS if kind in self.events.data
            ),
            "quiet_from": self.accepted.get("quietfrom"),
            "quiet_until": self.accepted.get("quietuntil"),
            "timezone": self.accepted["timezone"],
            "weekly": self.weekly.data,
        }
        if self.target.data:
            changes["target"] = self.target.data
        return changes
