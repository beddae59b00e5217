"""Both ends of the protocol between a process with a tracker and its owner."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import orjson
import pytest

from processes.errors import MessageError
from tests.video.fake_process import FACTS
from video import worker_messages as messages
from video.errors import EstimationStoppedError, EstimatorError, VideoTruncatedError
from video.estimates import VideoLimits
from video.worker_messages import Estimated, Failed, FrameDone, Ready


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    owner, worker = Pipe()
    with owner, worker:
        yield owner, worker


def test_orders_arrive_as_they_were(ends: tuple[Connection, Connection]) -> None:
    owner, worker = ends
    messages.send_video(owner, b"a video", VideoLimits(max_frames=7))
    messages.send_stop(owner)
    assert messages.receive_order(worker) == (b"a video", VideoLimits(max_frames=7))
    assert messages.receive_order(worker) is None


def test_reports_arrive_as_they_were(ends: tuple[Connection, Connection]) -> None:
    owner, worker = ends
    messages.send_ready(worker, resident_bytes=3)
    messages.send_frame_done(worker, 1, None)
    messages.send_estimated(worker, b"a pose", facts=FACTS, warnings=("odd",), resident_bytes=4)
    assert messages.receive_report(owner) == Ready(3)
    assert messages.receive_report(owner) == FrameDone(1, None)
    assert messages.receive_report(owner) == Estimated(FACTS, ("odd",), 4)
    assert messages.receive_pose(owner) == b"a pose"


@pytest.mark.parametrize("error", [VideoTruncatedError("it ends early"), EstimationStoppedError("unwanted")])
def test_failures_arrive_as_they_were(ends: tuple[Connection, Connection], error: Exception) -> None:
    owner, worker = ends
    messages.send_failed(worker, error, resident_bytes=5, is_worn=True)
    report = messages.receive_report(owner)
    assert isinstance(report, Failed)
    assert (type(report.error), str(report.error)) == (type(error), str(error))
    assert (report.resident_bytes, report.is_worn) == (5, True)


def test_an_error_of_no_known_class_says_nothing_about_the_video(ends: tuple[Connection, Connection]) -> None:
    owner, worker = ends
    messages.send_failed(worker, SystemExit("boo"), resident_bytes=5)  # type: ignore[arg-type]
    report = messages.receive_report(owner)
    assert isinstance(report, Failed)
    assert type(report.error) is EstimatorError


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"kind": "?"}',
        b'{"kind": "ready"}',
        b'{"kind": "frame", "done": 1}',
        b'{"kind": "estimated", "facts": {"x": 1}, "warnings": [], "resident_bytes": 1}',
        b'{"kind": "failed", "error": "boo", "resident_bytes": 1, "is_worn": false}',
    ],
)
def test_anything_else_is_a_message_error(ends: tuple[Connection, Connection], noise: bytes) -> None:
    owner, worker = ends
    worker.send_bytes(noise)
    with pytest.raises(MessageError):
        messages.receive_report(owner)
    owner.send_bytes(noise)
    with pytest.raises(MessageError):
        messages.receive_order(worker)


def test_limits_that_no_video_has_are_a_message_error(ends: tuple[Connection, Connection]) -> None:
    owner, worker = ends
    owner.send_bytes(orjson.dumps({"kind": "estimate", "limits": {"max_length": 3}}))
    with pytest.raises(MessageError):
        messages.receive_order(worker)
