"""One answer of the service, judged: read it, send the request again, send it in halves, or give up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from signclip_client.configuration import Configuration, Limits
from signclip_client.errors import NoAnswerError, NoAnswerInTimeError, find_error_class
from signclip_client.messages import Answer, Request
from signclip_client.retries import compute_pause_s, is_worth_repeating, read_retry_after

# Failures before the service can have begun the work.
_NOT_BEGUN = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
# What the service says of what a deletion finds no more.
_GONE = ("collection_unknown", "entry_unknown")
# A service that is ready answers in milliseconds; the last question has as long as this at least.
_SHORTEST_QUESTION_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a long list is.

    Attributes:
        done: items that were answered.
        total: items of the list.
    """

    done: int
    total: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Pause:
    """Send the request again after so many seconds.

    Attributes:
        may_be_done: whether the service may have done the work, and only its answer was lost.
    """

    seconds: float
    may_be_done: bool = False


@dataclass(frozen=True)
class Halves:
    """Send these two requests in place of the one, because it had more than the service takes."""

    first: Request
    second: Request


def limit_question(configuration: Configuration, give_up: float) -> Limits:
    """Limit one question whether the service is ready: it is asked once, and no longer than until then.

    Args:
        give_up: seconds of time.monotonic.
    """
    left_s = max(give_up - time.monotonic(), _SHORTEST_QUESTION_S)
    return replace(configuration.limits, tries=1, timeout_s=min(configuration.limits.timeout_s, left_s))


def make_http_headers(request: Request) -> dict[str, str]:
    """Make the headers that belong to one request."""
    has_body = request.body is not None or request.file is not None
    content = {"Content-Type": request.media_type} if has_body else {}
    return {"Accept": "*/*" if request.method == "GET" else request.accept, **content}


def count_items(request: Request) -> int:
    """Count the items that a request sends; 1 for a request without a list."""
    return 1 if request.chunk is None else len(request.chunk.items)


def judge_answer(
    request: Request, response: httpx2.Response, limits: Limits, *, attempt: int, may_be_done: bool = False
) -> Answer | Pause | Halves:
    """Decide what follows from an answer.

    Args:
        attempt: tries so far, from 1.
        may_be_done: whether an earlier try may have done the work.
    Raises:
        AnswerError: the service refused the request, or failed.
    """
    if response.is_success:
        return Answer(response.content, request.chunk, request.columns)
    problem = _read_problem(response)
    if may_be_done and request.if_gone is not None and problem.get("code") in _GONE:
        return Answer(json.dumps(request.if_gone).encode())
    retry_after_s = read_retry_after(response.headers)
    halves = request.halve() if response.status_code == 413 else None
    if halves is not None:
        return Halves(*halves)
    if attempt < limits.tries and is_worth_repeating(
        response.status_code, has_code="code" in problem, retry_after_s=retry_after_s
    ):
        pause_s = compute_pause_s(attempt, retry_after_s)
        if (retry_after_s or 0.0) <= limits.longest_wait_s:
            # What the service itself refused, it did not begin; a proxy may have lost the answer.
            return Pause(pause_s, may_be_done="code" not in problem)
    kind = find_error_class(response.status_code, str(problem.get("code", "")))
    raise kind(_locate(problem, request), status=response.status_code, retry_after_s=retry_after_s)


def judge_failure(request: Request, error: httpx2.RequestError, limits: Limits, *, attempt: int, url: str) -> Pause:
    """Decide what follows when no answer came.

    Raises:
        NoAnswerError, NoAnswerInTimeError: trying again would not help, or was tried often enough.
    """
    began = not isinstance(error, _NOT_BEGUN)
    # A service that works too long would work as long again.
    is_late = began and isinstance(error, httpx2.TimeoutException)
    if attempt < limits.tries and not is_late and (request.is_repeatable or not began):
        return Pause(compute_pause_s(attempt, None), may_be_done=began)
    if is_late:
        raise NoAnswerInTimeError(
            f"no answer from {url} in {limits.timeout_s:g} s; give Limits(timeout_s=…) more, or send less at once"
        ) from error
    tries = "1 try" if attempt == 1 else f"{attempt} tries"
    raise NoAnswerError(
        f"no answer from {url} in {tries}: {error or type(error).__name__}; is the service running there?"
    ) from error


def _read_problem(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        problem = json.loads(response.content)
    except (ValueError, RecursionError):  # the last for lists nested thousands deep
        problem = None
    if isinstance(problem, dict) and "detail" in problem:
        places = problem.get("errors")
        # Other servers have errors of other forms.
        named = [place for place in places if _is_place(place)] if isinstance(places, list) else []
        return {**problem, "errors": named}
    target = response.headers.get("location")
    detail = f"the answer leads to {target}; give this address as the client's url" if target else "no problem document"
    return {"title": response.reason_phrase, "detail": detail}


def _is_place(place: object) -> bool:
    return isinstance(place, dict) and all(isinstance(place.get(key), str) for key in ("pointer", "message"))


def _locate(problem: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    """Let pointers count in the caller's lists."""
    if request.chunk is None:
        return problem
    places = [{**place, "pointer": request.locate(place["pointer"])} for place in problem.get("errors", ())]
    return {**problem, "detail": request.locate(str(problem["detail"])), "errors": places}
