"""``python -m bench.pages``: the CPU time of the server for a page, and what a slow phone sees."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable

from bench.load import report
from bench.load.local import installed, times_of
from bench.pages import browser
from tests.support.browser import signed_in
from tests.support.lists import add_check
from tests.support.people import make_person

GOALS = {"app page, 20 SMTP servers": 12, "result of a check": 8}


def main() -> None:
    """Measure; print the report, and write it to docs/ with ``--write``."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, metavar="N", help="default: 60")
    parser.add_argument("--visits", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    parts = [
        report.origin(),
        _measured(options.rounds),
        "On a phone of 390 by 844 pixels in Chromium, with 1.6 Mbit/s and 150 ms:",
        browser.measured(options.visits),
    ]
    text = "\n\n".join(parts)
    print(text)
    if options.write:
        report.write_into("pages", text)


def _measured(rounds: int) -> str:
    with tempfile.TemporaryDirectory(prefix="smtpweb-bench-") as folder:
        app = installed(f"sqlite:///{folder}/smtpweb.db")
        ana = make_person(app, "ana")
        shop = ana.make_app("shop", strategy="PRIORITY")["_id"]
        smtp = ""
        for number in range(20):
            smtp = ana.make_smtp(
                shop, host="127.0.0.1", port=1, auth="true", starttls="true", priority=number,
                username=f"shop{number}@example.com", password="correct horse",
            )["_id"]  # fmt: skip
            with app.app_context():
                for check in range(30):
                    add_check(smtp, 10 * check + 1, check % 7 != 0)
        for number in range(49):
            ana.make_app(f"app {number}")
        result = ana.post("/private/smtps/check", idsmtp=smtp).json["idcheck"]
        client = signed_in(app, ana).client

        def page(path: str) -> Callable[[], None]:
            def get() -> None:
                assert client.get(path).status_code == 200, path

            return get

        acts = {
            "list of 50 apps": page("/apps"),
            "app page, 20 SMTP servers": page(f"/apps/{shop}"),
            "SMTP server with its history": page(f"/smtps/{smtp}"),
            "form of an SMTP server": page(f"/smtps/{smtp}/edit"),
            "result of a check": page(f"/checks/{result}"),
        }
        times = times_of(acts, rounds)
    rows = [[name, f"{cpu:.1f}", str(GOALS.get(name, ""))] for name, (cpu, _) in times.items()]
    return report.table(("page", "CPU ms", "goal"), rows)


if __name__ == "__main__":
    main()
