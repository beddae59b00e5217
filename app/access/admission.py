"""Who may come in, and how many at once."""

import functools
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flask import Flask, Response, request

from app.errors import KeyRefusedError, TooManyRequestsError
from app.services import services
from app.settings import Settings

# Health checks and pages that describe the service carry no key.
OPEN_BLUEPRINTS = ("health", "documentation")


def install(app: Flask, settings: Settings) -> None:
    """Ask for an API key on every route but the open ones, when keys are configured."""
    digests = [hashlib.sha256(key.get_secret_value().encode()).digest() for key in settings.api_keys]
    if not digests:
        return

    @app.before_request
    def check_key() -> None:
        if request.method == "OPTIONS" or request.blueprint in OPEN_BLUEPRINTS or request.url_rule is None:
            return
        given = hashlib.sha256(_given_key().encode("utf-8", "surrogateescape")).digest()
        # All digests are compared, each in constant time: neither the time nor the answer tells how near a guess is.
        if not sum(hmac.compare_digest(given, digest) for digest in digests):
            raise KeyRefusedError("send a key this server knows as Authorization: Bearer KEY, or as X-API-Key: KEY")


def _given_key() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")


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
