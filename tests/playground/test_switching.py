"""A person who changes the language of the page loses nothing: what is being opened goes on, in the new language."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.routes import playground
from tests.playground.conftest import Complaints
from tests.playground.steps import choose, open_tab
from tests.playground.test_page import CLIPS, POSE, without_estimator
from tests.running import ROOT

__all__ = ["without_estimator"]

HOUSE = ROOT / "samples" / "house.mp4"
# An estimation takes seconds on two cores; other processes may take most of them.
PATIENCE_MS = 120_000


def switch(page: Page) -> None:
    page.get_by_role("button", name="Auf Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")


def send_house(page: Page) -> Locator:
    """Choose the sample that is a video, and send it to the service, which holds it."""
    page.get_by_role("button", name="house").click()
    page.get_by_role("button", name="Send the video").click()
    expect(page.get_by_text("The service estimates the pose")).to_be_visible()
    return page.get_by_text("Der Dienst schätzt die Pose")


@pytest.fixture
def held(page: Page) -> list[Route]:
    """The requests for poses, which wait until a test answers them."""
    held: list[Route] = []
    page.route("**/api/pose", lambda route: held.append(route))
    return held


@pytest.mark.usefixtures("without_estimator")
def test_a_video_that_the_service_reads_comes_in_the_new_language(page: Page, service: str, held: list[Route]):
    page.goto(service)
    progress = send_house(page)
    switch(page)
    expect(progress).to_be_visible()
    expect(page.locator("progress")).to_have_attribute("aria-label", re.compile("^Der Dienst"))
    held[0].fulfill(body=POSE.read_bytes(), content_type="application/octet-stream")
    expect(page.locator(CLIPS)).to_have_count(1)
    expect(page.locator("#announcements")).to_have_text(re.compile("sind fertig|, "))
    expect(progress).to_be_hidden()


@pytest.mark.usefixtures("without_estimator", "held")
def test_a_video_can_be_cancelled_in_the_new_language(page: Page, service: str):
    page.goto(service)
    progress = send_house(page)
    switch(page)
    page.get_by_role("button", name="Abbrechen").click()
    expect(progress).to_be_hidden()
    expect(page.locator("#announcements")).to_have_text("Abgebrochen.")


@pytest.mark.usefixtures("without_estimator")
def test_an_error_speaks_the_new_language(page: Page, service: str, complaints: Complaints):
    complaints.allowed = (413,)
    held: list[Route] = []
    page.route("**/api/pose", lambda route: held.append(route))
    page.goto(service)
    send_house(page)
    page.locator("#file").set_input_files({"name": "notes.txt", "mimeType": "", "buffer": b"text"})
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is neither")
    switch(page)
    # What was said before is said again.
    expect(page.get_by_role("alert")).to_contain_text("notes.txt ist weder")
    held[0].fulfill(status=413, json={"code": "body_too_large", "detail": ""})
    expect(page.locator("#samples").get_by_role("alert")).to_contain_text("Die Datei ist größer")


@pytest.mark.usefixtures("without_estimator")
def test_files_that_wait_are_opened_too(page: Page, service: str):
    held: list[Route] = []
    page.route("**/api/pose", lambda route: held.append(route))
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    video = {"name": "first.mp4", "mimeType": "video/mp4", "buffer": b"a video"}
    page.locator("#file").set_input_files([video, {"name": "last.pose", "mimeType": "", "buffer": POSE.read_bytes()}])
    page.get_by_role("button", name="Send the video").click()
    expect(page.get_by_text("The service estimates the pose")).to_be_visible()
    switch(page)
    held[0].fulfill(body=POSE.read_bytes(), content_type="application/octet-stream")
    expect(page.locator(CLIPS)).to_have_text(["first×", "last×"])


@pytest.mark.usefixtures("without_estimator")
def test_what_the_camera_took_is_kept(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name="Start the camera").click()
    page.locator("#seconds").fill("10")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("button", name="Finish · 9 s")).to_be_visible()
    switch(page)
    question = page.get_by_role("dialog", name="Dieses Video an den Dienst schicken?")
    expect(question).to_be_visible()
    question.get_by_role("button", name="Nicht schicken").click()
    expect(page.get_by_role("button", name="Kamera starten")).to_be_visible()


@pytest.mark.skipif(not playground.is_estimator_installed(), reason="make playground fetches the pose estimator")
def test_a_video_that_the_page_reads_becomes_a_clip(page: Page, service: str):
    page.goto(service)
    page.locator("#file").set_input_files(HOUSE)
    expect(page.get_by_text("Finding the signer: frame ")).to_be_visible(timeout=PATIENCE_MS)
    switch(page)
    expect(page.get_by_text("Die Person wird gesucht: Bild ")).to_be_visible()
    expect(page.locator(CLIPS)).to_have_text(["house×"], timeout=PATIENCE_MS)


def test_the_open_view_and_the_focus_stay(page: Page, service: str, complaints: Complaints):
    page.goto(service)
    choose(page, "A")
    open_tab(page, "Teach")
    # The service may be away meanwhile.
    page.route("**/readyz", lambda route: route.abort())
    page.route("**/api/models", lambda route: route.abort())
    switch(page)
    expect(page.get_by_role("tab", name="Beibringen")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Beibringen").get_by_label("Was ist diese Gebärde?")).to_be_visible()
    expect(page.get_by_role("button", name="In English")).to_be_focused()
    complaints[:] = [one for one in complaints if "ERR_FAILED" not in one]
