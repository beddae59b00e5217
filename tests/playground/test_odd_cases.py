"""What gets in the way elsewhere: storage that is switched off, odd keys, files and names, several things at once."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pydantic import SecretStr

from tests.app.estimators import FakeEstimators
from tests.playground.conftest import Complaints, Serve, open_watched
from tests.playground.steps import choose, open_tab
from tests.playground.test_page import CLIPS, POSE, drop, leave, without_estimator

__all__ = ["without_estimator"]

# As Chrome and Firefox do where a person lets no page keep anything.
_DENIED = "Object.defineProperty(window, '{}', {{ get() {{ throw new DOMException('denied', 'SecurityError'); }} }})"
_LONG = "W" * 100
_HTML = "<img src=x onerror=document.title=1>"


@pytest.mark.parametrize("storage", ["localStorage", "sessionStorage"])
def test_a_browser_that_keeps_nothing_shows_the_page(page: Page, service: str, storage: str):
    page.add_init_script(_DENIED.format(storage))
    page.goto(service)
    choose(page, "A")
    page.get_by_role("button", name="Auf Deutsch").click()
    expect(page.get_by_role("button", name="Kamera starten")).to_be_visible()


def test_a_key_is_used_where_nothing_can_be_kept(page: Page, serve: Serve, complaints: Complaints):
    complaints.allowed = (401,)
    page.add_init_script(_DENIED.format("sessionStorage"))
    with serve(api_keys=(SecretStr("right-key-1"),)) as address:
        page.goto(address)
        page.get_by_label("API key").fill("right-key-1")
        page.keyboard.press("Enter")
        choose(page, "A")
        leave(page)


def test_a_key_that_no_header_carries_is_wrong(page: Page, serve: Serve, complaints: Complaints):
    complaints.allowed = (401,)
    with serve(api_keys=(SecretStr("right-key-1"),)) as address:
        page.goto(address)
        page.get_by_label("API key").fill("“right-key-1”")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This API key is not right.")
        page.get_by_label("API key").fill("right-key-1")
        page.keyboard.press("Enter")
        choose(page, "A")
        leave(page)


def test_a_file_that_cannot_be_opened_holds_up_no_other(page: Page, service: str):
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    names = ["first.pose", "broken.pose", "notes.txt", "last.pose"]
    contents = [POSE.read_bytes(), b"nonsense", b"text", POSE.read_bytes()]
    files = zip(names, contents, strict=True)
    page.locator("#file").set_input_files([{"name": name, "mimeType": "", "buffer": part} for name, part in files])
    expect(page.locator(CLIPS)).to_have_text(["first×", "last×"])
    alerts = page.get_by_role("alert")
    expect(alerts).to_contain_text(["broken.pose is no .pose file", "notes.txt is neither"])
    drop(page, "again.pose", POSE.read_bytes())
    expect(page.locator(CLIPS)).to_have_count(3)
    expect(alerts).to_have_count(0)


def test_a_pose_is_named_without_its_suffixes(page: Page, service: str):
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    drop(page, "my.sign.pose.gz", gzip.compress(POSE.read_bytes()))
    expect(page.locator(CLIPS)).to_have_text(["my.sign×"])


@pytest.mark.usefixtures("without_estimator")
def test_what_still_works_keeps_its_progress_and_its_button(page: Page, serve: Serve):
    held: list[Route] = []
    with serve(estimators=FakeEstimators()) as address:
        page.route("**/api/pose", lambda route: held.append(route))
        page.goto(address)
        page.get_by_role("button", name="house").click()
        page.get_by_role("button", name="Send the video").click()
        progress = page.get_by_text("The service estimates the pose")
        expect(progress).to_be_visible()
        choose(page, "A")
        choose(page, "B")
        expect(progress).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(progress).to_be_hidden()
        expect(page.locator(CLIPS)).to_have_count(2)
        leave(page)


def make_session(**changes: Any) -> bytes:
    pose = base64.b64encode(POSE.read_bytes()).decode()
    clip = {"id": "1", "name": "of a file", "origin": "pose", "extractor": "file", "pose": pose}
    whole = {"format": "signclip-session", "version": 1, "clips": [clip], "current": 0, "texts": ["A"], "bank": []}
    return json.dumps(whole | {"signLanguage": "ase", "spokenLanguage": "en"} | changes).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"texts": [None]},
        {"texts": [{"text": "A"}]},
        {"signLanguage": None},
        {"spokenLanguage": 1},
        {"current": "length"},
        {"clips": [None]},
        {"clips": [json.loads(make_session())["clips"][0]] * 2},
    ],
    ids=str,
)
def test_a_session_that_no_page_wrote_changes_nothing(page: Page, service: str, changes: dict[str, Any]):
    page.goto(service)
    choose(page, "A")
    opened = page.locator("#session-file")
    opened.set_input_files({"name": "session.json", "mimeType": "", "buffer": make_session(**changes)})
    expect(page.locator("#session").get_by_role("alert")).to_contain_text("damaged or no session")
    expect(page.locator(CLIPS)).to_have_text(["A (ase)×"])
    opened.set_input_files({"name": "session.json", "mimeType": "", "buffer": make_session()})
    expect(page.locator(CLIPS)).to_have_text(["of a file×"])


@pytest.fixture
def phone(browser: Browser, complaints: Complaints) -> Iterator[Page]:
    """A German page as narrow as a small phone."""
    with open_watched(browser, complaints, width=360, height=800, locale="de-DE") as opened:
        yield opened


def test_long_names_and_long_words_make_no_view_wider_than_a_phone(phone: Page, service: str):
    phone.goto(service)
    phone.locator("#samples button").first.wait_for()
    drop(phone, f"{_HTML}{_LONG}.pose", POSE.read_bytes())
    widths = "() => [document.documentElement.scrollWidth, innerWidth]"
    for name in ("Buchstabe", "Vergleichen", "Beibringen", "Finden", "Sprachen"):
        view = open_tab(phone, name)
        if name in ("Vergleichen", "Beibringen"):
            view.get_by_role("textbox").or_(view.get_by_role("combobox")).and_(view.locator("input")).first.fill(
                _HTML + _LONG
            )
            phone.keyboard.press("Enter")
        if name == "Beibringen":
            expect(view.locator(".chips")).to_contain_text(_HTML)
        expect(view.locator(".result:not([aria-busy]) p").first).to_be_visible()
        content, window = phone.evaluate(widths)
        assert content <= window, name
    assert phone.title() == "SignCLIP-Spielwiese"
    expect(phone.locator("img:not(.brand img)")).to_have_count(0)


_BUSY = {"code": "queue_full", "title": "Too many requests", "detail": "4096 items wait"}


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (429, json.dumps(_BUSY), "The service is busy."),
        (503, "<html>Service Unavailable", "503 Service Unavailable"),
        (500, "null", "500 Internal Server Error"),
        (422, '{"detail": [{"loc": ["body"]}]}', "422"),
        (200, "<html>Sign in", "What answered is not this service"),
        (0, "", "The service does not answer."),
    ],
)
def test_what_failed_is_said_and_can_be_tried_again(
    page: Page, service: str, complaints: Complaints, status: int, body: str, sentence: str
):
    complaints.allowed = (status,)
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    page.route("**/api/similarity", lambda route: route.fulfill(status=status, body=body) if status else route.abort())
    choose(page, "A")
    view = page.get_by_role("tabpanel", name="Letter")
    expect(view.get_by_role("alert")).to_contain_text(sentence)
    page.unroute_all()
    view.get_by_role("button", name="Try again").click()
    expect(view.locator(".headline")).to_contain_text("A,")
    complaints[:] = [complaint for complaint in complaints if "ERR_FAILED" not in complaint]
