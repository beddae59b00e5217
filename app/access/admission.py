"""How many requests a web worker handles at once, and how much memory their bodies take."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response, g

from app.access.places import HeldBody
from app.access.quotas import get_address
from app.errors import TooManyRequestsError
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
    return _guard(view, has_video=False)


def admit_with_videos(view: AdmittedView) -> Callable[..., Response]:
    """Do the same as `admit`, with fewer places, because bodies with videos are large."""
    return _guard(view, has_video=True)


def _guard(view: AdmittedView, *, has_video: bool) -> Callable[..., Response]:
    @functools.wraps(view)
    def guarded(**path: str) -> Response:
        shared = get_services()
        held = _Held(shared, get_address(), has_video=has_video)
        try:
            g.body = held.body
            response = view(shared, **path)
        except BaseException:
            held.release()
            raise
        if response.is_streamed:
            response.call_on_close(held.release)
        else:
            held.release()
        return response

    return guarded


class _Held:
    """What one request holds while it is handled. A context manager for each of these would cost three times as much.

    Raises:
        TooManyRequestsError: every place is taken.
    """

    def __init__(self, shared: Services, address: str, *, has_video: bool) -> None:
        self._shared, self._address, self._has_video = shared, address, has_video
        shared.places.enter(address)
        if has_video:
            try:
                shared.video_places.enter(address)
            except TooManyRequestsError:
                shared.places.leave(address)
                raise
        shared.metrics.begin_request()
        self.body = HeldBody(shared.held_bytes)

    def release(self) -> None:
        """Give everything back. Called once."""
        self._shared.held_bytes.release(self.body)
        self._shared.metrics.end_request()
        if self._has_video:
            self._shared.video_places.leave(self._address)
        self._shared.places.leave(self._address)


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
