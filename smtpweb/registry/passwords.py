"""Seal, keep or forget the password of an SMTP server when its settings are saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import installation
from ..database.models import Smtp
from ..errors import BadInput, Sentence
from .destination import Fate


def settle(smtp: Smtp, changes: Mapping[str, Any], fate: Fate) -> None:
    """Seal, keep or forget the password; raise :class:`BadInput` if it must be entered."""
    errors: dict[str, list[str]] = {}
    if smtp.auth and not smtp.username:
        errors["username"] = [Sentence("Enter the user name, or turn authentication off.")]
    if fate is Fate.LACKING:
        errors["password"] = [Sentence("Enter the password, or turn authentication off.")]
    elif fate is Fate.NEEDED_AGAIN:
        errors["password"] = [
            Sentence(
                "For safety, enter the password again: the host, port, encryption or"
                " authentication changed."
            )
        ]
    if errors:
        raise BadInput(errors)
    if fate is Fate.FORGOTTEN:
        smtp.password_sealed = None
    elif fate is Fate.GIVEN:
        password = changes["password"]
        box = installation.secret_box()
        smtp.password_sealed = None if password is None else box.seal(smtp.id, password)


def refuse_to_move_name() -> None:
    """Raise :class:`BadInput`: a secret user name is not sent to another server either."""
    raise BadInput(
        {
            "username": [
                Sentence(
                    "For safety, enter the user name again: at this provider it is as secret as the"
                    " password."
                )
            ]
        }
    )
