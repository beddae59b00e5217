"""Writes answers that come as lines of JSON, some of them before the work is done."""

from collections.abc import Callable, Iterator

from flask import Response, stream_with_context

from app.intake.connection import get_client
from app.intake.entries import LINES


def answer_lines(lines: Iterator[bytes], *, on_close: Callable[[], object] | None = None) -> Response:
    """Answer lines as they are made.

    Args:
        on_close: called at the end, also of a stream that the client never begins to read, which does not reach its
            own end.
    """
    # Work goes on between two lines, and watches the client. An interim answer would come into the middle of them.
    get_client().begin_answer()
    response = Response(stream_with_context(lines), mimetype=LINES)
    if on_close is not None:
        response.call_on_close(on_close)
    return response
