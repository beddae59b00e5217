"""How many requests are worked on at once."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flask import Response

from app.errors import TooManyRequestsError
from app.services import services


def admitted(view: Callable[[], Response]) -> Callable[[], Response]:
    """Let a view run only while there is a place for it; decides before the body is read.

    Without this, gunicorn would park any number of requests, each with its body, and health checks behind them.
    """

    @functools.wraps(view)
    def guarded() -> Response:
        with ExitStack() as taken:
            _take_place(taken, services().admission, services().settings.max_requests, "requests")
            return view()

    return guarded


def admitted_with_videos(view: Callable[[], Response]) -> Callable[[], Response]:
    """As `admitted`, with fewer places: bodies with videos are large. A streamed answer keeps its place to its end."""

    @functools.wraps(view)
    def guarded() -> Response:
        with ExitStack() as taken:
            _take_place(taken, services().admission, services().settings.max_requests, "requests")
            taken.enter_context(video_place())
            response = view()
            if response.is_streamed:
                response.call_on_close(taken.pop_all().close)
            return response

    return guarded


@contextmanager
def video_place() -> Iterator[None]:
    """Hold one of the places for requests with videos.

    Raises:
        TooManyRequestsError: all are taken.
    """
    with ExitStack() as taken:
        places, count = services().video_admission, services().settings.max_video_requests
        _take_place(taken, places, count, "requests with videos")
        yield


def _take_place(taken: ExitStack, places: threading.BoundedSemaphore, count: int, what: str) -> None:
    if not places.acquire(blocking=False):
        raise TooManyRequestsError(f"{count} {what} are being worked on already")
    taken.callback(places.release)
