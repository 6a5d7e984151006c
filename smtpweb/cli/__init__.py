"""The ``flask`` commands of an administrator: users, tokens, SMTP servers, workers, keys."""

from __future__ import annotations

from flask import Flask

from .accounts import tokens_group, users_group
from .operation import keys_group, worker
from .smtps import smtps_group


def register(app: Flask) -> None:
    """Add the commands to ``flask --app wsgi``."""
    for command in (users_group, tokens_group, smtps_group, keys_group, worker):
        app.cli.add_command(command)
