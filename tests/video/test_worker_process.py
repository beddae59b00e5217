"""The process around a tracker: killed, replaced, told to stop; it never changes a pose."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from tests.video.make_videos import clip, corner, encode, gif_canvas, moving
from video import worker, worker_messages
from video import worker_process as estimator_module
from video.errors import (
    EstimationStoppedError,
    EstimatorLostError,
    VideoError,
    VideoTooLargeError,
)
from video.estimates import VideoLimits
from video.worker_process import EstimatorProcess

SHORT, OTHER = clip(6, seed=1), clip(9, seed=2)
# The service's own promise about what a video from outside may cost.
MOST_BYTES = 2_500_000_000


@pytest.fixture(scope="module")
def process() -> Iterator[EstimatorProcess]:
    process = EstimatorProcess()
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def expected(process: EstimatorProcess) -> bytes:
    return process.estimate(SHORT).pose


def test_a_pose_depends_on_its_video_alone(process: EstimatorProcess, expected: bytes) -> None:
    other = process.estimate(OTHER).pose
    assert process.estimate(SHORT).pose == expected
    with pytest.raises(VideoError):
        process.estimate(b"no video")
    assert process.estimate(SHORT).pose == expected
    assert process.estimate(OTHER).pose == other != expected


def test_another_process_gives_the_same(own: Callable[..., EstimatorProcess], expected: bytes) -> None:
    assert own().estimate(SHORT).pose == expected


def test_a_killed_process_costs_its_video_only(process: EstimatorProcess, expected: bytes) -> None:
    before = process.pid

    def kill(done: int, total: int | None) -> None:
        if done == 2 and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(EstimatorLostError):
        process.estimate(clip(40), on_frame=kill)
    assert process.estimate(SHORT).pose == expected
    assert process.pid != before


def test_unwanted_work_stops_and_the_process_lives(process: EstimatorProcess, expected: bytes) -> None:
    process.estimate(SHORT)
    before, seen = process.pid, []
    with pytest.raises(EstimationStoppedError):
        process.estimate(clip(60), on_frame=lambda done, total: seen.append(done), is_unwanted=lambda: len(seen) > 1)
    assert len(seen) < 60
    assert process.estimate(SHORT).pose == expected
    assert process.pid == before


def test_a_process_that_hangs_is_killed(own: Callable[..., EstimatorProcess], expected: bytes) -> None:
    process = own(silence_s=5.0, stop_s=0.2)
    assert process.estimate(SHORT).pose == expected
    hung = process.pid
    assert hung is not None

    def freeze(done: int, total: int | None) -> None:
        if done == 2:
            os.kill(hung, signal.SIGSTOP)

    started = time.monotonic()
    with pytest.raises(EstimatorLostError, match="reported nothing for 5 s"):
        process.estimate(clip(200), on_frame=freeze)
    assert time.monotonic() - started < 20
    assert process.replaced["stuck"] == 1
    assert not psutil.pid_exists(hung)
    # Nor does one that is told to stop and does not.
    assert process.estimate(SHORT).pose == expected
    hung = process.pid
    assert hung is not None
    with pytest.raises(EstimationStoppedError):
        process.estimate(clip(200), on_frame=freeze, is_unwanted=lambda: _is_stopped(hung))
    assert not psutil.pid_exists(hung)


def test_a_process_that_takes_no_video_is_killed(own: Callable[..., EstimatorProcess], expected: bytes) -> None:
    process = own(silence_s=5.0)
    assert process.estimate(SHORT).pose == expected
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(EstimatorLostError):
        process.estimate(SHORT + b"\0" * 5_000_000)  # more than a pipe holds
    assert time.monotonic() - started < 20
    assert process.estimate(SHORT).pose == expected


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


@pytest.mark.parametrize("health", [{"max_videos": 1}, {"max_resident_bytes": 1}], ids=str)
def test_a_process_is_replaced_before_it_bloats(
    own: Callable[..., EstimatorProcess], expected: bytes, health: dict[str, int]
) -> None:
    process = own(**health)
    assert process.estimate(SHORT).pose == expected
    # The next one is on its way already.
    second = process.pid
    assert second is not None
    assert process.estimate(SHORT).pose == expected
    assert not psutil.pid_exists(second)


def _growing() -> bytes:
    """A stream that begins small and goes on with pictures of 8192 × 8192."""
    small = encode(corner(20, 64, 64), container="mpegts")
    return small + encode(corner(8, 8192, 8192), container="mpegts", options={"preset": "ultrafast"})


def _an_hour() -> bytes:
    """An hour in a few kilobytes, and nothing that says so."""
    times = range(0, 3_600_000, 3000)
    return encode(corner(1200, 16, 16), times=times, container="webm", codec="libvpx", container_options={"live": "1"})


@pytest.mark.parametrize(
    ("make_video", "limits"),
    [
        (lambda: gif_canvas(65535, 65535), VideoLimits()),
        (lambda: gif_canvas(20000, 20000), VideoLimits(max_side=65535, max_pixels=2**32)),
        (lambda: encode(corner(2, 16, 16)), VideoLimits(max_seconds=0.01)),
        (_growing, VideoLimits()),
        (_an_hour, VideoLimits()),
    ],
    ids=["canvas over the limits", "canvas over the memory", "too long", "a size that grows", "an hour"],
)
def test_a_bomb_is_refused_in_bounded_memory(
    process: EstimatorProcess, expected: bytes, make_video: Callable[[], bytes], limits: VideoLimits
) -> None:
    video = make_video()
    process.estimate(SHORT)
    assert process.pid is not None
    watched = psutil.Process(process.pid)
    largest = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and watched.is_running():
            try:
                largest.append(watched.memory_info().rss)
            except psutil.Error:
                return
            over.wait(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.monotonic()
    with pytest.raises(VideoError):
        process.estimate(video, limits=limits)
    over.set()
    thread.join()
    assert time.monotonic() - started < 12
    assert max(largest) < MOST_BYTES
    assert process.estimate(SHORT).pose == expected


def test_running_out_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def estimate(*_: object, **__: object) -> None:
        raise MemoryError

    ours, theirs = Pipe()
    monkeypatch.setattr("video.holistic.estimate", estimate)
    assert not worker._answer(theirs, None, b"", VideoLimits())  # type: ignore[arg-type]
    report = worker_messages.receive_report(ours)
    assert isinstance(report, worker_messages.Failed)
    assert isinstance(report.error, VideoTooLargeError)
    assert report.is_worn
    ours.close()
    theirs.close()


def test_a_process_that_cannot_start_says_so(
    own: Callable[..., EstimatorProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator_module.sys, "executable", "/bin/false")
    with pytest.raises(EstimatorLostError):
        own().estimate(SHORT)


def test_a_closed_estimator_has_no_process_and_starts_none(own: Callable[..., EstimatorProcess]) -> None:
    process = own()
    process.estimate(SHORT)
    pid = process.pid
    assert pid is not None
    process.close()
    process.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(EstimatorLostError):
        process.estimate(SHORT)


def test_nothing_is_left_behind_where_there_is_no_home(
    own: Callable[..., EstimatorProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = own()
    process.estimate(SHORT)
    process.kill()
    assert not list(tmp_path.iterdir())


def test_the_largest_pictures_fit_into_the_limits(process: EstimatorProcess, expected: bytes) -> None:
    done = process.estimate(encode(moving(2, 4096, 4096), options={"preset": "ultrafast"}))
    assert (done.facts.width, done.facts.height) == (4096, 4096)
    assert process.resident_bytes < MOST_BYTES
    assert process.estimate(SHORT).pose == expected


def test_an_estimator_outlives_no_parent() -> None:
    program = (
        "import os, sys; from video.worker_process import EstimatorProcess; p = EstimatorProcess(); p.start(); "
        "print(p.pid, flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [os.sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        psutil.Process(int(done.stdout)).wait(30)
    except psutil.NoSuchProcess:
        return
