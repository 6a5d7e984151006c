"""What a browser measures of a page: bytes received, elements, layout shift, largest paint."""

from __future__ import annotations

from typing import Any, NamedTuple

from playwright.sync_api import Page

# 1.6 Mbit/s and 150 ms: what Lighthouse calls slow 4G
LATENCY, BYTES_PER_SECOND = 150, 1_600_000 // 8

_OBSERVE = """type => new Promise(done => {
  const seen = [];
  new PerformanceObserver(list => seen.push(...list.getEntries())).observe({type, buffered: true});
  const read = () => seen.filter(it => !it.hadRecentInput).map(it => it.value ?? it.startTime);
  setTimeout(() => done(read()), 200);
})"""


class Vitals(NamedTuple):
    """``document`` and ``all``: bytes as they came over the wire; ``largest_paint``: ms."""

    document: float
    all: float
    elements: int
    shift: float
    largest_paint: float


class Meter:
    """Measures pages in a tab."""

    def __init__(self, page: Page, *, slow: bool = False) -> None:
        self._page = page
        self._kinds: dict[str, str] = {}
        self._received: dict[str, float] = {}
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.responseReceived", self._begins)
        network.on("Network.loadingFinished", self._ends)
        self._network = network
        if slow:
            network.send(
                "Network.emulateNetworkConditions",
                {
                    "offline": False,
                    "latency": LATENCY,
                    "downloadThroughput": BYTES_PER_SECOND,
                    "uploadThroughput": BYTES_PER_SECOND,
                },
            )

    def keep_files(self, keeps: bool) -> None:
        """Use the browser's cache from now on, or have it as in a first visit."""
        self._network.send("Network.setCacheDisabled", {"cacheDisabled": not keeps})

    def _begins(self, event: dict[str, Any]) -> None:
        self._kinds[event["requestId"]] = event["type"]

    def _ends(self, event: dict[str, Any]) -> None:
        self._received[event["requestId"]] = event["encodedDataLength"]

    def open(self, url: str) -> Vitals:
        """Open a page, wait until all is loaded, and measure."""
        self._kinds.clear()
        self._received.clear()
        reply = self._page.goto(url, wait_until="networkidle")
        assert reply
        assert reply.ok, url
        paints = self._page.evaluate(_OBSERVE, "largest-contentful-paint")
        shifts = self._page.evaluate(_OBSERVE, "layout-shift")
        return Vitals(
            document=sum(
                size for name, size in self._received.items() if self._kinds[name] == "Document"
            ),
            all=sum(self._received.values()),
            elements=self._page.evaluate("document.querySelectorAll('*').length"),
            shift=sum(shifts),
            largest_paint=paints[-1] if paints else 0.0,
        )
