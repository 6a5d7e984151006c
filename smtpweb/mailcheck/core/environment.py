"""What our own machine and the typed values tell about a failure."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path


@functools.lru_cache(1)
def in_container() -> bool:
    """Whether we run in a container, where ``localhost`` is the container itself."""
    if any(Path(name).exists() for name in ("/.dockerenv", "/run/.containerenv")):
        return True
    try:
        groups = Path("/proc/1/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return any(word in groups for word in ("docker", "kubepods", "containerd", "lxc"))


def invisible(text: str) -> int | None:
    """The position, from 1, of the first character that a person cannot see was typed.

    Blanks at the ends count, because they come with copying.
    """
    for position, char in enumerate(text, 1):
        at_end = position in (1, len(text))
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") or (
            char != " " and char.isspace()
        ):
            return position
        if char == " " and at_end:
            return position
    return None
