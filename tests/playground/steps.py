"""Steps that several tests of the page take."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from playwright.sync_api import Locator, Page, expect

LANGUAGES = {"ase": "American", "gsg": "German", "psr": "Portuguese"}
# Machines that run tests may be busy with others.
expect.set_options(timeout=30_000)


def ask(address: str, body: object = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def choose(page: Page, letter: str, language: str = "ase") -> None:
    """Choose a sample, and wait until it is the current clip."""
    page.get_by_role("button", name=f"the letter {letter} of {LANGUAGES[language]} Sign Language").click()
    expect(page.locator(".clips [aria-current=true]")).to_have_text(f"{letter} ({language})")


def open_tab(page: Page, name: str) -> Locator:
    """Open a view."""
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel", name=name)


def press_until_focused(page: Page, wanted: Locator) -> None:
    """Press the tabulator until something has the focus, as it would be reached."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached by the tabulator")
