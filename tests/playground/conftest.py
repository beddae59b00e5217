"""A real browser, a real service with the model that ships, and a camera that shows a sample."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from tests.running import ROOT, serving_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

# Debian's name first.
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, because tests may run as root. Graphics are emulated, because test machines have no card.
_OPTIONS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
_READY_S = 120


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera shows: the sign HOUSE, again and again, as raw video."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    with av.open(str(ROOT / "samples" / "house.mp4")) as video, path.open("wb") as file:
        stream = video.streams.video[0]
        width, height = stream.width // 2 * 2, stream.height // 2 * 2
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for frame in video.decode(stream):
            file.write(b"FRAME\n" + frame.reformat(width, height, format="yuv420p").to_ndarray().tobytes())
    return path


@pytest.fixture(scope="session")
def browser(camera: Path) -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("no browser is installed; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = [*_OPTIONS, f"--use-file-for-fake-video-capture={camera}"]
        found = playwright.chromium.launch(executable_path=program, args=options)
        yield found
        found.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service with the model that ships, ready, with a store of its own and real estimators."""
    from app import create_app
    from app.settings import ServiceSettings
    from engine.local import LocalEngine
    from engine.settings import EngineSettings
    from search.settings import SearchSettings
    from video.local import LocalEstimators
    from video.settings import EstimatorSettings

    settings = EngineSettings(default_model="fingerspelling", device="cpu", backend="torch", threads=1)
    videos = EstimatorSettings(workers=1)
    engine, estimators = LocalEngine(settings), LocalEstimators(videos)
    store = SearchSettings(dir=str(tmp_path_factory.mktemp("search")), maintain_s=0)
    application = create_app(ServiceSettings(engine=settings, estimators=videos, search=store), engine, estimators)
    with serving_in_thread(application) as address:
        wait_until_ready(address)
        yield address
    estimators.close()
    engine.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page must not do, as far as it did: errors in its console, and requests to another host."""
    return []


@pytest.fixture
def page(browser: Browser, service: str, complaints: list[str]) -> Iterator[Page]:
    """A fresh page of the size of a laptop. It fails on any error of the page and on any request to another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB", permissions=["camera"])
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    watch(opened, complaints)
    yield opened
    context.close()
    assert not complaints


def watch(page: Page, complaints: list[str]) -> None:
    """Note every error of a page, and every request that leaves this machine."""

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    def note_request(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            complaints.append(f"request: {request.url}")

    page.on("console", note_message)
    page.on("request", note_request)
    page.on("pageerror", lambda error: complaints.append(f"page: {error}"))


def wait_until_ready(address: str) -> None:
    """Wait until the default model is ready."""
    deadline, pause = time.monotonic() + _READY_S, threading.Event()
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz") as answer:
                assert json.load(answer)["status"] == "ready"
                return
        except urllib.error.HTTPError as error:
            error.close()
            pause.wait(0.05)
    raise AssertionError(f"{address} is not ready after {_READY_S} s")
