"""What is likely to be wrong with a password: found when it is saved, and kept as codes.

So a list of SMTP servers opens none. A finding is the code of a warning; what its text needs
follows after a colon, such as ``INVISIBLE_CHARACTERS:200B:5``; several are separated by
spaces. It never contains a visible character of the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..mailcheck.core.invisible import first_invisible
from . import presets

_SIXTEEN_LETTERS = re.compile(r"[a-z]{16}", re.ASCII | re.IGNORECASE)
# A secret access key has 40 of these; the SMTP password that is derived from one has 44.
_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}", re.ASCII)
# Tokens, keys and codes: they are generated, so a space in one came from copying
_GENERATED = frozenset(
    {"key", "secret-key", "smtp-key", "smtp-token", "token", "same", "ses", "code", "secure-key"}
)
INVISIBLE_CHARACTERS = "INVISIBLE_CHARACTERS"
BOTH_ENDS, START, END, INSIDE = "both-ends", "start", "end", "inside"


class Noted(NamedTuple):
    """What is kept of the credentials of an SMTP server, by the names of its columns."""

    username_is_secret: bool
    password_findings: str | None


def note(host: str, username: str | None, password: str | None) -> Noted:
    """What is to be kept of these credentials beside themselves."""
    found = None if password is None else findings(host, password)
    return Noted(presets.is_secret_name(host, username, password), found)


def findings(host: str, password: str) -> str:
    """What is likely to be wrong with a password at this host; "" where nothing is."""
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
    """What came from copying: "200B:5" is code point and position, "" means nothing."""
    if not value:
        return ""
    # Tab and no-break space cannot be seen either, so they are named by their position
    if found := first_invisible(value):
        return f"{ord(found.char):04X}:{found.position}"
    starts, ends = value[0].isspace(), value[-1].isspace()
    if starts or ends:
        return BOTH_ENDS if starts and ends else START if starts else END
    return INSIDE if generated and " " in value else ""
