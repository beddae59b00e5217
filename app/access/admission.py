"""How many requests a web worker handles at once, and how much memory their bodies take."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flask import Response, g

from app.access.places import HeldBody
from app.access.quotas import get_address
from app.services import Services, get_services

AdmittedView = Callable[..., Response]


def admit(view: AdmittedView) -> Callable[..., Response]:
    """Run a view only while there is a place for its request. This is decided before the body is read.

    Without this limit gunicorn would park any number of requests, each with its body, and health checks would wait
    behind them. A streamed answer keeps its place until its end.

    Args:
        view: called with the services of the application, and with the parameters of its path.
    Returns:
        The view that Flask calls. It raises TooManyRequestsError when every place is taken.
    """

    @functools.wraps(view)
    def guarded(**path: str) -> Response:
        shared = get_services()
        with ExitStack() as taken:
            taken.enter_context(shared.places.take(get_address()))
            taken.enter_context(shared.metrics.track())
            g.body = taken.enter_context(shared.held_bytes.open())
            return _keep_places(taken, view(shared, **path))

    return guarded


def admit_with_videos(view: AdmittedView) -> Callable[..., Response]:
    """Do the same as `admit`, with fewer places, because bodies with videos are large."""

    @functools.wraps(view)
    def guarded(**path: str) -> Response:
        shared = get_services()
        with ExitStack() as taken:
            taken.enter_context(shared.places.take(get_address()))
            taken.enter_context(shared.video_places.take(get_address()))
            taken.enter_context(shared.metrics.track())
            g.body = taken.enter_context(shared.held_bytes.open())
            return _keep_places(taken, view(shared, **path))

    return guarded


@contextmanager
def hold_video_place(shared: Services) -> Iterator[None]:
    """Hold one of the places for requests with videos.

    Raises:
        TooManyRequestsError: every place is taken.
    """
    with shared.video_places.take(get_address()):
        yield


def get_body() -> HeldBody:
    """Return the account of the body of the request that is being handled."""
    found: HeldBody = g.body
    return found


def _keep_places(taken: ExitStack, response: Response) -> Response:
    if response.is_streamed:
        response.call_on_close(taken.pop_all().close)
    return response
