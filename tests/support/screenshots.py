"""Screenshots of the main pages for README and docs: ``make screenshots`` writes docs/images/.

Phone and desktop, light and dark, of an installation with an example of everything.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.chromium import DESKTOP, PHONE, chromium_browser
from tests.support.tour import tour

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = ("apps", "app", "new-smtp", "check-refused", "check-accepted")
TALLEST = {"phone": 1900, "desktop": 1300}


def main() -> None:
    """Create all screenshots again."""
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        tour(Path(folder)) as toured,
        chromium_browser() as chromium,
    ):
        for device, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            for scheme in ("light", "dark"):
                with chromium.new_context(
                    viewport=viewport, color_scheme=scheme, reduced_motion="reduce", locale="en"
                ) as context:
                    page = context.new_page()
                    toured.sign_in(page)
                    for name in SHOWN:
                        page.goto(toured.url + toured.pages[name])
                        tall = page.evaluate("document.documentElement.scrollHeight")
                        page.screenshot(
                            path=IMAGES / f"{name}-{device}-{scheme}.png",
                            full_page=True,
                            clip={"x": 0, "y": 0, "width": viewport["width"],
                                  "height": min(tall, TALLEST[device])},
                        )  # fmt: skip


if __name__ == "__main__":
    main()
