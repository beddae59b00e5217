"""The one promise that the document does not hold: an answer of 500 or more has a name of its own."""

from typing import Any

import schemathesis


@schemathesis.check  # type: ignore[untyped-decorator]
def failures_have_names(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001
    """Check an answer: a deadline of a millisecond may pass, but nothing may fail without a name.

    Raises:
        AssertionError: it failed without a name.
    """
    if response.status_code >= 500:
        assert response.json()["code"] != "internal", response.text
