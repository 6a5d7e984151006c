"""What our own machine and the entered values reveal about a failure."""

from __future__ import annotations

from pathlib import Path

from .once import once


@once
def in_container() -> bool:
    """Check whether we run in a container, where ``localhost`` is the container itself."""
    if any(Path(name).exists() for name in ("/.dockerenv", "/run/.containerenv")):
        return True
    try:
        groups = Path("/proc/1/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return any(word in groups for word in ("docker", "kubepods", "containerd", "lxc"))
