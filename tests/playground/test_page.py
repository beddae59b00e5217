"""What a person can do on the page beside its views: files, sessions, keys, and a service that is not ready."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from app.error_table import list_error_lines
from app.routes import playground
from engine.interface import Engine, Readiness
from tests.app.estimators import FakeEstimators
from tests.engine.fakes import until
from tests.playground.conftest import Complaints, Serve
from tests.playground.steps import choose
from tests.running import ROOT

POSE = ROOT / "samples" / "ase_A.pose"
CLIPS = ".clips li"


class Starting:
    """An engine that says it is not ready until it may."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_ready = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def get_readiness(self) -> Readiness:
        return Readiness(True) if self.is_ready else Readiness(False, "the model is loading")


@pytest.fixture
def without_estimator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a checkout is before `make playground`."""
    monkeypatch.setattr(playground, "_MANIFEST", tmp_path / "manifest.json")


def leave(page: Page) -> None:
    """Close the page before the service ends, which it may still be asking."""
    page.goto("about:blank")


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page."""
    transfer = page.evaluate_handle(
        "([name, bytes]) => { const all = new DataTransfer(); all.items.add(new File([new Uint8Array(bytes)], name));"
        " return all; }",
        [name, list(content)],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_a_pose_is_dropped_anywhere(page: Page, service: str):
    page.goto(service)
    page.locator("#samples button").first.wait_for()
    drop(page, "my sign.pose", POSE.read_bytes())
    expect(page.locator(f"{CLIPS} [aria-current=true]")).to_have_text("my sign")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.txt", b"text", "notes.txt is neither a video nor a .pose file. Open"),
        ("cut.pose", POSE.read_bytes()[:5000], "cut.pose is no .pose file that can be read"),
    ],
)
def test_other_files_are_refused_with_what_to_do(page: Page, service: str, name: str, content: bytes, sentence: str):
    page.goto(service)
    page.locator("#file").set_input_files({"name": name, "mimeType": "", "buffer": content})
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator(CLIPS)).to_have_count(0)


def test_a_session_is_saved_and_opened_without_the_service(page: Page, service: str, tmp_path: Path):
    page.goto(service)
    choose(page, "A")
    choose(page, "B", "gsg")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to a file").click()
    saved = tmp_path / "saved.json"
    download.value.save_as(saved)
    page.reload()
    page.locator("#samples button").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#session-file").set_input_files(saved)
    expect(page.locator(CLIPS)).to_have_text(["A (ase)×", "B (gsg)×"])
    expect(page.locator(f"{CLIPS} [aria-current=true]")).to_have_text("B (gsg)")
    assert not [url for url in asked if "/playground/" not in url and "/api/" not in url]
    content = json.loads(saved.read_text(encoding="utf-8"))
    saved.write_text(json.dumps(content | {"version": 99}), encoding="utf-8")
    page.locator("#session-file").set_input_files(saved)
    expect(page.get_by_role("alert")).to_contain_text("another version of this page")
    expect(page.locator(CLIPS)).to_have_count(2)


def test_the_page_waits_for_the_model_and_says_so(page: Page, serve: Serve, engine: Engine, complaints: Complaints):
    complaints.allowed = (503,)
    starting = Starting(engine)
    with serve(over=starting) as address:
        page.goto(address)
        expect(page.get_by_text("The model is not ready yet.")).to_contain_text("the model is loading")
        expect(page.locator(".status")).to_have_text("starting")
        starting.is_ready = True
        page.locator("#samples button").first.wait_for()
        expect(page.locator(".status")).to_have_text("ready: fingerspelling")
        expect(page.get_by_text("The model is not ready yet.")).to_be_hidden()
        leave(page)


def test_the_page_asks_for_a_key_where_the_service_needs_one(page: Page, serve: Serve, complaints: Complaints):
    complaints.allowed = (401,)
    with serve(api_keys=(SecretStr("right-key-1"),)) as address:
        page.goto(address)
        page.get_by_label("API key").fill("wrong-key-1")
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("alert")).to_contain_text("This API key is not right.")
        page.get_by_label("API key").fill("right-key-1")
        page.keyboard.press("Enter")
        page.locator("#samples button").first.wait_for()
        page.reload()
        page.locator("#samples button").first.wait_for()
        page.get_by_role("button", name="Forget the key").click()
        page.locator("#samples button").first.wait_for(state="detached")
        leave(page)


@pytest.mark.usefixtures("without_estimator")
def test_a_video_is_sent_only_after_a_yes(page: Page, serve: Serve):
    estimators = FakeEstimators()
    video = {"name": "sign.mp4", "mimeType": "video/mp4", "buffer": b"ase_A"}
    with serve(estimators=estimators) as address:
        page.goto(address)
        expect(page.get_by_text("It asks before it sends one to this service.")).to_be_visible()
        page.locator("#file").set_input_files(video)
        question = page.get_by_role("dialog", name="Send this video to the service?")
        expect(question).to_contain_text("make playground")
        question.get_by_role("button", name="Do not send it").click()
        expect(question).to_be_hidden()
        page.locator("#file").set_input_files(video)
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        assert not estimators.requests
        page.locator("#file").set_input_files(video)
        question.get_by_role("button", name="Send the video").click()
        expect(page.locator(CLIPS)).to_have_text(["sign×"])
        assert len(estimators.requests) == 1
        leave(page)


def test_texts_of_errors_have_codes_that_there_are():
    """A code that was renamed would leave its text unused, and the person with English words."""
    folder = playground.FOLDER
    texts = (folder / "strings.js").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.js") if path.name != "strings.js")
    codes = {code for line in list_error_lines() for code in line.codes}
    for code in set(re.findall(r'"error\.(\w+)"', texts)):
        assert code in codes or f'"{code}"' in sources or f"error.{code}" in sources, code


# The browser asks the person, who takes a while.
_SLOW_CAMERA = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.streams = [];
window.allow = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await new Promise((resolve) => window.allow.push(resolve));
  window.streams.push(await open(wanted));
  return window.streams.at(-1);
};
"""
_STATES = "() => window.streams.flatMap((stream) => stream.getTracks().map((track) => track.readyState))"


def test_no_camera_runs_that_nobody_can_stop(page: Page, service: str) -> None:
    page.add_init_script(_SLOW_CAMERA)
    page.goto(service)
    start = page.get_by_role("button", name="Start the camera")
    start.click()
    start.click()
    assert page.evaluate("window.allow.length") == 1
    page.get_by_role("button", name="Auf Deutsch").click()
    page.get_by_role("button", name="Kamera starten").wait_for()
    page.evaluate("window.allow[0]()")
    until(lambda: page.evaluate(_STATES) == ["ended"])


def test_a_picture_that_the_camera_does_not_give_ends_the_recording(page: Page, service: str) -> None:
    gone = "() => Promise.reject(new DOMException('the camera is gone', 'InvalidStateError'))"
    page.add_init_script(f"window.createImageBitmap = {gone};")
    page.goto(service)
    page.get_by_role("button", name="Start the camera").click()
    page.locator("#seconds").fill("1")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#webcam .problem")).to_contain_text("the camera is gone")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
