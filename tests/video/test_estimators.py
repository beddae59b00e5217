"""The queue of videos: exact limits, fair order, nothing done for nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from processes.errors import CancelledError, DeadlineExceededError, QueueFullError, VideoStoppedError
from tests.video.fake_process import TIMEOUT_S, FakeProcess
from video import local
from video.errors import EstimatorLostError, VideoUnreadableError
from video.estimates import Estimate
from video.interface import (
    EstimateRequest,
    Event,
    Finished,
    Progress,
    Work,
)
from video.local import LocalEstimators

Make = Callable[..., LocalEstimators]


def videos(*names: str, deadline_s: float | None = None) -> EstimateRequest:
    deadline = None if deadline_s is None else time.monotonic() + deadline_s
    return EstimateRequest([name.encode() for name in names], deadline=deadline)


def outcomes(work: Work) -> dict[int, object]:
    return {event.index: event.outcome for event in work.follow() if isinstance(event, Finished)}


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + TIMEOUT_S
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        threading.Event().wait(0.002)


def test_every_video_gets_its_own_outcome(make_estimators: Make) -> None:
    found = outcomes(make_estimators().begin(videos("a", "bad", "b", "lost", "bug")))
    assert isinstance(found[0], Estimate)
    assert (found[0].pose, found[0].warnings) == (b"pose of a", ("odd",))
    assert isinstance(found[2], Estimate)
    assert found[2].pose == b"pose of b"
    assert isinstance(found[1], VideoUnreadableError)
    assert isinstance(found[3], EstimatorLostError)
    assert isinstance(found[4], EstimatorLostError)


def test_progress_comes_before_the_end(make_estimators: Make) -> None:
    events = list(make_estimators().begin(videos("a")).follow())
    assert events[:2] == [Progress(0, 1, 2), Progress(0, 2, 2)]
    assert isinstance(events[2], Finished)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("max_waiting", [0, 4])
def test_the_limit_of_the_queue_is_exact(make_estimators: Make, workers: int, max_waiting: int) -> None:
    estimators = make_estimators(workers=workers, max_waiting=max_waiting)
    FakeProcess.gate.clear()
    places = workers + max_waiting
    works = [estimators.begin(videos("a")) for _ in range(places)]
    with pytest.raises(QueueFullError, match=f"at most {max_waiting} may"):
        estimators.begin(videos("b"))
    FakeProcess.gate.set()
    for work in works:
        assert len(outcomes(work)) == 1
    for _ in range(20):
        assert len(outcomes(estimators.begin(videos(*"x" * places)))) == places
    with pytest.raises(QueueFullError):
        estimators.begin(videos(*"y" * (places + 1)))


def test_bytes_are_limited_too(make_estimators: Make) -> None:
    estimators = make_estimators(max_bytes=10)
    FakeProcess.gate.clear()
    first = estimators.begin(videos("a" * 20))
    with pytest.raises(QueueFullError, match="20 bytes of videos are held"):
        estimators.begin(videos("b"))
    FakeProcess.gate.set()
    outcomes(first)
    assert len(outcomes(estimators.begin(videos("b")))) == 1


def test_a_request_of_one_does_not_wait_for_a_request_of_many(make_estimators: Make) -> None:
    estimators = make_estimators(workers=2, max_waiting=9)
    FakeProcess.gate.clear()
    many = estimators.begin(videos(*[f"many {number}" for number in range(6)]))
    FakeProcess.wait_for_runs(2)
    one = estimators.begin(videos("one"))
    FakeProcess.gate.set()
    outcomes(one)
    outcomes(many)
    assert FakeProcess.ran[2] == b"one"


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_take_turns_however_many_requests_one_has(make_estimators: Make, workers: int) -> None:
    estimators = make_estimators(workers=workers, max_waiting=20)
    FakeProcess.gate.clear()
    greedy = [estimators.begin(replace(videos(f"greedy {number}"), client="a")) for number in range(8)]
    FakeProcess.wait_for_runs(workers)
    modest = [estimators.begin(replace(videos(f"modest {number}"), client="b")) for number in range(2)]
    FakeProcess.gate.set()
    for work in (*modest, *greedy):
        outcomes(work)
    last = max(FakeProcess.ran.index(f"modest {number}".encode()) for number in range(2))
    assert last <= workers + 3  # the two, and at most as many of the other one's between them


def test_the_process_that_is_there_is_asked_first(make_estimators: Make) -> None:
    estimators = make_estimators(workers=3)
    for _ in range(5):
        outcomes(estimators.begin(videos("a")))
    assert sorted(process.videos for process in FakeProcess.made) == [0, 0, 5]
    assert len(estimators.pids) == 1


def test_who_leaves_costs_nothing_more(make_estimators: Make) -> None:
    estimators = make_estimators(workers=1, max_waiting=9)
    FakeProcess.gate.clear()
    first = estimators.begin(videos("a", "b"))
    FakeProcess.wait_for_runs(1)
    second = estimators.begin(videos("c"))
    with pytest.raises(CancelledError):
        list(first.follow(lambda: True))
    first.close()
    first.close()
    until(lambda: FakeProcess.ran == [b"a", b"c"])
    FakeProcess.gate.set()
    assert len(outcomes(second)) == 1
    assert estimators.waiting == 0


def test_leaving_is_noticed_while_frames_keep_coming(make_estimators: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_CHECK_S", 0.0)
    estimators = make_estimators(workers=1)
    work = estimators.begin(videos("a"))
    for number in range(1000):
        work.report(Progress(0, number, None))
    told: list[Event] = []

    def follow() -> None:
        for event in work.follow(lambda: len(told) > 5):
            told.append(event)

    with pytest.raises(CancelledError):
        follow()
    assert len(told) < 10


def test_a_deadline_ends_what_waits_and_what_runs(make_estimators: Make) -> None:
    estimators = make_estimators(workers=1)
    FakeProcess.gate.clear()
    work = estimators.begin(videos("a", "b", deadline_s=0.1))
    with pytest.raises(DeadlineExceededError):
        outcomes(work)
    work.close()
    other = estimators.begin(videos("c"))
    FakeProcess.wait_for_runs(2)
    FakeProcess.gate.set()
    outcomes(other)
    assert FakeProcess.ran == [b"a", b"c"]


def counted(estimators: LocalEstimators) -> dict[str, float]:
    """What the estimators count, by name and label."""
    families = text_string_to_metric_families(estimators.export_metrics())
    return {"".join((s.name, *s.labels.values())): s.value for family in families for s in family.samples}


def test_what_happens_is_counted(make_estimators: Make) -> None:
    estimators = make_estimators(workers=1, max_waiting=9)
    FakeProcess.gate.clear()
    work = estimators.begin(videos("a", "bad", "b", "lost", "bug"))
    FakeProcess.wait_for_runs(1)
    found = counted(estimators)
    assert found["signclip_estimator_queue_videos"] == 4
    assert found["signclip_estimator_held_bytes"] == len("abadblostbug")
    assert found["signclip_estimator_processes"] == 1
    FakeProcess.gate.set()
    outcomes(work)
    found = counted(estimators)
    assert found["signclip_estimator_videos_totaldone"] == 2
    assert found["signclip_estimator_videos_totalvideo_unreadable"] == 1
    assert found["signclip_estimator_videos_totalestimator_lost"] == 2
    assert found["signclip_estimator_frames_total"] == 7
    assert found["signclip_estimator_video_seconds_count"] == found["signclip_estimator_queue_wait_seconds_count"] == 5
    assert found["signclip_estimator_restarts_totallost"] == 2
    assert found["signclip_estimator_restarts_totalworn"] == 0
    assert found["signclip_estimator_queue_videos"] == found["signclip_estimator_held_bytes"] == 0


def test_memory_is_that_of_the_processes(make_estimators: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProcess, "pid", os.getpid())
    estimators = make_estimators(workers=2)
    assert counted(estimators)["signclip_estimator_processes_resident_bytes"] > 20_000_000
    monkeypatch.setattr(FakeProcess, "pid", 2**22 + 1)
    assert counted(estimators)["signclip_estimator_processes_resident_bytes"] == 0


def test_closing_answers_what_was_admitted_and_refuses_the_rest(make_estimators: Make) -> None:
    estimators = make_estimators(workers=1)
    FakeProcess.gate.clear()
    work = estimators.begin(videos("a", "b"))
    FakeProcess.wait_for_runs(1)
    closing = threading.Thread(target=estimators.close)
    closing.start()

    def is_refused() -> bool:
        try:
            estimators.begin(videos("c")).close()
        except VideoStoppedError:
            return True
        return False

    until(is_refused)
    FakeProcess.gate.set()
    assert len(outcomes(work)) == 2
    closing.join(TIMEOUT_S)
    assert all(process.closed for process in FakeProcess.made)


def test_many_threads_each_get_their_own(make_estimators: Make) -> None:
    estimators = make_estimators(workers=3, max_waiting=100)
    wrong: list[object] = []

    def ask(name: str) -> None:
        for number in range(30):
            names = [f"{name} {number} {index}" for index in range(1 + number % 3)]
            found = outcomes(estimators.begin(videos(*names)))
            for index, given in enumerate(names):
                outcome = found[index]
                if not isinstance(outcome, Estimate) or outcome.pose != b"pose of " + given.encode():
                    wrong.append(outcome)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert not wrong
    assert estimators.waiting == 0
