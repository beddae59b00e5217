"""How a person keeps a session, and reaches everything: as a file, as a link, by keyboard, on a phone."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.playground.conftest import watch
from tests.playground.steps import choose, open_tab, press_until_focused


def test_a_session_is_saved_and_restored_without_the_service(page: Page, browser: Browser, service: str, complaints):
    page.goto(service)
    choose(page, "A")
    view = open_tab(page, "Teach")
    view.get_by_label("What is this sign?").fill("stone")
    view.get_by_role("button", name="Teach this clip").click()
    choose(page, "L")
    compare = open_tab(page, "Compare")
    compare.get_by_role("textbox").fill("Ü")
    compare.get_by_role("button", name="Add a text").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to a file").click()
    saved = Path(download.value.path())
    with browser.new_context(locale="en-GB") as context:
        other = context.new_page()
        watch(other, complaints)
        other.goto(service)
        with other.expect_file_chooser() as chooser:
            other.get_by_role("button", name="Open a file").click()
        chooser.value.set_files(saved)
        expect(other.locator(".clips [aria-current=true]")).to_have_text("L (ase)")
        expect(other.locator(".clips li")).to_have_count(2)
        compare = open_tab(other, "Compare")
        expect(compare.get_by_role("button", name="Remove Ü")).to_be_visible()
        expect(compare.locator(".headline")).to_have_text(re.compile("^L, "))
        taught = open_tab(other, "Teach")
        expect(taught.get_by_role("button", name="Forget stone (examples: 1)")).to_be_visible()


def test_a_link_carries_a_session_past_the_service(page: Page, browser: Browser, service: str, complaints):
    page.goto(service)
    choose(page, "B", "gsg")
    view = open_tab(page, "Compare")
    view.get_by_role("textbox").fill("Ü")
    view.get_by_role("button", name="Add a text").click()
    page.get_by_role("button", name="Copy a link").click()
    link = page.get_by_role("textbox", name="Copy a link").input_value()
    assert len(link) < 100_000
    with browser.new_context(locale="en-GB") as context:
        other = context.new_page()
        watch(other, complaints)
        asked: list[str] = []
        other.on("request", lambda request: asked.append(request.url))
        other.goto(link)
        expect(other.locator(".clips [aria-current=true]")).to_have_text("B (gsg)")
        letter = other.get_by_role("tabpanel", name="Letter")
        expect(letter.locator(".headline")).to_have_text(re.compile("^B, "))
        compare = open_tab(other, "Compare")
        expect(compare.get_by_role("button", name="Remove Ü")).to_be_visible()
        assert not any("session=" in url and len(url.split("#")[0]) > 200 for url in asked)
        # A damaged link says so, and changes nothing.
        other.goto("about:blank")
        other.goto(link[:-40])
        expect(other.locator("#session").get_by_role("alert")).to_contain_text("damaged")
        expect(other.locator(".clips li")).to_have_count(0)


def test_on_a_phone_the_answer_comes_into_view(browser: Browser, service: str):
    with browser.new_context(viewport={"width": 400, "height": 800}, locale="en-GB") as context:
        page = context.new_page()
        page.goto(service)
        choose(page, "A")
        answer = page.get_by_role("tabpanel", name="Letter").locator(".headline")
        expect(answer).to_have_text(re.compile("^A, "))
        expect(answer).to_be_in_viewport()
        expect(page.locator("#tab-letters")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_all_of_it_is_done_by_keyboard(page: Page, service: str):
    page.goto(service)
    sample = page.get_by_role("button", name="the letter A of American Sign Language")
    sample.wait_for()
    press_until_focused(page, sample)
    page.keyboard.press("Enter")
    view = page.get_by_role("tabpanel", name="Letter")
    expect(view.locator(".headline")).to_have_text(re.compile("^A, "))
    press_until_focused(page, page.get_by_role("tab", name="Letter"))
    page.keyboard.press("ArrowRight")
    view = page.get_by_role("tabpanel", name="Compare")
    expect(view.locator(".headline")).to_have_text(re.compile("^A, "))
    press_until_focused(page, view.get_by_role("textbox"))
    page.keyboard.type("Z")
    page.keyboard.press("Enter")
    remove = view.get_by_role("button", name="Remove Z")
    press_until_focused(page, remove)
    page.keyboard.press("Enter")
    expect(remove).to_have_count(0)
    # The focus stays beside what was removed.
    expect(view.get_by_role("button", name="Remove O")).to_be_focused()
    press_until_focused(page, view.get_by_text("The same as cURL"))
    page.keyboard.press("Enter")
    expect(view.locator("pre")).to_contain_text("curl -s")


def test_a_clip_without_hands_is_refused_with_what_to_do(page: Page, service: str, tmp_path: Path, complaints):
    from tests.poses.make_poses import build_pose, write_pose

    hands = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
    clip = tmp_path / "nobody.pose"
    clip.write_bytes(write_pose(build_pose(10, missing=dict.fromkeys(hands, slice(None)))))
    page.goto(service)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="choose a file").click()
    chooser.value.set_files(clip)
    expect(page.get_by_role("region", name="The clip")).to_contain_text("No hand is in any frame.")
    expect(page.get_by_role("tabpanel", name="Letter").get_by_role("alert")).to_contain_text("hand")
    # The browser notes each refusal of the service.
    assert all("422" in complaint for complaint in complaints)
    complaints.clear()
