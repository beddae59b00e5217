"""Whether a request is sent again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

# Of a failure that names no time: the first pause is up to this long, and each later one up to twice as long as before.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
# What a service or a proxy answers when it did not begin the work, or when it restarts.
_BUSY_OR_AWAY = frozenset({429, 502, 503})


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, in seconds or as a date; None where it is missing or wrong."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def is_worth_repeating(status: int, *, has_code: bool, retry_after_s: float | None) -> bool:
    """Decide whether an error may go away by itself.

    Args:
        status: HTTP status of the answer.
        has_code: whether the service itself wrote the answer, rather than a proxy before it.
        retry_after_s: what the answer asked for. The service asks for nothing when waiting will not help, for instance
            when a model's files are missing.
    """
    return status in _BUSY_OR_AWAY and (retry_after_s is not None or not has_code)


def compute_pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Compute the seconds until the next try.

    Args:
        attempt: tries so far, from 1.
        retry_after_s: what the answer asked for, if it did. No client comes back earlier, and clients that were refused
            together do not come back together.
    """
    if retry_after_s is not None:
        return retry_after_s + random.uniform(0.0, max(0.5, retry_after_s / 2))
    return random.uniform(0.0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempt - 1)))
