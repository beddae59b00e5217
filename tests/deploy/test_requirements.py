"""Every library that a room imports comes with the requirements that its users install."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest

from tests.running import ROOT

# Rooms whose commands need what the service needs, and no more. Each file of requirements is an extra that says so.
ROOMS = (
    *("app", "bulk", "corpora", "dictionary", "engine", "evaluation"),
    *("models", "poses", "processes", "search", "video"),
)
EXTRAS = ("requirements-postgres.txt", "requirements-ray.txt", "requirements-tracing.txt")
# What torch brings along is not in the lock, and clients' token arrays are decoded only where a service has tiktoken.
OTHERS = {"torch", "tiktoken"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_is_installed_with_the_service(room):
    installed = {*_list_names("requirements.lock"), *OTHERS, *(name for file in EXTRAS for name in _list_names(file))}
    owners = packages_distributions()
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    for path in sorted((ROOT / room).rglob("*.py")):
        for module in _list_imports(ast.parse(path.read_text(encoding="utf-8"))):
            if module in ours or module in sys.stdlib_module_names:
                continue
            names = {_normalize(name) for name in owners.get(module, [module])}
            assert names & installed, f"{path.relative_to(ROOT)} imports {module}, which requirements.txt lacks"


def _list_imports(node: ast.AST) -> Iterator[str]:
    """List the roots of all modules that are imported when a file is used, whenever that is."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (name.name.partition(".")[0] for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module.partition(".")[0]
        yield from _list_imports(child)


def _list_names(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {_normalize(re.split(r"[\[=]", line)[0]) for line in lines if line and not line.startswith("#")}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
