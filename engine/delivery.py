"""Submit-and-deliver turned into a call that waits; light, for both sides of the engine's socket."""

import threading
import time
from collections.abc import Callable
from typing import Any

from engine.interface import EmbedResult
from processes.errors import CancelledError, DeadlineExceededError, ProcessError

Deliver = Callable[[EmbedResult | ProcessError], None]
# How often a waiting call asks whether its client is still there, in seconds.
_GONE_S = 0.25


def wait_for(
    submit: Callable[[Deliver], Any],
    cancel: Callable[[Any], None],
    deadline: float | None,
    is_disconnected: Callable[[], bool] | None = None,
) -> EmbedResult:
    """Turn submit-and-deliver into a call that waits.

    Args:
        submit: takes `deliver`, returns a ticket.
        cancel: takes that ticket, when the deadline passes first or nobody waits any more.
        deadline: in seconds of time.monotonic().
        is_disconnected: asked now and then whether whoever wanted the answer has left.
    Raises:
        CancelledError: they have.
        ProcessError: whatever was delivered instead of an answer.
    """
    answered = threading.Event()
    answers: list[EmbedResult | ProcessError] = []

    def deliver(answer: EmbedResult | ProcessError) -> None:
        answers.append(answer)
        answered.set()

    ticket = submit(deliver)
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        patience = left if is_disconnected is None else min(_GONE_S, left if left is not None else _GONE_S)
        if answered.wait(patience):
            break
        if left is not None and left <= (patience or 0.0):
            cancel(ticket)
            raise DeadlineExceededError("the deadline passed before the request was answered")
        if is_disconnected is not None and is_disconnected():
            cancel(ticket)
            raise CancelledError("whoever asked has gone")
    answer = answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer
