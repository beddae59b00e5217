"""Everybody can use the page: by keyboard alone, with a screen reader, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.conftest import Complaints, open_watched
from tests.playground.steps import choose
from tests.running import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SAMPLE = "the letter A of American Sign Language"


def find_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there; make playground fetches it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, service: str, scheme: str):
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    assert find_faults(page) == []
    page.get_by_role("button", name=SAMPLE).click()
    page.locator(".clips li").wait_for()
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert find_faults(page) == []
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_role("button", name="Record", exact=True).wait_for()
    assert find_faults(page) == []


def test_all_is_done_by_keyboard(page: Page, service: str):
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    focused = "() => { const one = document.activeElement; return one.getAttribute('aria-label') ?? one.textContent; }"
    met: list[str] = []
    while "Save to a file" not in met:
        page.keyboard.press("Tab")
        met.append(page.evaluate(focused))
        assert len(met) < 60, met
        if met[-1] == SAMPLE:
            page.keyboard.press("Enter")
            page.locator(".clips li").wait_for()
    for label in ("Skip to the results", "Auf Deutsch", "Start the camera", "choose a file", "Save to a file"):
        assert label in met
    expect(page.locator(".clips [aria-current=true]")).to_have_text("A (ase)")
    tabs = page.get_by_role("tab")
    if tabs.count() > 1:
        tabs.first.focus()
        page.keyboard.press("ArrowRight")
        expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
        expect(tabs.nth(1)).to_be_focused()
        page.keyboard.press("Home")
        expect(tabs.first).to_be_focused()


def test_the_focus_stays_among_the_clips(page: Page, service: str):
    page.goto(service)
    for letter in "ABL":
        choose(page, letter)
    clips = page.locator(".clips")
    first = clips.get_by_role("button", name="A (ase)", exact=True)
    first.press("Enter")
    expect(first).to_have_attribute("aria-current", "true")
    expect(first).to_be_focused()
    clips.get_by_role("button", name="Remove B (ase)").press("Enter")
    expect(clips.get_by_role("button", name="Remove L (ase)")).to_be_focused()
    page.keyboard.press("Enter")
    expect(clips.get_by_role("button", name="Remove A (ase)")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()


def test_what_happens_is_spoken(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name=SAMPLE).click()
    expect(page.locator("#announcements")).to_have_text("A (ase): 21 frames are ready.")


@pytest.fixture
def phone(browser: Browser, complaints: Complaints) -> Iterator[Page]:
    """A page as narrow as a phone, in the dark."""
    with open_watched(browser, complaints, width=400, height=800, color_scheme="dark", locale="en-GB") as page:
        yield page


def test_a_phone_shows_it_in_one_column(phone: Page, service: str):
    phone.goto(service)
    phone.get_by_role("button", name=SAMPLE).click()
    expect(phone.locator(".headline")).to_contain_text("A,")
    expect(phone.locator(".headline")).to_be_in_viewport()
    # The bars keep room beside long names.
    assert (
        min(bar.evaluate("(bar) => bar.clientWidth") for bar in phone.locator(".bars").first.locator(".bar").all()) > 30
    )
    widths = "() => [document.documentElement.scrollWidth, innerWidth]"
    for tab in [None, *phone.get_by_role("tab").all()]:
        if tab is not None:
            tab.click()
        content, window = phone.evaluate(widths)
        assert content <= window
    ground = phone.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in ground[4:-1].split(",")) < 64
