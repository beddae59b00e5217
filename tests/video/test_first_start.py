"""Videos that come before the estimators listen for the first time wait for them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processes.errors import DeadlineExceededError, VideoStoppedError
from tests.video.fake_process import TIMEOUT_S
from video import client as client_module
from video.client import EstimatorClient
from video.interface import EstimateRequest, Finished
from video.local import LocalEstimators
from video.server import EstimatorServer


@pytest.fixture
def address(tmp_path: Path) -> str:
    (tmp_path / "own").mkdir()
    return str(tmp_path / "own" / "e.sock")


class Pauses:
    """Stands for the module `time` in the client; what happens meanwhile happens when a request first pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
        self.count, self.now, self._meanwhile = 0, time.monotonic(), meanwhile
        monkeypatch.setattr(client_module, "time", self)

    def sleep(self, seconds: float) -> None:
        self.count += 1
        self.now += seconds
        if self.count == 1:
            self._meanwhile()

    def monotonic(self) -> float:
        return self.now


def test_a_video_waits_for_the_first_start(
    make_estimators: Callable[..., LocalEstimators], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[EstimatorServer] = []
    threads: list[threading.Thread] = []

    def start() -> None:
        servers.append(EstimatorServer(make_estimators(workers=1), address))
        threads.append(threading.Thread(target=servers[0].serve))
        threads[0].start()

    pauses = Pauses(monkeypatch, start)
    work = EstimatorClient(address).begin(EstimateRequest([b"a"], deadline=time.monotonic() + TIMEOUT_S))
    assert sum(isinstance(event, Finished) for event in work.follow()) == 1
    assert pauses.count == 1
    servers[0].stop()
    threads[0].join(TIMEOUT_S)


def test_a_start_that_fails_is_not_waited_for_for_ever(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses(monkeypatch, lambda: None)
    client = EstimatorClient(address)
    with pytest.raises(VideoStoppedError, match="have not started yet") as refused:
        client.begin(EstimateRequest([b"a"]))
    assert refused.value.retry_after_s > 0
    waited = pauses.count
    assert pauses.now - time.monotonic() >= client_module.START_S - 1
    with pytest.raises(VideoStoppedError):
        client.begin(EstimateRequest([b"a"]))
    assert pauses.count == waited


def test_the_wait_ends_with_the_deadline(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses(monkeypatch, lambda: None)
    with pytest.raises(DeadlineExceededError):
        EstimatorClient(address).begin(EstimateRequest([b"a"], deadline=pauses.now + 1))
    assert pauses.count in (20, 21)


def test_a_service_that_stops_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses(monkeypatch, lambda: shutil.rmtree(Path(address).parent))
    with pytest.raises(VideoStoppedError):
        EstimatorClient(address).begin(EstimateRequest([b"a"]))
    assert pauses.count == 1
