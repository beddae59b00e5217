"""What a person does with a clip: names it, compares it, searches with it, teaches it, and finds signs in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.playground.steps import ask, choose, open_tab
from tests.running import ROOT

SAMPLES = ROOT / "samples"
COLLECTION = "letters-of-samples"


@pytest.fixture(scope="module")
def dictionary(service: str) -> Iterator[str]:
    """A collection of the service that holds every sample but the letter A of American Sign Language."""
    place = f"{service}/api/collections/{COLLECTION}"
    ask(place, {}, "PUT")
    clips = sorted(SAMPLES.glob("*.pose.zst"))
    pose = {clip: base64.b64encode(clip.read_bytes()).decode() for clip in clips}
    entries = [{"gloss": clip.name[4], "sign_language": clip.name[:3], "pose": pose[clip]} for clip in clips]
    ask(f"{place}/entries", {"entries": entries})
    yield COLLECTION
    ask(place, method="DELETE")


def list_bars(view: Locator) -> Locator:
    """A view's bars, without that of none of the texts, which models with a background have."""
    return view.locator(".bars").first.locator("tr:not(.none)")


def read_rows(view: Locator) -> list[str]:
    """The labels of a view's bars, the best first."""
    return list_bars(view).get_by_role("rowheader").all_text_contents()


def test_a_clip_is_named_as_soon_as_it_is_chosen(page: Page, service: str):
    page.goto(service)
    choose(page, "L")
    view = page.get_by_role("tabpanel", name="Letter")
    expect(view.locator(".headline")).to_have_text(re.compile(r"^L, (> )?\d+%$"))
    assert read_rows(view)[0] == "L"
    assert len(read_rows(view)) in (4, 5)
    expect(page.locator("#announcements")).to_have_text(re.compile("^L, "))
    expect(view.get_by_text("The model read:")).to_contain_text("<en> <ase> A")
    # Another clip, and the answer follows.
    choose(page, "B", "gsg")
    expect(view.locator(".headline")).to_have_text(re.compile(r"^B, "))


def test_bars_follow_texts_and_languages(page: Page, service: str):
    page.goto(service)
    choose(page, "A")
    view = open_tab(page, "Compare")
    expect(view.locator(".headline")).to_have_text(re.compile("^A, "))
    assert sorted(read_rows(view)) == ["A", "B", "C", "L", "O"]
    # The model that ships has a background.
    expect(view.locator(".bars tr.none")).to_contain_text("none of these")
    view.get_by_role("textbox").fill("S, T")
    view.get_by_role("button", name="Add a text").click()
    expect(list_bars(view)).to_have_count(7)
    view.get_by_role("button", name="Remove A").click()
    expect(view.locator(".headline")).to_have_text(re.compile("^([BCLOST]|none of these), "))
    assert "A" not in read_rows(view)
    view.get_by_label("Sign language").select_option("gsg")
    expect(view.get_by_text("The model read:")).to_contain_text("<en> <gsg> B")
    view.get_by_label("Sign language").select_option("")
    expect(view.get_by_text("The model read:")).to_have_count(0)
    expect(view.get_by_label("Language of the texts")).to_be_disabled()


def test_the_player_shows_each_frame_and_says_what_is_missing(page: Page, service: str):
    page.goto(service)
    choose(page, "A")
    player = page.get_by_role("region", name="The clip")
    slider = player.get_by_role("slider", name="Frame")
    expect(slider).to_have_attribute("aria-valuetext", "frame 11 of 21, 0.40 s, Left hand not seen")
    expect(player.get_by_role("row", name="Right hand")).to_contain_text("100 %")
    expect(player.get_by_text("A good clip")).to_be_visible()
    canvas = player.get_by_role("img", name=re.compile("Skeleton of A"))
    first = canvas.evaluate("(canvas) => canvas.toDataURL()")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^frame 1 of 21, 0.00 s"))
    assert canvas.evaluate("(canvas) => canvas.toDataURL()") != first
    at_rest = canvas.evaluate("(canvas) => canvas.toDataURL()")
    player.get_by_label("Mirrored").check()
    assert canvas.evaluate("(canvas) => canvas.toDataURL()") != at_rest
    player.get_by_role("button", name="Play").click()
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    # It plays to the end and stops there.
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^frame 21 of 21"))
    expect(player.get_by_role("button", name="Play")).to_be_visible()


def test_a_dictionary_is_searched_by_signing_and_by_text(page: Page, service: str, dictionary: str):
    page.goto(service)
    choose(page, "A")
    view = open_tab(page, "Search")
    view.get_by_label("Collection").select_option(dictionary)
    hits = view.locator(".hit")
    expect(hits.first).to_contain_text("Your clip")
    expect(hits.nth(1)).to_contain_text("1. A")
    expect(view.locator(".headline")).to_have_text(re.compile("^Nearest: A, cosine 0"))
    # Each hit is drawn beside the clip.
    expect(view.locator(".hit canvas")).to_have_count(9)
    view.get_by_label("Each sign once").check()
    expect(hits).to_have_count(4)
    view.get_by_label("a text").check()
    view.get_by_label("Text to search for").fill("B")
    expect(view.locator(".headline")).to_have_text(re.compile("^Nearest: B"))


def test_three_signs_are_taught_and_a_new_signer_is_recognized(page: Page, service: str):
    page.goto(service)
    choose(page, "A")
    view = open_tab(page, "Teach")
    expect(view.get_by_text("Nothing is taught yet")).to_be_visible()
    for name, letter in (("stone", "A"), ("wall", "B"), ("corner", "L")):
        choose(page, letter)
        view.get_by_label("What is this sign?").fill(name)
        view.get_by_role("button", name="Teach this clip").click()
        expect(view.get_by_role("button", name=f"Forget {name} (examples: 1)")).to_be_visible()
    for letter, name in (("A", "stone"), ("B", "wall"), ("L", "corner")):
        choose(page, letter, "gsg")
        expect(view.locator(".headline")).to_have_text(re.compile(f"^{name}, cosine 0"))
        assert read_rows(view)[0] == name
    # Taught signs are kept on the service when a person wants it, and only then.
    assert "taught" not in {found["name"] for found in ask(f"{service}/api/collections")["collections"]}
    view.get_by_text("Keep these signs on the service").click()
    view.get_by_label("Name of the collection").fill("taught")
    view.get_by_role("button", name="Store").click()
    expect(view.get_by_text("Stored in the collection taught. Examples: 3")).to_be_visible()
    expect(page.get_by_role("tab", name="Search")).to_be_visible()
    answer = ask(f"{service}/api/collections/taught/search", {"text": "A", "sign_language": "ase"})
    assert {hit["gloss"] for hit in answer["hits"]} == {"stone", "wall", "corner"}
    assert all(hit["preview"] for hit in answer["hits"])
    ask(f"{service}/api/collections/taught", method="DELETE")
    view.get_by_role("button", name="Forget wall").click()
    expect(view.locator(".bars").first.get_by_role("row")).to_have_count(2)


def test_signs_are_found_in_a_recording(page: Page, service: str):
    page.goto(service)
    for letter in "ABL":
        choose(page, letter)
    view = open_tab(page, "Find")
    view.get_by_role("button", name="Join the 3 clips to one recording").click()
    expect(page.locator(".clips [aria-current=true]")).to_have_text("Recording of 3 clips")
    finds = view.locator(".finds tbody tr")
    expect(view.locator(".headline")).to_have_text(re.compile("^Found: .*A.*B.*L"))
    expect(view.locator(".segment")).to_have_count(finds.count())
    found = finds.filter(has=page.get_by_role("rowheader", name="B", exact=True)).first
    found.get_by_role("button", name="Show B").click()
    slider = page.get_by_role("slider", name="Frame")
    frame = int(re.match(r"frame (\d+) of", slider.get_attribute("aria-valuetext") or "")[1])  # type: ignore[index]
    start_s, end_s = map(float, re.findall(r"[\d.]+", found.locator("td").first.text_content() or ""))
    assert start_s <= (frame - 1) / 25 <= end_s
    # Nothing reaches the end of the scale.
    view.get_by_role("slider", name="Least score").press("End")
    expect(view.locator(".headline")).to_have_text(re.compile("^Nothing was found"))


def test_letters_of_all_languages_are_a_heat_map(page: Page, service: str):
    page.goto(service)
    choose(page, "L", "psr")
    view = open_tab(page, "Languages")
    expect(view.locator(".headline")).to_have_text(re.compile("^Nearest: L in .* Sign Language, cosine 0"))
    table = view.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_count(26)
    expect(table.get_by_role("rowheader")).to_have_count(19)
    row = table.get_by_role("row", name=re.compile("^psr"))
    assert row.locator("td.best").get_attribute("title").startswith("L, Portuguese Sign Language")  # type: ignore[union-attr]
