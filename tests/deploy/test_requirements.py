"""Every library that a room imports comes with the requirements that its users install."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement

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
    assert not _find_others(room, installed, late=True)


@pytest.mark.parametrize("room", ["benchmarks", "training"])
def test_a_room_of_developers_can_say_what_is_not_installed(room):
    """What requirements-dev.txt brings along is imported late, where a missing package becomes one line."""
    assert not _find_others(room, {*_list_names("requirements.lock"), *OTHERS}, late=False)


def test_all_that_requirements_bring_along_is_pinned():
    """Otherwise two installations of one commit differ, and the later one may break."""
    pinned = {_normalize(name) for name in re.findall(r"^([\w.-]+)==", _read("constraints.txt"), re.MULTILINE)}
    files = ("requirements.txt", "requirements-dev.txt", *EXTRAS)
    named = set().union(*(_list_names(file) for file in files))
    missing = _list_dependencies(named) - named - pinned
    # torch pins what its build for GPUs brings along.
    assert [name for name in sorted(missing) if not re.match(r"cuda-|nvidia-|triton$", name)] == []


def _list_dependencies(names: set[str]) -> set[str]:
    """List what packages bring along, and what that brings along, as far as it is installed here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        with suppress(PackageNotFoundError):  # of extras that are not installed here
            for line in requires(waiting.pop()) or ():
                requirement = Requirement(line)
                name = _normalize(requirement.name)
                if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                    found.add(name)
                    waiting.append(name)
    return found


def _find_others(room: str, installed: set[str], *, late: bool) -> set[str]:
    """List the imports of a room that are neither installed, nor Python's, nor this project's."""
    owners = packages_distributions()
    known = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    known |= {"tests", *sys.stdlib_module_names}
    return {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / room).rglob("*.py")
        for module in _list_imports(ast.parse(path.read_text(encoding="utf-8")), late=late)
        if module not in known and not installed & {_normalize(name) for name in owners.get(module, [module])}
    }


def _list_imports(node: ast.AST, *, late: bool) -> Iterator[str]:
    """List the roots of all modules that are imported with a file and, if late, when its functions are called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not late:
            continue
        if isinstance(child, ast.Import):
            yield from (name.name.partition(".")[0] for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module.partition(".")[0]
        yield from _list_imports(child, late=late)


def _list_names(file: str) -> set[str]:
    lines = _read(file).splitlines()
    return {_normalize(re.split(r"[\[=]", line)[0]) for line in lines if line and not line.startswith(("#", "-"))}


def _read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
