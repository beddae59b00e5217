"""Estimators behind a socket: typed refusals, clients that leave, a server that is killed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from processes.errors import CancelledError, DeadlineExceededError, QueueFullError, VideoStoppedError
from tests.video.fake_process import FACTS, TIMEOUT_S, FakeProcess
from tests.video.make_videos import clip
from video import client as client_module
from video.client import EstimatorClient
from video.errors import EstimatorLostError, VideoUnreadableError
from video.estimates import Estimate, VideoLimits
from video.interface import EstimateRequest, Finished, Progress
from video.local import LocalEstimators
from video.server import EstimatorServer
from video.settings import EstimatorSettings
from video.supervisor import EstimatorSupervisor


@pytest.fixture
def estimators(make_estimators: Callable[..., LocalEstimators]) -> LocalEstimators:
    return make_estimators(workers=1, max_waiting=2)


@pytest.fixture
def client(estimators: LocalEstimators, tmp_path: Path) -> Iterator[EstimatorClient]:
    address = str(tmp_path / "e.sock")
    Path(address).touch()  # left by a server that was killed
    server = EstimatorServer(estimators, address)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield EstimatorClient(address)
    FakeProcess.gate.set()
    server.stop()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + TIMEOUT_S
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        threading.Event().wait(0.005)


def request(*videos: bytes, deadline_s: float | None = None) -> EstimateRequest:
    deadline = None if deadline_s is None else time.monotonic() + deadline_s
    return EstimateRequest(list(videos), VideoLimits(max_frames=7), deadline)


def test_events_cross_the_socket_as_they_are(client: EstimatorClient) -> None:
    events = list(client.begin(request(b"a" * 1_000_000, b"bad", b"lost")).follow())
    assert Progress(0, 1, 2) in events
    found = {event.index: event.outcome for event in events if isinstance(event, Finished)}
    assert found[0] == Estimate(b"pose of " + b"a" * 1_000_000, FACTS, ("odd",))
    assert isinstance(found[1], VideoUnreadableError)
    assert str(found[1]) == "bad"
    assert isinstance(found[2], EstimatorLostError)
    assert found[2].retry_after_s > 0


def test_refusals_keep_their_types(client: EstimatorClient) -> None:
    FakeProcess.gate.clear()
    work = client.begin(request(b"a", b"b", b"c"))
    with pytest.raises(QueueFullError, match="at most 2 may") as full:
        client.begin(request(b"d"))
    assert full.value.retry_after_s > 0
    FakeProcess.gate.set()
    assert sum(isinstance(event, Finished) for event in work.follow()) == 3


def test_a_client_that_leaves_frees_its_place(client: EstimatorClient, estimators: LocalEstimators) -> None:
    FakeProcess.gate.clear()
    work = client.begin(request(b"a", b"b", b"c"))
    FakeProcess.wait_for_runs(1)
    with pytest.raises(CancelledError):
        list(work.follow(lambda: True))
    work.close()
    until(lambda: estimators.waiting == 0)
    FakeProcess.gate.set()
    assert sum(isinstance(event, Finished) for event in client.begin(request(b"d")).follow()) == 1
    assert b"b" not in FakeProcess.ran


def test_leaving_is_noticed_while_frames_keep_coming(client: EstimatorClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_CHECK_S", 0.0)
    told: list[object] = []
    work = client.begin(request(*[b"a"] * 3))

    def follow() -> None:
        for event in work.follow(lambda: len(told) > 1):
            told.append(event)

    with pytest.raises(CancelledError):
        follow()
    assert len(told) == 2
    work.close()


def test_a_deadline_holds_on_both_sides(client: EstimatorClient, estimators: LocalEstimators) -> None:
    FakeProcess.gate.clear()
    with pytest.raises(DeadlineExceededError):
        list(client.begin(request(b"a", b"b", deadline_s=0.2)).follow())
    until(lambda: estimators.waiting == 0)


def test_noise_on_the_socket_harms_nobody(client: EstimatorClient) -> None:
    for noise in (
        b"",
        b"{",
        b"[]",
        b'{"kind": "?"}',
        b'{"kind": "estimate", "videos": 1, "limits": {"x": 1}, "deadline": null}',
    ):
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(client.address)
            connection = Connection(end.detach())
            connection.send_bytes(noise)
            connection.close()
    assert sum(isinstance(event, Finished) for event in client.begin(request(b"d")).follow()) == 1


def test_counters_cross_the_socket(client: EstimatorClient) -> None:
    list(client.begin(request(b"a", b"bad")).follow())
    page = client.export_metrics()
    assert 'signclip_estimator_videos_total{code="done"} 1.0' in page
    assert 'signclip_estimator_videos_total{code="video_unreadable"} 1.0' in page
    assert "signclip_estimator_process_resident_memory_bytes" in page


def test_a_server_that_was_killed_refuses_at_once(tmp_path: Path) -> None:
    address = str(tmp_path / "e.sock")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(address)
    client = EstimatorClient(address)
    with pytest.raises(VideoStoppedError, match="restarting") as refused:
        client.begin(request(b"a"))
    assert refused.value.retry_after_s > 0
    assert client.export_metrics() == ""


@pytest.mark.slow
def test_a_killed_server_fails_at_once_comes_back_and_leaves_no_process() -> None:
    supervisor = EstimatorSupervisor(EstimatorSettings(workers=1), drain_s=20)
    directory = Path(supervisor.address).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    supervisor.start()
    try:
        client = EstimatorClient(supervisor.address)
        video = clip(6)
        expected = _pose(client, video)
        first = supervisor.pid
        assert first is not None
        workers = psutil.Process(first).children()
        assert len(workers) == 1
        work = client.begin(EstimateRequest([clip(100)]))
        events = work.follow()
        next(events)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(VideoStoppedError):
            list(events)
        # What it had started notices at its next frame.
        psutil.wait_procs(workers, timeout=TIMEOUT_S)
        assert not any(worker.is_running() for worker in workers)
        assert _pose(client, video) == expected
    finally:
        supervisor.stop()
    assert not directory.exists()


def _pose(client: EstimatorClient, video: bytes) -> bytes:
    """A pose, once the server is there."""
    found: list[bytes] = []

    def answers() -> bool:
        try:
            events = list(client.begin(EstimateRequest([video])).follow())
        except VideoStoppedError:
            return False
        last = events[-1]
        assert isinstance(last, Finished)
        assert isinstance(last.outcome, Estimate)
        found.append(last.outcome.pose)
        return True

    until(answers)
    return found[0]
