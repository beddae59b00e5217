"""How long the playground takes until its samples can be clicked, and what it transfers until then.

`python -m benchmarks.first_view [--views N]` needs Debian's Chromium. Each view has an empty cache. Before it, the
service answered the page once, because a service that has just started packs its files first.
"""

import argparse
import logging
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.browser_drift import OPTIONS, serving
from benchmarks.measuring import machine_facts, write_results
from processes.packages import DEVELOPMENT, explain_missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_RECEIVED = """
() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind)).map((one) => one.encodedBodySize)
"""


@dataclass(frozen=True)
class View:
    """One look at the page.

    Attributes:
        seconds: from the start of the navigation until the samples are there.
        transferred_bytes: of all bodies, as they were sent.
    """

    seconds: float
    requests: int
    transferred_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 2: a browser is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=10, metavar="N")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    found = shutil.which("chromium")
    if found is None:
        print("this needs Debian's chromium: apt-get install chromium", file=sys.stderr)
        return 2
    with explain_missing("this benchmark", DEVELOPMENT, error=SystemExit):
        from playwright.sync_api import sync_playwright

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with serving() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        measure(browser, address)
        views = [measure(browser, address) for _ in range(options.views)]
        browser.close()
    seconds = sorted(view.seconds for view in views)
    print(f"first view: median {statistics.median(seconds):.2f} s, {seconds[0]:.2f} to {seconds[-1]:.2f} s")
    print(f"{views[0].requests} requests, {views[0].transferred_bytes / 1000:.0f} kB")
    write_results("first_view", {**machine_facts(), "views": [asdict(view) for view in views]}, options.out)
    return 0


def measure(browser: "Browser", address: str) -> View:
    """Look at the page once, with an empty cache."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#samples button").first.wait_for()
        seconds = page.evaluate("performance.now() / 1000")
        sizes = page.evaluate(_RECEIVED)
    return View(seconds, len(sizes), sum(sizes))


if __name__ == "__main__":
    sys.exit(main())
