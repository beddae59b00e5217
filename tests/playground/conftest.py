"""A real browser, a real service with the model that ships, and a camera that shows a sample."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest

from app import create_app
from app.settings import ServiceSettings
from engine.interface import Engine
from engine.settings import EngineSettings
from search.settings import SearchSettings
from tests.running import ROOT, serving_in_thread
from video.interface import Estimators
from video.local import LocalEstimators
from video.settings import EstimatorSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

    from engine.local import LocalEngine

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
_SETTINGS = EngineSettings(default_model="fingerspelling", device="cpu", backend="torch", threads=1)
Serve = Callable[..., AbstractContextManager[str]]


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
def engine() -> Iterator[LocalEngine]:
    """An engine with the model that ships, ready."""
    from engine.local import LocalEngine

    found = LocalEngine(_SETTINGS)
    deadline, pause = time.monotonic() + _READY_S, threading.Event()
    while not found.get_readiness().ready:
        assert time.monotonic() < deadline, found.get_readiness().reason
        pause.wait(0.05)
    yield found
    found.close()


@pytest.fixture(scope="session")
def serve(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Serve the application over the engine, with some settings changed, until the block ends."""
    store = SearchSettings(dir=str(tmp_path_factory.mktemp("search")), maintain_s=0)

    @contextmanager
    def serving(over: Engine | None = None, estimators: Estimators | None = None, **changes: object) -> Iterator[str]:
        settings = ServiceSettings(engine=_SETTINGS, search=store).model_copy(update=changes)
        with serving_in_thread(create_app(settings, over or engine, estimators)) as address:
            yield address

    return serving


@pytest.fixture(scope="session")
def service(serve: Serve) -> Iterator[str]:
    """The address of the service with the model that ships, and with real estimators."""
    estimators = LocalEstimators(EstimatorSettings(workers=1))
    with serve(estimators=estimators) as address:
        yield address
    estimators.close()


class Complaints(list[str]):
    """What a page must not do, as far as it did: errors in its console, and requests to another host.

    Attributes:
        allowed: statuses of answers that a test brings about; browsers note each in the console, some of them late.
    """

    allowed: tuple[int, ...] = ()

    def add(self, complaint: str) -> None:
        """Note it, unless the test brought it about."""
        if not any(f"status of {status} " in complaint for status in self.allowed):
            self.append(complaint)


@pytest.fixture
def complaints() -> Complaints:
    """What the page must not do, as far as it did."""
    return Complaints()


@contextmanager
def open_watched(
    browser: Browser, complaints: Complaints, *, width: int, height: int, **settings: Any
) -> Iterator[Page]:
    """Open a fresh page of a size in pixels, which must have given no cause for complaint at the end."""
    context = browser.new_context(viewport={"width": width, "height": height}, **settings)
    opened = context.new_page()
    watch(opened, complaints)
    yield opened
    context.close()
    assert not complaints


@pytest.fixture
def page(browser: Browser, service: str, complaints: Complaints) -> Iterator[Page]:
    """A fresh page of the size of a laptop. It fails on any error of the page and on any request to another host."""
    with open_watched(browser, complaints, width=1280, height=860, locale="en-GB", permissions=["camera"]) as opened:
        opened.set_default_timeout(30_000)
        yield opened


def watch(page: Page, complaints: Complaints) -> None:
    """Note every error of a page, and every request that leaves this machine."""

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.add(f"console: {message.text}")

    def note_request(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            complaints.add(f"request: {request.url}")

    page.on("console", note_message)
    page.on("request", note_request)
    page.on("pageerror", lambda error: complaints.add(f"page: {error}"))
