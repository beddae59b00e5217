"""Turns "submit and be called back" into a call that waits; light, because web workers and the engine use it."""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from engine.interface import EmbedResult
from processes.errors import CancelledError, DeadlineExceededError, ProcessError
from processes.turns import Signal

Deliver = Callable[[EmbedResult | ProcessError], None]
# How often a waiting call checks whether its client has disconnected, in seconds.
_CHECK_S = 0.25


def wait_for(
    submit: Callable[[Deliver], Any],
    cancel: Callable[[Any], None],
    deadline: float | None,
    is_disconnected: Callable[[], bool] | None = None,
) -> EmbedResult:
    """Submit a request and wait for its answer.

    Args:
        submit: takes the function that receives the answer; returns a ticket.
        cancel: takes that ticket when the deadline passes first, or when the client has disconnected.
        deadline: in seconds of time.monotonic(); None: wait as long as it takes.
        is_disconnected: called now and then; reports whether the client has disconnected.
    Raises:
        CancelledError: the client has disconnected.
        DeadlineExceededError: the deadline passed first.
        ProcessError: the error that was delivered instead of an answer, or that `submit` raised.
    """
    answered = Signal()
    answers: list[EmbedResult | ProcessError] = []

    def deliver(answer: EmbedResult | ProcessError) -> None:
        answers.append(answer)
        answered.set()

    ticket = submit(deliver)
    while True:
        left_s = math.inf if deadline is None else max(0.0, deadline - time.monotonic())
        check_s = math.inf if is_disconnected is None else _CHECK_S
        wait_s = min(left_s, check_s)
        if answered.wait(min(wait_s, threading.TIMEOUT_MAX)):
            break
        if left_s <= check_s:
            cancel(ticket)
            raise DeadlineExceededError("the deadline passed before the request was answered")
        if is_disconnected is not None and is_disconnected():
            cancel(ticket)
            raise CancelledError("the client disconnected before its request was answered")
    answer = answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer
