"""What a phone on a slow network sees of the lists: Chromium against a real server."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.load import report
from tests.support.chromium import chromium_browser
from tests.support.many_servers import many_servers
from tests.support.vitals import Meter, Vitals

_TITLES = {"app": "app page, 50 of 60 SMTP servers", "servers": "all SMTP servers, 50 of 60",
           "apps": "list of 50 apps"}  # fmt: skip


def measured(rounds: int) -> str:
    """Return a table: the first visit, with nothing kept, and later ones."""
    with (
        tempfile.TemporaryDirectory(prefix="smtpweb-bench-") as folder,
        many_servers(Path(folder)) as many,
        chromium_browser() as chromium,
        chromium.new_context(viewport={"width": 390, "height": 844}) as context,
    ):
        page = context.new_page()
        many.sign_in(page)
        meter = Meter(page, slow=True)
        rows = []
        for keeps, visit in ((False, "first visit"), (True, "later")):
            meter.keep_files(keeps)
            for name, title in _TITLES.items():
                meter.open(many.url + many.pages[name])  # the process compiles its template
                seen = [meter.open(many.url + many.pages[name]) for _ in range(rounds)]
                rows.append([f"{title}, {visit}", *_cells(seen)])
    return report.table(
        ("page", "document, bytes", "with its files", "elements", "layout shift",
         "largest paint, ms"), [*rows, ["goal", "40,000", "", "700", "0.02", "1200"]],
    )  # fmt: skip


def _cells(seen: list[Vitals]) -> list[str]:
    def middle(name: str) -> float:
        return statistics.median(getattr(one, name) for one in seen)

    return [
        f"{middle('document'):,.0f}",
        f"{middle('all'):,.0f}",
        f"{middle('elements'):.0f}",
        f"{max(one.shift for one in seen):.3f}",
        f"{middle('largest_paint'):.0f}",
    ]
