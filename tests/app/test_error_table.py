"""The one table from class of error to status."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.error_table import ANSWERS, UNFORESEEN, find_answer, find_code
from processes.errors import QueueFullError

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "engine", "models", "poses", "processes", "search", "video")
# Why these never reach a route, or are a bug when they do: a bug is answered 500.
UNREACHABLE = {
    "KeysError": "the application is not built with wrong keys, and a file that breaks later changes nothing",
    "SettingsError": "the application is not built with wrong settings",
    "ListeningError": "the service does not start on a port that is taken",
    "RequestError": "only its subclasses are raised",
    "ModelsError": "only its subclasses are raised",
    "DownloadError": "only `python -m models` downloads",
    "ExportError": "only `python -m models.export` exports",
    "ShapeError": "items are checked before they are queued",
    "PackingError": "poses.reading translates it",
    "PackedDamagedError": "poses.reading translates it",
    "PackedTruncatedError": "poses.reading translates it",
    "PackedTooLargeError": "poses.reading translates it",
    "YamlError": "its callers name the file",
    "BatchError": "only `python -m video` reads folders",
}


def find_errors() -> Iterator[type[Exception]]:
    """Find every class of error that the rooms under the routes define, wherever it stands."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            names = [
                node.name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
            ]
            if names:
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                yield from (getattr(module, name) for name in names)


ERRORS = list(find_errors())


def test_the_search_finds_the_errors_of_every_room():
    found = {error.__module__.partition(".")[0] for error in ERRORS}
    assert found == set(ROOMS)
    assert {error.__name__ for error in ERRORS} >= {"BackendError", "BatchError", "Base64Error", "PoseTruncatedError"}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_that_can_reach_a_route_has_a_line_in_the_table(kind):
    has_line = any(ancestor in ANSWERS for ancestor in kind.__mro__)
    assert has_line != (kind.__name__ in UNREACHABLE)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_line_of_its_own_or_a_code_in_one(kind):
    """The table finds codes in the errors.py of each room only."""
    from app.error_table import list_error_lines

    if kind.__name__ not in UNREACHABLE:
        assert kind.code in {code for line in list_error_lines() for code in line.codes}


def test_no_reason_is_given_for_an_error_that_does_not_exist():
    assert set(UNREACHABLE) <= {error.__name__ for error in ERRORS}


def test_the_nearest_ancestor_decides():
    class StrangeQueueError(QueueFullError): ...

    assert find_answer(StrangeQueueError("full")).status == 429
    assert find_answer(ValueError("?")) is UNFORESEEN
    assert find_code(ValueError("?")) == "internal"
