"""Move apps and SMTP servers between installations as JSON: export and import.

Imported data goes through the same rules and operations as any other input, in one transaction.

The document is ``{"format": "smtpweb", "version": 1, "accounts": [{"name", "apps": [{"name",
"testemail", ..., "smtps": [{"host", "port", ..., "password"?}]}]}]}``. Ids, checks and server
states are not included: an import creates new SMTP servers, to be checked in their new place.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from .. import validators
from ..accounts import users
from ..accounts.ownership import may_see_app
from ..database.models import App, Smtp, User
from ..database.session import db, writing
from ..errors import BadInput, NameTaken, NotFound, QuotaReached, SmtpwebError
from . import apps, connection, fields, grants, smtps
from .fields import Field

FORMAT = "smtpweb"
VERSION = 1

# An app may lack these: an import must not fill them in from the account
_NONE_OF_ITS_OWN = {"defaultfromemail": None, "defaultfromname": None}
_APP = {field.name: field for field in fields.exported(fields.APP)}
_SMTP = {field.name: field for field in fields.exported(fields.SMTP, secrets=True)}


class BadDocument(SmtpwebError):
    """A document that cannot be imported; the detail gives the location. Nothing was changed."""

    code = "BAD_DOCUMENT"
    title = "This file cannot be imported"

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}" if place else problem)


@dataclass
class Added:
    """The number of objects that an import added."""

    apps: int = 0
    smtps: int = 0


# --- export --------------------------------------------------------------------------------


def dump(*, user_id: str | None = None, with_passwords: bool = False) -> str:
    """Return all apps and SMTP servers, or those of one account, as a JSON document.

    Raises :class:`BadDocument` if a requested password cannot be opened with any key.
    """
    statement = (
        select(App, User.name)
        .join(User, may_see_app(User.id))
        .options(selectinload(App.smtps))
        .order_by(User.name_key, App.name, App.id)
    )
    if user_id is not None:
        statement = statement.where(may_see_app(user_id))
    by_account: dict[str, list[dict[str, Any]]] = {}
    for app, owner in db.session.execute(statement):
        servers = [_smtp(smtp, with_passwords) for smtp in app.smtps]
        by_account.setdefault(owner, []).append(
            {name: getattr(app, name) for name in _APP} | {"smtps": servers}
        )
    document = {
        "format": FORMAT,
        "version": VERSION,
        "accounts": [{"name": name, "apps": found} for name, found in by_account.items()],
    }
    return json.dumps(document, indent=2) + "\n"


def _smtp(smtp: Smtp, with_passwords: bool) -> dict[str, Any]:
    exported = fields.exported(fields.SMTP, secrets=with_passwords)
    members = {
        field.name: value
        for field in exported
        if not field.secret
        and (
            (value := getattr(smtp, field.name)) is not None or field.name not in fields.CONNECTION
        )
    }
    if not with_passwords:
        oauth = grants.exported(smtp, secrets=False) if smtp.uses_oauth else {}
        return members | {"username": smtp.shown_username} | oauth
    try:
        oauth = grants.exported(smtp, secrets=True) if smtp.uses_oauth else {}
        key = connection.open_key(smtp)
        secret = {"password": smtps.open_password(smtp)} | ({"clientkey": key} if key else {})
        return members | secret | oauth
    except SmtpwebError as error:
        raise BadDocument(f"SMTP {smtp.id} ({smtp.host})", error.title) from None


def write_privately(path: Path, text: str) -> None:
    """Write a file atomically, readable only by the current user."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


# --- import --------------------------------------------------------------------------------


