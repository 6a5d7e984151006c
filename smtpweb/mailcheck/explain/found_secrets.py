"""The secrets that a pasted text reveals, to hide them wherever else the text repeats them."""

from __future__ import annotations

import urllib.parse

from ..core import encodings
from ..core.redaction import HIDDEN

MAX_SECRETS = 32  # to look for in the rest of the text
_SHORTEST = 6  # characters; shorter ones would match inside ordinary words
_SHORTEST_MIXED = 4  # with a digit or a symbol


class FoundSecrets:
    """Secrets, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, secret: str) -> None:
        """Also hide ``secret`` in the rest of the text, and what it percent-decodes to."""
        for form in (secret, secret.strip(" \t,;"), urllib.parse.unquote(secret)):
            if _is_distinct(form) and form not in HIDDEN:
                self._found[form] = None

    def hide(self, secret: str) -> str:
        """Add ``secret``, and return what is shown in its place."""
        self.add(secret)
        return HIDDEN

    def removed_from(self, text: str) -> str:
        """Return ``text`` without the secrets, verbatim or encoded."""
        secrets = sorted(self._found, key=len, reverse=True)[:MAX_SECRETS]
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        encoded = _Encoded([secret for secret in secrets if len(secret) >= _SHORTEST])
        return "\n".join(map(encoded.removed_from, text.split("\n"))) if encoded else text


def _is_distinct(secret: str) -> bool:
    return len(secret) >= (_SHORTEST if secret.isalpha() else _SHORTEST_MIXED)


class _Encoded:
    """Secrets in the encodings of ``core/encodings.py``."""

    def __init__(self, secrets: list[str]) -> None:
        self._plain = [secret.casefold() for secret in secrets]
        forms = {
            form
            for secret in secrets
            for form in encodings.encodings_of(secret.encode("utf-8", "surrogatepass"))
        }
        # A word of letters alone may also stand across the ends of ordinary words
        forms |= {
            letters
            for letters in map(encodings.squeezed, secrets)
            if len(letters) >= encodings.MIN_LETTERS and not letters.isalpha()
        }
        self._forms = frozenset(forms | {form[::-1] for form in forms})

    def __bool__(self) -> bool:
        return bool(self._plain)

    def removed_from(self, line: str) -> str:
        if not self._are_in(line):
            return line
        words = line.split(" ")
        kept = " ".join(HIDDEN if self._are_in(word) else word for word in words)
        return HIDDEN if self._are_in(kept) else kept

    def _are_in(self, text: str) -> bool:
        if len(text) < _SHORTEST:
            return False
        try:
            return any(self._stand_in(view) for view in encodings.views(text.replace(HIDDEN, " ")))
        except encodings.TooMuch:
            return True

    def _stand_in(self, view: str) -> bool:
        folded = view.casefold()
        backwards = folded[::-1]
        if any(plain in folded or plain in backwards for plain in self._plain):
            return True
        squeezed = encodings.squeezed(view)
        return any(form in squeezed for form in self._forms)
