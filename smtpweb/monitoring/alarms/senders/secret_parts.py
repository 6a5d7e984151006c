"""The secret parts of the URL of an alarm, which no result may show.

Whoever knows the path of a webhook, or the tokens in an Apprise URL, can send through it. Receivers
repeat them: many frameworks answer an unknown path with the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from ....mailcheck.core.redaction import MIN_FRAGMENTED, Secrets, cleaned

# Names such as "hooks", "incoming-webhooks" and "Services": a result may contain them
_WORDS = re.compile(r"[A-Z]?[a-z]{1,15}(?:[-_.~][A-Z]?[a-z]{1,15}){0,2}", re.ASCII)
_SHORT, _LONG = 4, 8  # characters: fewer occur in any text, as a secret and as a segment


def hidden_in(text: str, url: str, *others: str) -> str:
    """Return the text of a receiver on one line, without the secret parts of its ``url``.

    ``others``: further secrets that the receiver knows.
    """
    shown = cleaned(text)
    found = {*_parts_of(url), *filter(None, others)}
    for part in sorted(found, key=len, reverse=True):
        long = len(part) >= MIN_FRAGMENTED  # then parts of it are hidden, too
        secrets = Secrets("", "", part) if long else Secrets("", part)
        shown = secrets.scrubbed(shown)
    return shown


def _parts_of(url: str) -> Iterator[str]:
    split = urlsplit(url)
    credentials, _at, place = split.netloc.rpartition("@")
    path = split.path.strip("/")
    segments = [part for part in path.split("/") if len(part) >= _LONG]
    telling = [part for part in segments if not _WORDS.fullmatch(part)]
    values = [*credentials.split(":"), *(value for _name, value in parse_qsl(split.query))]
    if "." not in place and not place.startswith(("[", "localhost")):
        values += place.split(":")  # Apprise: slack://TOKEN/TOKEN/TOKEN
    if telling or any(values) or any(map(str.isdigit, path)):
        values.append(path)  # its short segments together
    values.append(split.query)
    for part in (*telling, *(value for value in values if len(value) >= _SHORT)):
        yield part
        yield unquote(part)
