"""Which answers pass by the engine's traces before they are delivered."""

from dataclasses import replace
from typing import Any

import numpy as np

from engine.interface import EmbedRequest, EmbedResult
from engine.tracing import follow
from processes.errors import EngineStoppedError
from tests.engine.fakes import texts

REQUEST = EmbedRequest("m", "text", texts(1), traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
ANSWER = EmbedResult(np.zeros((1, 4), np.float32), {})


class Recorder:
    """Traces that remember what they were told."""

    def __init__(self) -> None:
        self.requests: list[EmbedRequest] = []

    def record(self, request: EmbedRequest, result: EmbedResult, *, admitted_ns: int) -> EmbedResult:
        assert admitted_ns > 0
        self.requests.append(request)
        return replace(result, traced=True)


def test_only_answers_of_traced_requests_are_recorded_and_every_answer_is_delivered() -> None:
    traces: Any = Recorder()
    came: list[Any] = []
    follow(traces, REQUEST, came.append)(ANSWER)
    assert [(one.traced, traces.requests) for one in came] == [(True, [REQUEST])]
    error = EngineStoppedError("gone")
    follow(traces, REQUEST, came.append)(error)
    follow(traces, replace(REQUEST, traceparent=None), came.append)(ANSWER)
    follow(None, REQUEST, came.append)(ANSWER)
    assert came[1:] == [error, ANSWER, ANSWER]
    assert len(traces.requests) == 1
