"""How near the poses that the playground estimates in a browser are to the service's own, on the same frames.

`python -m benchmarks.browser_drift [VIDEO …]` needs Debian's Chromium and what `make playground` fetches. It prints the
table of docs/playground.md.
"""

import argparse
import base64
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
import numpy.typing as npt
from pose_format import Pose

from app import create_app
from app.routes.playground import is_estimator_installed
from app.settings import ServiceSettings
from benchmarks.measuring import ROOT, machine_facts, write_results
from engine.local import LocalEngine
from engine.settings import EngineSettings
from poses.reading import read
from processes.packages import DEVELOPMENT, explain_missing
from search.settings import SearchSettings
from tests.running import serving_in_thread
from video.local import LocalEstimators
from video.settings import EstimatorSettings

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Videos in the repository that a browser plays and that show somebody who signs or waves.
CLIPS = ("samples/house.mp4", "tests/field/data/selfie_mirror_matrix.mp4")
_MODEL = "fingerspelling"
# As tests/playground has them: no sandbox, because root has none, and graphics that need no card.
OPTIONS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_PATIENCE_MS = 600_000
# Of the points of MediaPipe Holistic.
_PARTS = {"body": slice(0, 33), "face": slice(33, 501), "left hand": slice(501, 522), "right hand": slice(522, 543)}
_SHOULDERS = (11, 12)
# Points whose confidence is lower are guesses of what is hidden.
_SURE = 0.5


@dataclass(frozen=True)
class Drift:
    """One clip, estimated twice.

    Attributes:
        seen: by part, in how many frames the service and the browser see it.
        distances: by part, median and 95th percentile of the distance of points that both see, in shoulder widths.
        cosine, cosine_trimmed: of the vectors of the whole clip, and of the clip cut to the signing.
        seconds: the browser's time for the clip.
    """

    clip: str
    frames: int
    seen: dict[str, tuple[int, int]]
    distances: dict[str, tuple[float, float] | None]
    cosine: float
    cosine_trimmed: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 2: a browser or its estimator is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path, default=[ROOT / clip for clip in CLIPS], metavar="VIDEO")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    browser = shutil.which("chromium")
    if browser is None or not is_estimator_installed():
        print("this needs Debian's chromium (apt-get install chromium) and make playground", file=sys.stderr)
        return 2
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with serving() as address, looking(browser, address) as page:
        drifts = [measure(video, page, address) for video in options.videos]
    print(write_table(drifts))
    write_results("browser_drift", {**machine_facts(), "clips": [asdict(drift) for drift in drifts]}, options.out)
    return 0


def measure(video: Path, page: "Page", address: str) -> Drift:
    """Estimate the pose in a video by the service and in the browser, and compare the two.

    Raises:
        RuntimeError: the page refuses the video; the message is the page's sentence.
    """
    there = httpx2.post(f"{address}/api/pose", files={"video": video.read_bytes()}, timeout=600).content
    began = time.monotonic()
    clips = page.locator(".clips li")
    before = clips.count()
    page.locator("#file").set_input_files(video)
    problem = page.locator("#files .problem")
    clips.nth(before).or_(problem).first.wait_for(timeout=_PATIENCE_MS)
    if problem.count():
        raise RuntimeError(problem.inner_text())
    seconds = time.monotonic() - began
    with page.expect_download() as download:
        page.locator("#session button").first.click()
    session = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    here = base64.b64decode(session["clips"][session["current"]]["pose"])
    own, other = read(there), read(here)
    return Drift(
        video.name,
        len(own.body.data),
        {name: (_count_seen(own, points), _count_seen(other, points)) for name, points in _PARTS.items()},
        {name: measure_distances(own, other, points) for name, points in _PARTS.items()},
        _compare(address, there, here, trim="none"),
        _compare(address, there, here, trim="auto"),
        seconds,
    )


def measure_distances(own: Pose, other: Pose, points: slice) -> tuple[float, float] | None:
    """Measure how far points are apart, in shoulder widths: median and 95th percentile; None: none is seen in both."""
    frames = min(len(own.body.data), len(other.body.data))
    first, second = (np.asarray(pose.body.data)[:frames, 0, :, :2].astype(np.float64) for pose in (own, other))
    both = _is_sure(own, points)[:frames] & _is_sure(other, points)[:frames]
    if not both.any():
        return None
    shoulders = float(np.linalg.norm(first[:, _SHOULDERS[0]] - first[:, _SHOULDERS[1]], axis=-1).mean())
    apart = np.linalg.norm(first[:, points] - second[:, points], axis=-1)[both] / shoulders
    return float(np.median(apart)), float(np.percentile(apart, 95))


def write_table(drifts: Sequence[Drift]) -> str:
    """Write the rows as a Markdown table."""
    heads = ["clip", "frames", "right hand seen", "left hand seen", *(f"{name}, %" for name in _PARTS)]
    heads += ["cosine", "trimmed", "s"]
    rows = [
        [
            f"`{drift.clip}`",
            str(drift.frames),
            *(" / ".join(map(str, drift.seen[name])) for name in ("right hand", "left hand")),
            *(_write_distances(drift.distances[name]) for name in _PARTS),
            f"{drift.cosine:.3f}",
            f"{drift.cosine_trimmed:.3f}",
            f"{drift.seconds:.0f}",
        ]
        for drift in drifts
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---", *["--:"] * (len(heads) - 1)], *rows])


@contextmanager
def serving() -> Iterator[str]:
    """Serve the shipped model on a port of this machine, until the block ends."""
    settings = EngineSettings(default_model=_MODEL, device="cpu", backend="torch")
    videos = EstimatorSettings(workers=1)
    with tempfile.TemporaryDirectory() as store:
        search = SearchSettings(dir=store, maintain_s=0)
        engine, estimators = LocalEngine(settings), LocalEstimators(videos)
        application = create_app(ServiceSettings(engine=settings, search=search), engine, estimators)
        try:
            with serving_in_thread(application) as address:
                yield address
        finally:
            estimators.close()
            engine.close()


@contextmanager
def looking(browser: str, address: str) -> Iterator["Page"]:
    """Open the playground in a browser without a window, until the block ends."""
    with explain_missing("this benchmark", DEVELOPMENT, error=SystemExit):
        from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=list(OPTIONS))
        page = opened.new_page()
        page.goto(address)
        page.locator("#samples button").first.wait_for(timeout=_PATIENCE_MS)
        yield page
        opened.close()


def _is_sure(pose: Pose, points: slice) -> npt.NDArray[np.bool_]:
    sure: npt.NDArray[np.bool_] = pose.body.confidence[:, 0, points] > _SURE
    return sure


def _count_seen(pose: Pose, points: slice) -> int:
    return int((pose.body.confidence[:, 0, points] > 0).any(axis=1).sum())


def _compare(address: str, there: bytes, here: bytes, *, trim: str) -> float:
    body: dict[str, Any] = {"pose": [base64.b64encode(pose).decode() for pose in (there, here)], "trim": trim}
    vectors = httpx2.post(f"{address}/api/embed/pose", json=body, timeout=600).json()["embeddings"]
    return float(np.dot(*np.array(vectors)))


def _write_distances(distances: tuple[float, float] | None) -> str:
    return "-" if distances is None else f"{100 * distances[0]:.1f} / {100 * distances[1]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
