"""Detect likely mistakes in a password when it is saved, and store them as codes.

Lists of SMTP servers therefore need not decrypt passwords. A finding is the code of a warning;
the data for its text follows after a colon, such as ``INVISIBLE_CHARACTERS:200B:5``; several are
separated by spaces. It never contains a visible character of the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..mailcheck.core.invisible import first_invisible
from . import presets

_SIXTEEN_LETTERS = re.compile(r"[a-z]{16}", re.ASCII | re.IGNORECASE)
# A secret access key has 40 of these; the SMTP password derived from one has 44.
_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}", re.ASCII)
# Tokens, keys and codes: they are generated, so a space in one was copied accidentally
_GENERATED = frozenset(
    {"key", "secret-key", "smtp-key", "smtp-token", "token", "same", "ses", "code", "secure-key"}
)
INVISIBLE_CHARACTERS = "INVISIBLE_CHARACTERS"
BOTH_ENDS, START, END, INSIDE = "both-ends", "start", "end", "inside"


class Noted(NamedTuple):
    """What is stored about the credentials of an SMTP server, named like its columns."""

    username_is_secret: bool
    password_findings: str | None


def note(host: str, username: str | None, password: str | None) -> Noted:
    """Return what to store about these credentials, in addition to the credentials themselves."""
    found = None if password is None else findings(host, password)
    return Noted(presets.is_secret_name(host, username, password), found)


def findings(host: str, password: str) -> str:
    """Return what is likely to be wrong with a password at this host; "" if nothing is."""
    return " ".join(_findings(host, password))


def _findings(host: str, password: str) -> Iterator[str]:
    known = presets.of_host(host)
    form = known.password_form if known else ""
    if blank := blank_in(password, generated=form in _GENERATED):
        yield f"{INVISIBLE_CHARACTERS}:{blank}"
    bare = "".join(password.split())
    if form == "sixteen" and not _SIXTEEN_LETTERS.fullmatch(bare):
        yield "NO_APP_PASSWORD"
    if form == "ses" and _AWS_SECRET.fullmatch(bare):
        yield "AWS_ACCESS_KEY"
    if known and known.word and password.strip() == known.word:
        yield "PASSWORD_IS_THE_WORD"


def blank_in(value: str, *, generated: bool) -> str:
    """Find a copying mistake: "200B:5" is code point and position, "" means none."""
    if not value:
        return ""
    # Tab and no-break space are invisible too, so they are reported by position
    if found := first_invisible(value):
        return f"{ord(found.char):04X}:{found.position}"
    starts, ends = value[0].isspace(), value[-1].isspace()
    if starts or ends:
        return BOTH_ENDS if starts and ends else START if starts else END
    return INSIDE if generated and " " in value else ""
