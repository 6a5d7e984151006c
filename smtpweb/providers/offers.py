"""Email services that can be tried without paying (``offers.toml``), with dated sources."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..mailcheck.core.once import once
from . import presets
from .presets import Preset

FILE = Path(__file__).with_suffix(".toml")
VALID_FOR = timedelta(days=365)
_LOGINS = ("password", "oauth")
_SANDBOXES = ("", "first", "only")
_FIGURES = ("per_day", "per_month", "days")
_KNOWN = {"id", "sign_up", "login", "sandbox", "source", "checked", *_FIGURES}


class BadOffer(ValueError):
    """An entry of the file is not valid; the message names it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider offers; see the file. Figures are None where no source is known."""

    preset: Preset
    sign_up: str
    login: str
    sandbox: str = ""
    per_day: int | None = None
    per_month: int | None = None
    days: int | None = None
    source: str = ""
    checked: date | None = None

    @property
    def takes_passwords(self) -> bool:
        """Whether apps sign in with a password; else with OAuth."""
        return self.login == "password"

    def is_dated(self, today: date) -> bool:
        """Whether its source was read within the last year: otherwise it must not be shown."""
        return self.checked is not None and self.checked + VALID_FOR >= today


@once
def offers() -> tuple[Offer, ...]:
    """Return all offers, in the order of the file; raise :class:`BadOffer`."""
    return read(FILE.read_text(encoding="utf-8"))


def read(text: str) -> tuple[Offer, ...]:
    """Read and validate the text of such a file."""
    return tuple(_offer(entry) for entry in tomllib.loads(text)["offer"])


def _offer(entry: Mapping[str, Any]) -> Offer:
    name = str(entry.get("id"))

    def require(met: bool, message: str) -> None:
        if not met:
            raise BadOffer(f"offer {name!r}: {message}")

    preset = presets.of_id(name)
    if preset is None:
        raise BadOffer(f"offer {name!r}: no such provider in presets.toml")
    require(set(entry) <= _KNOWN, f"unknown members {sorted(set(entry) - _KNOWN)}")
    require(_is_https(entry.get("sign_up")), "sign_up must be an https URL")
    require(entry.get("login") in _LOGINS, f"login must be one of {_LOGINS}")
    require(entry.get("sandbox", "") in _SANDBOXES, f"sandbox must be one of {_SANDBOXES}")
    figures = [figure for figure in _FIGURES if figure in entry]
    for figure in figures:
        number = entry[figure]
        require(type(number) is int and number > 0, f"{figure} must be a positive number")
    if figures or entry.get("sandbox"):
        require(_is_https(entry.get("source")), "a figure or a sandbox needs a source")
        require(type(entry.get("checked")) is date, "a figure or a sandbox needs a date")
    require("days" not in entry or len(figures) > 1, "days needs the number of emails")
    return Offer(preset, **{key: value for key, value in entry.items() if key != "id"})


def _is_https(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)