def load(document: str | bytes, *, user_id: str | None = None) -> Added:
    """Add the contents of the document to the accounts it names, or to the given one.

    Bytes may be UTF-8, UTF-16 or UTF-32, with or without a byte order mark. All or nothing;
    raises :class:`BadDocument`. An app name that already exists in its account is an error: an
    import never changes existing data.
    """
    try:
        if isinstance(document, bytes):
            document = document.decode(json.detect_encoding(document))
        content = json.loads(document.removeprefix("\ufeff"), object_pairs_hook=_Members)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadDocument("", f"The file is not valid JSON{where}.") from None
    top = _object(content, "the file", ("format", "version", "accounts"))
    if top.get("format") != FORMAT or top.get("version") != VERSION:
        raise BadDocument("", f"The file is not an export of smtpweb in version {VERSION}.")
    added = Added()
    with writing():
        for place, account in _list(top, "accounts", ""):
            owner_id = _owner(place, _object(account, place, ("name", "apps")), user_id)
            for app_place, app in _list(account, "apps", place):
                _add_app(owner_id, app_place, _object(app, app_place, (*_APP, "smtps")), added)
    return added


def _owner(place: str, account: dict[str, Any], user_id: str | None) -> str:
    if user_id is not None:
        return user_id
    name = account.get("name")
    try:
        return users.find_user(validators.user_name(name if isinstance(name, str) else "")).id
    except (NotFound, ValueError):
        raise BadDocument(
            f"{place}.name",
            f"There is no account {name!r}: create it first, or choose one with --user.",
        ) from None


def _add_app(owner_id: str, place: str, given: dict[str, Any], added: Added) -> None:
    changes = _NONE_OF_ITS_OWN | _read(given, _APP, place)
    try:
        app = apps.save(owner_id, cast(apps.AppChanges, changes))
    except NameTaken as error:
        raise BadDocument(f"{place}.name", error.detail) from None
    except QuotaReached as error:
        raise BadDocument(place, error.detail) from None
    added.apps += 1
    for smtp_place, smtp in _list(given, "smtps", place):
        found = _object(smtp, smtp_place, (*_SMTP, *fields.OAUTH))
        read, oauth = _read(found, _SMTP, smtp_place), _read(found, fields.OAUTH, smtp_place)
        try:
            smtps.save(
                owner_id,
                app.id,
                cast(smtps.SmtpChanges, read),
                oauth=cast(grants.OauthChanges, oauth),
            )
        except BadInput as error:
            name, messages = next(iter(error.errors.items()))
            raise BadDocument(f"{smtp_place}.{name}", messages[0]) from None
        except QuotaReached as error:
            raise BadDocument(smtp_place, error.detail) from None
        added.smtps += 1


def _read(given: dict[str, Any], table: Mapping[str, Field], place: str) -> dict[str, Any]:
    """Return the values of an object, each validated by its rule; null counts as absent."""
    accepted = {}
    for name, field in table.items():
        value = given.get(name)
        if value is None:
            if field.required:
                raise BadDocument(f"{place}.{name}", "Is required.")
            continue
        if isinstance(value, bool | int):
            value = json.dumps(value)
        if not isinstance(value, str):
            raise BadDocument(f"{place}.{name}", "Must be a single value.")
        try:
            accepted[name] = field.rule(value)
        except ValueError as error:
            raise BadDocument(f"{place}.{name}", str(error)) from None
    return accepted


def _list(within: dict[str, Any], name: str, place: str) -> list[tuple[str, Any]]:
    here = f"{place}.{name}" if place else name
    found = within.get(name)
    if not isinstance(found, list):
        raise BadDocument(here, "Must be a list.")
    return [(f"{here}[{index}]", item) for index, item in enumerate(found)]


class _Members(dict[str, Any]):
    """A JSON object that records which of its members were duplicated."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        times = Counter(name for name, _value in pairs)
        self.repeated = [name for name, number in times.items() if number > 1]


def _object(value: Any, place: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return an object; refuse unknown members, which we would ignore, and duplicate ones."""
    if not isinstance(value, _Members):
        raise BadDocument(place, "Must be an object.")
    for name in value.repeated:
        raise BadDocument(place, f"The member {name!r} appears more than once.")
    for name in value:
        if name not in names:
            raise BadDocument(place, f"There is no member {name!r} in this format.")
    return value
