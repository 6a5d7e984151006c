"""``flask worker`` and ``flask keys``."""

from __future__ import annotations

import logging.config
import sys
from typing import cast

import click
from flask import Flask, current_app

from .. import installation, logs
from ..config import settings
from .commands import Commands, RestartedCommand

keys_group = Commands("keys", help="Rotate the keys that encrypt SMTP passwords.")


@click.command("worker", cls=RestartedCommand)
@click.option("--with-parent", is_flag=True, help="End when the process that started this ends.")
def worker(with_parent: bool) -> None:
    """Run scheduled and queued checks and send alarms until SIGTERM; any number can run."""
    from ..monitoring import engine  # imports Huey, Redis and psycopg, which only a worker needs

    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    config = settings()
    logging.config.dictConfig(logs.configuration(production=config.production))
    process = engine.WorkerProcess(app, config)
    if with_parent:
        engine.end_with_parent()
    process.run()


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Encrypt all passwords again under the newest key. Can be interrupted and repeated."""
    outdated = installation.count_stale_seals()
    resealed = unreadable = 0
    with click.progressbar(length=outdated, label="Sealing", file=sys.stderr) as bar:
        for done, failed in installation.rotate_keys():
            resealed += done
            unreadable += failed
            bar.update(done + failed)
    click.echo(f"{resealed} secrets were encrypted with key {installation.secret_box().newest}.")
    if unreadable:
        click.echo(
            f"{unreadable} could not be decrypted with any key: enter these passwords again."
        )
        sys.exit(1)
    if outdated:
        click.echo("The older keys can be removed from SMTPWEB_ENCRYPTION_KEYS now.")
