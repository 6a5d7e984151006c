"""Make server text safe to store and show: cleaned, without credentials, limited in length.

A server may answer with anything: terminal escapes, right-to-left text, or the password it was
just sent. ``Recorder.said`` passes all server text through here.

A credential that appears verbatim is cut out of the text. One that appears only after decoding
hides the whole text, because its start and end in the encoded form are unknown.
"""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
import urllib.parse

from . import encodings

HIDDEN = "(hidden)"
MAX_TEXT = 500
MAX_SEEN = 64  # texts
MIN_FRAGMENTED = 48  # characters of a secret of which parts are recognized too

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL)
_BETWEEN = re.compile(r"[\W_]+")  # what may separate the letters of a word
_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}", re.ASCII)
# Control, format (bidi, zero width), surrogate, private use, unassigned, line/paragraph separators
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def cleaned(text: str) -> str:
    """Return ``text`` on one line, without cursor movements or bidirectional controls."""
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("\N{REPLACEMENT CHARACTER}", text)
    return "".join(
        " " if char in "\t\r\n" else "\N{REPLACEMENT CHARACTER}" if _is_unfit(char) else char
        for char in text
    )


def _is_unfit(char: str) -> bool:
    return unicodedata.category(char) in _UNFIT


def cut(text: str, length: int = MAX_TEXT) -> str:
    """Return at most ``length`` characters, with an ellipsis if text was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


class Fragments:
    """Parts of one long secret, plain or encoded, each of which must not be shown.

    Every eighth substring of twelve letters is kept, so any part of nineteen is recognized.
    """

    _LENGTH = 12
    _STEP = 8

    def __init__(self, secret: str):
        letters = encodings.squeezed(secret)
        forms = {letters, letters[::-1], *encodings.simple_encodings_of(secret.encode())}
        self._parts = frozenset(
            form[start : start + self._LENGTH]
            for form in forms
            for start in range(0, max(1, len(form) - self._LENGTH + 1), self._STEP)
        )

    def are_in(self, squeezed: str) -> bool:
        """Check whether a text, reduced to letters and digits, contains a part."""
        return any(
            squeezed[start : start + self._LENGTH] in self._parts
            for start in range(len(squeezed) - self._LENGTH + 1)
        )


class Secrets:
    """The secrets to hide from any text, in the forms in which a server may send them back."""

    def __init__(self, username: str, password: str, access_token: str = ""):
        self._password = password
        self._raw = password.encode("utf-8", "surrogatepass")
        self._plain: list[str] = []
        self._tokens: list[str] = []
        self._folded_tokens: list[str] = []
        self._letters: list[str] = []  # of the password and of what was sent during AUTH
        self._short: re.Pattern[str] | None = None
        self._exact = ""  # without spaces, if it has too few letters to match by letters
        self._encodings: frozenset[str] = frozenset()  # squeezed
        self._fragments: Fragments | None = None
        self._others: list[Secrets] = []
        # Servers repeat themselves: the EHLO greeting is sent twice and shown twice
        self._seen: dict[str, str] = {}
        if access_token:
            self._add_access_token(username, access_token)
        if not password:
            return
        if len(password) < 4:
            # Removing every "a" from a text would reveal the password by what is missing
            word = re.escape(password)
            self._short = re.compile(rf"(?<!\w){word}(?!\w)", re.IGNORECASE)
        else:
            self._plain = sorted(_spellings(password), key=len, reverse=True)
            self._add_letters(password)
            self._encodings = self._all_encodings()
            letters = encodings.squeezed(password)
            if len(letters) < encodings.MIN_LETTERS:
                self._exact = _without_blanks(password)
        raw, user = self._raw, username.encode("utf-8", "surrogatepass")
        for secret in (raw, b"\0" + user + b"\0" + raw, user + b"\0" + user + b"\0" + raw):
            self.add_token(base64.b64encode(secret).decode())
        self.add_token(base64.b64encode(user + b":" + raw).decode())

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"

    def add_token(self, token: str) -> None:
        """Also hide ``token``, which was sent during AUTH (base64) or in the test email."""
        token = token.rstrip("=")
        if len(token) >= 4:
            self._tokens.append(token)
            self._folded_tokens.append(token.lower())
            self._add_letters(token)
            self._seen.clear()

    def _add_access_token(self, username: str, token: str) -> None:
        """Also hide an OAuth 2.0 access token, and any longer part of it.

        Access tokens are longer than a line of a reply may be, so they come back in pieces only.
        """
        self.add_token(token)
        if len(token) < MIN_FRAGMENTED:
            self._others.append(Secrets(username, token))
        else:
            self._fragments = Fragments(token)

    def _add_letters(self, secret: str) -> None:
        letters = _BETWEEN.sub("", secret.lower())
        if len(letters) >= 6:  # fewer would match across ordinary words
            self._letters.append(letters)

    def _all_encodings(self) -> frozenset[str]:
        letters = encodings.squeezed(self._password)
        spelled = {letters, letters[::-1]} if len(letters) >= encodings.MIN_LETTERS else set()
        encoded = encodings.encodings_of(self._raw)
        return frozenset(spelled | encoded | {form[::-1] for form in encoded})

    def scrubbed(self, text: str) -> str:
        """Return ``text`` with every form of the credentials replaced."""
        if not self._password and not self._tokens:
            return text
        if (known := self._seen.get(text)) is not None:
            return known
        if len(self._seen) == MAX_SEEN:
            self._seen.clear()
        scrubbed = self._scrub(text)
        for other in self._others:
            scrubbed = other.scrubbed(scrubbed)
        self._seen[text] = scrubbed
        return scrubbed

    def _scrub(self, text: str) -> str:
        folded = text.lower()
        for plain in self._plain:
            if plain in folded:
                text = re.sub(re.escape(plain), HIDDEN, text, flags=re.IGNORECASE)
                folded = text.lower()
        for token in self._folded_tokens:
            if token in folded:
                # Not followed by a base64 character: "Mg" is not a token inside "Mgr"
                pattern = rf"(?<![A-Za-z0-9+/]){re.escape(token)}=*(?![A-Za-z0-9+/])"
                text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
                folded = text.lower()
        letters_of_text = _BETWEEN.sub("", folded)
        for letters in self._letters:
            if letters in letters_of_text:  # split by spaces, dots or invisible characters
                pattern = _BETWEEN.pattern.replace("+", "*").join(letters)
                text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
        if self._short is not None:
            text = self._short.sub(HIDDEN, text)
        text = _RUN.sub(self._judged, text)
        return HIDDEN if self.are_in(text) else text

    def are_in(self, text: str) -> bool:
        """Check whether ``text`` contains an encoded password, or seems made to hide it."""
        if any(other.are_in(text) for other in self._others):
            return True
        if not self._encodings and not self._letters and self._fragments is None:
            return False
        try:
            views = encodings.views(text.replace(HIDDEN, " "))
            return any(self._stand_in(view) for view in views)
        except encodings.TooMuch:
            return True

    def _stand_in(self, view: str) -> bool:
        squeezed = encodings.squeezed(view)
        if self._fragments is not None and self._fragments.are_in(squeezed):
            return True
        if any(form in squeezed for form in (*self._encodings, *self._letters)):
            return True
        return bool(self._exact) and self._exact in _without_blanks(view)

    def _judged(self, found: re.Match[str]) -> str:
        """Hide a run of base64 or hexadecimal that contains a credential or is part of one."""
        run = found[0].rstrip("=")
        for token in self._tokens:
            # Also matches a token that was cut, folded over two lines or put between other words
            if run in token or (len(token) >= 8 and token in run):
                return HIDDEN
        squeezed = encodings.squeezed(run)
        if self._fragments is not None and self._fragments.are_in(squeezed):
            return HIDDEN
        if len(run) < max(8, len(self._raw)):
            return found[0]
        return HIDDEN if any(form in squeezed for form in self._encodings) else found[0]


def _without_blanks(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _spellings(password: str) -> set[str]:
    raw = password.encode("utf-8", "surrogatepass")
    forms = {password, password[::-1], raw.hex()}
    if not (password.isascii() and password.isalnum()):  # otherwise all of these are the same
        forms |= {
            password.strip(),
            raw.decode("latin-1"),
            cleaned(password),
            urllib.parse.quote(raw, safe=""),
            urllib.parse.quote(raw),
            urllib.parse.quote_plus(raw),
            html.escape(password),
            json.dumps(password)[1:-1],
            repr(password)[1:-1],
            "".join(f"+{byte:02X}" if byte in b"+=" else chr(byte) for byte in raw),  # RFC 3461
        }
    return {form.lower() for form in forms if len(form) >= 4}
