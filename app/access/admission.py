"""How many requests a web worker handles at once."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flask import Response

from app.errors import TooManyRequestsError
from app.services import Services, get_services

AdmittedView = Callable[[Services], Response]


def admit(view: AdmittedView) -> Callable[[], Response]:
    """Run a view only while there is a place for its request. This is decided before the body is read.

    Without this limit gunicorn would park any number of requests, each with its body, and health checks would wait
    behind them.

    Args:
        view: called with the services of the application.
    Returns:
        The view that Flask calls. It raises TooManyRequestsError when every place is taken.
    """

    @functools.wraps(view)
    def guarded() -> Response:
        shared = get_services()
        with ExitStack() as taken:
            _take_place(taken, shared.places, shared.settings.max_requests, "requests")
            return view(shared)

    return guarded


def admit_with_videos(view: AdmittedView) -> Callable[[], Response]:
    """Do the same as `admit`, with fewer places, because bodies with videos are large.

    A streamed answer keeps its place until its end.
    """

    @functools.wraps(view)
    def guarded() -> Response:
        shared = get_services()
        with ExitStack() as taken:
            _take_place(taken, shared.places, shared.settings.max_requests, "requests")
            _take_place(taken, shared.video_places, shared.settings.max_video_requests, "requests with videos")
            response = view(shared)
            if response.is_streamed:
                response.call_on_close(taken.pop_all().close)
            return response

    return guarded


@contextmanager
def hold_video_place(shared: Services) -> Iterator[None]:
    """Hold one of the places for requests with videos.

    Raises:
        TooManyRequestsError: every place is taken.
    """
    with ExitStack() as taken:
        _take_place(taken, shared.video_places, shared.settings.max_video_requests, "requests with videos")
        yield


def _take_place(taken: ExitStack, places: threading.BoundedSemaphore, count: int, what: str) -> None:
    if not places.acquire(blocking=False):
        raise TooManyRequestsError(f"{count} {what} are handled already; send it again later")
    taken.callback(places.release)
