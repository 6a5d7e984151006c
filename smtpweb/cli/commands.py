"""How commands begin and fail.

A usage error is one sentence on stderr and exit status 2. Status 1 means that the command ran and
found something wrong.
"""

from __future__ import annotations

from typing import Any

import click
from flask import current_app
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from .. import installation
from ..database.session import cause
from ..errors import SmtpwebError


class UsageError(click.ClickException):
    """An error that the user can correct: one sentence on stderr."""

    exit_code = 2


class Command(click.Command):
    """A command that needs a ready installation and reports our errors as one sentence."""

    without_database: type[click.ClickException] = UsageError

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside the application context."""
        if not current_app:
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        try:
            installation.make_ready()
            return super().invoke(ctx)
        except SmtpwebError as error:
            raise UsageError(error.detail) from None
        except SQLAlchemyError as error:
            raise self.without_database(f"The database cannot be used: {cause(error)}") from None


class RestartedCommand(Command):
    """A command that a supervisor starts again, except after status 2: a wrong setting."""

    without_database = click.ClickException  # its status is 1


class Commands(click.Group):
    """A group of :class:`Command`."""

    command_class = Command
