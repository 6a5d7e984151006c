"""One SMTP reply as it came, before anything of it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .charset import decoded

__all__ = ["RawReply", "decoded"]

_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?=\s|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class RawReply:
    """One whole reply as it came: the code and the text of each line, undecoded.

    ``before``: whole lines with another code that stood in front of a refusal, and are void.
    """

    code: int
    lines: tuple[bytes, ...]
    before: tuple[bytes, ...] = ()

    @property
    def positive(self) -> bool:
        """A reply of class 2 (RFC 5321 4.2.1: the first digit decides)."""
        return self.code < 300

    @property
    def enhanced(self) -> str:
        """The enhanced status code of RFC 3463, or "" if the server gives none."""
        found = _ENHANCED.match(decoded(self.lines[0]))
        # RFC 2034 4: the class is that of the reply; anything else is just text
        return found[1] if found and found[1][0] == str(self.code)[0] else ""

    @property
    def text(self) -> str:
        """The words of all lines, without the enhanced code that some servers repeat."""
        words = (decoded(line) for line in self.lines)
        if enhanced := self.enhanced:
            words = (word.removeprefix(enhanced) for word in words)
        return " ".join(stripped for word in words if (stripped := word.strip()))
