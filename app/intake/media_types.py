"""Refuses a Content-Type, and says how to send one that is accepted."""

from collections.abc import Sequence

from app.errors import MediaTypeError

# What cURL sends with --data and --data-binary on its own; few who see it in an answer know that they sent it.
_CURL_DEFAULT = "application/x-www-form-urlencoded"
_SHOWN_CHARS = 64


def refuse_media_type(mimetype: str, accepted: Sequence[str]) -> MediaTypeError:
    """Make the error for a Content-Type that is not accepted.

    Args:
        accepted: what to send in its place, the most usual first.
    """
    *others, last = accepted
    named = f"{', '.join(others)} or {last}" if others else last
    hint = f". With cURL: -H 'Content-Type: {accepted[0]}'" if mimetype == _CURL_DEFAULT else ""
    return MediaTypeError(f"Content-Type {mimetype[:_SHOWN_CHARS]!r} is not accepted; send {named}{hint}")
