"""The one table from class of error to status."""

from __future__ import annotations

from app.errors import ANSWERS, answer_to
from processes.errors import QueueFullError


def test_every_error_of_the_rooms_below_has_a_line_in_the_table():
    """500 is for our bugs; these never reach a view, or are bugs when they do."""
    import engine.errors
    import models.errors
    import poses.errors
    import processes.errors

    unforeseen = {
        "CatalogError", "DownloadError", "EngineError", "MessageError", "ModelsError", "ProcessError", "ShapeError",
        "StoppedError",
    }  # fmt: skip
    for module in (engine.errors, models.errors, poses.errors, processes.errors):
        for name in dir(module):
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.__name__:
                found = any(ancestor in ANSWERS for ancestor in kind.__mro__)
                assert found != (name in unforeseen), name


def test_the_nearest_ancestor_decides():
    class StrangeQueueError(QueueFullError): ...

    assert answer_to(StrangeQueueError("full")).status == 429
    assert answer_to(ValueError("?")).status == 500
