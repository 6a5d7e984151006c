"""CPU time and memory of a service: all processes of its group, read from /proc (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def members(group: int) -> list[int]:
    """Return the processes of a process group."""
    return [pid for pid, fields in _stats() if int(fields[2]) == group]


def cpu_of_group(group: int) -> float:
    """Return the CPU seconds of a process group so far."""
    return sum(_seconds(fields) for _, fields in _stats() if int(fields[2]) == group)


def cpu_of_children(parent: int) -> float:
    """Return the CPU seconds of a process, its children, and those that have ended."""
    return sum(
        _seconds(fields) + (_seconds(fields, 13) if pid == parent else 0)
        for pid, fields in _stats()
        if parent in (pid, int(fields[1]))
    )


def pss(pid: int) -> float:
    """Return the proportional set size of a process in MiB: shared pages are divided."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")


def _seconds(fields: list[str], first: int = 11) -> float:
    return (int(fields[first]) + int(fields[first + 1])) / _TICKS


def _stats() -> list[tuple[int, list[str]]]:
    """Return (process, fields of its stat from the third on: state, parent, group, ...)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has just ended
                continue
            found.append((int(folder.name), stat.rpartition(")")[2].split()))
    return found
