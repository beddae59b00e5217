"""Estimators that hang: deadlines count from the first byte, and nobody waits for them for ever."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from processes.errors import DeadlineExceededError, VideoStoppedError
from tests.engine.fakes import in_thread
from tests.processes.turn_tasks import hands_its_turn_on
from video import client as client_module
from video.client import EstimatorClient
from video.estimates import VideoLimits
from video.interface import EstimateRequest


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[EstimatorClient]:
    """Estimators as a stopped process leaves them: the kernel accepts, and nobody reads."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "e.sock"))
        listener.listen(1)
        yield EstimatorClient(str(tmp_path / "e.sock"))


def request(deadline_s: float | None, *, size: int = 10) -> EstimateRequest:
    deadline = None if deadline_s is None else time.monotonic() + deadline_s
    return EstimateRequest([bytes(size)], VideoLimits(max_frames=7), deadline)


@pytest.mark.parametrize("size", [10, 20_000_000], ids=["waits for an answer", "cannot send"])
def test_a_deadline_counts_before_the_request_is_admitted(hung: EstimatorClient, size: int) -> None:
    with pytest.raises(DeadlineExceededError):
        in_thread(lambda: hung.begin(request(0.3, size=size)))()


@pytest.mark.parametrize("size", [10, 20_000_000], ids=["waits for an answer", "cannot send"])
def test_silence_ends_a_request_that_may_take_long(
    hung: EstimatorClient, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SILENCE_S", 0.3)
    for deadline_s in (None, 60.0):
        with pytest.raises(VideoStoppedError, match="said nothing"):
            in_thread(lambda s=deadline_s: hung.begin(request(s, size=size)))()  # type: ignore[misc]


def test_a_full_backlog_ends_a_request_too(hung: EstimatorClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_S", 0.2)
    with ExitStack() as stack:
        for _ in range(2):  # as many as the listener has room for
            stack.enter_context(client_module._connect(hung.address, 0.2))
        with pytest.raises(VideoStoppedError, match="said nothing"):
            in_thread(lambda: hung.begin(request(60.0)))()
        assert in_thread(hung.export_metrics)() == ""


@pytest.mark.parametrize("waits_for", ["a connection", "an answer", "its video to be taken", "the counters"])
def test_who_waits_for_hung_estimators_lets_others_go_on(
    hung: EstimatorClient, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    monkeypatch.setattr(client_module, "METRICS_S", 0.2)

    def wait() -> None:
        with suppress(DeadlineExceededError):
            if waits_for == "the counters":
                hung.export_metrics()
            else:
                hung.begin(request(0.2, size=20_000_000 if waits_for == "its video to be taken" else 10))

    with ExitStack() as stack:
        for _ in range(2 if waits_for == "a connection" else 0):  # as many as the listener has room for
            stack.enter_context(client_module._connect(hung.address, 0.2))
        assert hands_its_turn_on(wait, monkeypatch)
