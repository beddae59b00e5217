"""Items that were skipped, as answers show them."""

from collections.abc import Mapping
from typing import Any

from app.error_table import find_code

# Of a message, which may quote words of a file from outside; problems are cut alike (app/answers/problems.py).
_DETAIL_CHARS = 1000


def list_failures(failures: Mapping[int, Exception]) -> list[dict[str, Any]]:
    """List the items that were skipped and why."""
    return [
        {"index": index, "code": find_code(error), "detail": str(error)[:_DETAIL_CHARS]}
        for index, error in sorted(failures.items())
    ]
