"""``python -m bench.growth``: calls and pages with 1,000 to 1,000,000 SMTP servers.

All databases are filled first and asked in turns, so that ratios compare the same moments. CPU is
that of smtpweb alone; the time includes PostgreSQL, which runs beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import count

from bench.load import report
from bench.load.databases import KINDS, Database, database
from bench.load.local import fill, installed, times_of
from tests.support.browser import signed_in

SIZES = (1_000, 100_000, 1_000_000)


def main() -> None:
    """Measure; print the report, and write it to docs/ with ``--write``."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="default: 40")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="N")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    parts = [report.origin()]
    for kind in options.databases:
        with database(kind) as running:
            parts += _measured(running, options.sizes, options.rounds)
        print(parts[-1], flush=True)
    text = "\n\n".join(parts)
    print(text)
    if options.write:
        report.write_into("growth", text)


def _measured(running: Database, sizes: list[int], rounds: int) -> list[str]:
    acts: dict[str, Callable[[], None]] = {}
    names: dict[str, None] = {}
    for size in sizes:
        for name, act in _acts(running.url("growth"), size).items():
            acts[f"{name} {size}"] = act
            names[name] = None
    times = times_of(acts, rounds)
    rows = []
    for name in names:
        found = [times[f"{name} {size}"] for size in sizes]
        rows.append(
            [name, *(f"{cpu:.2f} / {wall:.2f}" for cpu, wall in found),
             f"{found[-1][0] / found[0][0]:.2f}"]
        )  # fmt: skip
    titles = ("ms of CPU / in all", *(f"{size:,} servers" for size in sizes), "CPU, last : first")
    return [f"### {running.kind}", report.table(titles, rows)]


def _acts(url: str, size: int) -> dict[str, Callable[[], None]]:
    """Fill a database; a quarter of its apps, at most 250,000, are those of one owner."""
    app = installed(url)
    owner = fill(app, size, of_one_owner=min(size // 4, 250_000))
    shop = owner.make_app("shop")["_id"]
    smtp, _ = (owner.make_smtp(shop)["_id"] for _ in range(2))
    numbers = count()
    client = signed_in(app, owner).client

    def call(path: str, **given: object) -> Callable[[], None]:
        def get() -> None:
            assert owner.get(path, **given).status_code == 200, path

        return get

    def page(path: str) -> Callable[[], None]:
        def get() -> None:
            assert client.get(path).status_code == 200, path

        return get

    return {
        "findByApp of 2": call("/private/smtps/findByApp", idapp=shop),
        "findById": call("/private/smtps/findById", idsmtp=smtp),
        "apps/findAll, 20 apps": call("/private/apps/findAll", page=0, size=20),
        "save": lambda: owner.make_smtp(shop, idsmtp=smtp, priority=next(numbers)) and None,
        "app page": page(f"/apps/{shop}"),
        "apps page of the owner of many": page("/apps"),
    }


if __name__ == "__main__":
    main()
