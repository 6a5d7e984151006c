"""The figures as Markdown: the goals, then all measurements, the baseline first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .api import ApiTimes
from .concurrency import Concurrency
from .hostile import DEADLINE, DRIVERS, Ending
from .trips import Cost, Trips

LABELS = {
    "baseline-epoll": "**baseline**, epoll",
    "baseline-asyncio": "**baseline**, asyncio",
    "smtpweb-blocking": "**smtpweb**, `check`",
    "smtpweb-asyncio": "**smtpweb**, `check_async`, `check_many`",
    "smtplib-shared": "smtplib, one shared TLS context",
    "smtplib-documented": "smtplib as documented",
    "aiosmtplib-shared": "aiosmtplib, one shared TLS context",
    "aiosmtplib-documented": "aiosmtplib as documented",
    "nodemailer": "nodemailer `sendMail`",
    "swaks-pipeline": "swaks `--pipeline`",
    "swaks": "swaks",
}
OURS = ("smtpweb-blocking", "smtpweb-asyncio")
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")


@dataclass
class Figures:
    """All figures of a run; parts that were not chosen are empty."""

    when: str
    machine: str
    load: float
    at_once: int
    missing: dict[str, str] = field(default_factory=dict)
    trips: dict[str, dict[str, Trips]] = field(default_factory=dict)
    cost: dict[str, Cost] = field(default_factory=dict)
    concurrency: dict[str, Concurrency] = field(default_factory=dict)
    real: dict[str, dict[str, float]] = field(default_factory=dict)
    api: ApiTimes | None = None
    endings: list[Ending] = field(default_factory=list)


def written(figures: Figures) -> str:
    """The whole report."""
    parts = [
        f"Measured {figures.when}: {figures.machine}; load average before: {figures.load:.1f}."
    ]
    parts += _goals(figures)
    for tls, found in figures.trips.items():
        parts += _trips(figures, tls, found)
    parts += _concurrency(figures)
    parts += _real(figures)
    parts += _api(figures)
    parts += _endings(figures)
    return "\n\n".join(parts)


def write_into(document: Path, text: str) -> None:
    """Replace the text between the marks."""
    head, begin, rest = document.read_text().partition(MARKS[0])
    _, end, tail = rest.partition(MARKS[1])
    assert begin, f"{document} has lost its marks"
    assert end, f"{document} has lost its marks"
    document.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _absent(figures: Figures, names: Iterable[str], columns: int) -> list[list[str]]:
    return [
        [LABELS.get(name, name), f"not installed: {figures.missing[name]}", *[""] * (columns - 2)]
        for name in names
        if name in figures.missing
    ]


def _goals(figures: Figures) -> list[str]:
    rows: list[list[str]] = []

    def goal(what: str, most: float, measured: float, form: str = "{:.2f}") -> None:
        shown = form.format(measured)
        reached = "yes" if float(form.format(measured).split()[0]) <= most else "**no**"
        rows.append([what, f"{most:g}", shown, reached])

    for tls, most in (("starttls", 9), ("implicit", 7)):
        for name in OURS:
            if tls in figures.trips:
                one = figures.trips[tls][name]
                form = "{:.1f} (QUIT " + one.quit + ")"
                goal(f"{LABELS[name]}, {tls}: round trips to the verdict", most, one.verdict, form)
    for server, most in (("Postfix", 10.2), ("Exim", 9.3)):
        for name in OURS:
            if server in figures.real:
                measured = figures.real[server][name]
                goal(f"{LABELS[name]}, {server}: wall in round trips", most, measured, "{:.1f}")
    if figures.concurrency:
        ours, peer = (
            figures.concurrency["smtpweb-asyncio"],
            figures.concurrency.get("aiosmtplib-shared"),
        )
        what = f"{figures.at_once} at once: "
        goal(what + "wall, x the asyncio baseline", 1.25, median(ours.wall_ratios))
        goal(what + "CPU a check, x the asyncio baseline", 1.5, median(ours.cpu_ratios))
        if peer is not None and peer.cpus:
            ratio = median(a / b for a, b in zip(ours.cpus, peer.cpus, strict=True))
            goal(what + "CPU a check, x aiosmtplib with a shared context", 0.6, ratio)
        goal(what + "memory a check under way, KiB", 80, ours.memory, "{:.0f}")
        goal(what + "TLS contexts made a check", 0, ours.contexts, "{:g}")
    if figures.api is not None:
        goal("by the API: ms beyond the conversation", 20, figures.api.beyond, "{:.1f}")
    if figures.endings:
        for what, most, worst in (
            (
                "seconds beyond the deadline",
                1.0,
                max(e.seconds for e in figures.endings) - DEADLINE,
            ),
            ("MiB more at its worst", 2.0, max(e.memory for e in figures.endings) / 1024),
            ("sockets left 1 s later", 0, max(e.sockets for e in figures.endings)),
            ("threads left 1 s later", 0, max(e.threads for e in figures.endings)),
        ):
            goal(f"any server behaviour: {what}", most, worst)
    if not rows:
        return []
    return ["### Goals", _table(("figure", "at most", "measured", "reached"), rows)]


def _trips(figures: Figures, tls: str, found: dict[str, Trips]) -> list[str]:
    rows = []
    for name, one in found.items():
        cost = figures.cost.get(name)
        rows.append(
            [
                LABELS[name], f"{one.verdict:.1f}", f"{one.total:.1f}", one.quit,
                " / ".join(f"{seconds * 1000:.0f}" for seconds in one.walls.values()),
                f"{cost.cpu * 1000:.2f} ({cost.ratio:.2f} x)" if cost and tls == "starttls" else "",
            ]
        )  # fmt: skip
    titles = [
        "client", "round trips to the verdict", "until it was done", "QUIT",
        "ms at 0 / 50 / 100 / 150 ms", "CPU ms a check (x asyncio baseline)",
    ]  # fmt: skip
    rows += _absent(figures, LABELS, len(titles))
    if tls != "starttls" or not figures.cost:
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    name = {"starttls": "STARTTLS", "implicit": "implicit TLS"}[tls]
    return [f"### One conversation at a time, {name}", _table(titles, rows)]


def _concurrency(figures: Figures) -> list[str]:
    if not figures.concurrency:
        return []
    rows = [
        [
            LABELS[name], f"{one.wall:.1f} ({median(one.wall_ratios):.2f} x)",
            f"{one.cpu * 1000:.2f} ({median(one.cpu_ratios):.2f} x)", f"{one.memory:.0f}",
            str(one.threads), f"{one.contexts:g}",
        ]
        for name, one in figures.concurrency.items()
    ]  # fmt: skip
    titles = (
        "client", "wall in round trips (x asyncio baseline)", "CPU ms a check (x asyncio baseline)",
        "KiB a check under way", "threads", "TLS contexts a check",
    )  # fmt: skip
    rows += _absent(figures, (n for n in LABELS if not n.startswith("swaks")), len(titles))
    rows.append(["swaks", "a process a check: left out", *[""] * (len(titles) - 2)])
    title = f"### {figures.at_once} conversations at once from one process, STARTTLS, 100 ms"
    return [title, _table(titles, rows)]


def _real(figures: Figures) -> list[str]:
    if not figures.real:
        return []
    servers = list(figures.real)
    names = list(next(iter(figures.real.values())))
    rows = [
        [LABELS[name], *(f"{figures.real[server][name]:.1f}" for server in servers)]
        for name in names
    ]
    absent = [
        f"{name}: not installed ({why})."
        for name, why in figures.missing.items()
        if name not in LABELS
    ]
    title = "### Real servers, STARTTLS, 100 ms: wall in round trips"
    return [title, _table(["client", *servers], rows), *absent]


def _api(figures: Figures) -> list[str]:
    if figures.api is None:
        return []
    one = figures.api
    return [
        "### One check by `POST /private/smtps/check`, server without delay",
        _table(
            ("ms in all", "the conversation", "beyond it", "worst", "checks"),
            [[f"{one.whole:.1f}", f"{one.conversation:.1f}", f"{one.beyond:.1f}",
              f"{one.worst_beyond:.1f}", str(one.count)]],
        ),
    ]  # fmt: skip


def _endings(figures: Figures) -> list[str]:
    if not figures.endings:
        return []
    found: dict[tuple[str, str], dict[str, Ending]] = {}
    for one in figures.endings:
        found.setdefault((one.misbehaviour, one.tls), {})[one.driver] = one
    rows = []
    for (misbehaviour, tls), by in found.items():
        both = [by[driver] for driver in DRIVERS]
        rows.append(
            [
                misbehaviour, tls or "none", " / ".join(dict.fromkeys(one.code for one in both)),
                " / ".join(f"{one.seconds:.2f}" for one in both),
                " / ".join(f"{one.memory}" for one in both),
                " / ".join(f"{one.sockets}" for one in both),
                " / ".join(f"{one.threads}" for one in both),
            ]
        )  # fmt: skip
    titles = (
        "the server ...", "TLS", "code", "ended after s", "KiB more", "sockets left",
        "threads left",
    )  # fmt: skip
    return [
        f"### Any server behaviour, deadline {DEADLINE:g} s (`check` / `check_async`)",
        _table(titles, rows),
    ]
