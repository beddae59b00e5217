"""`python -m checks.house`: lengths and docstrings of every room, as a table; exit 1 where a limit is passed."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checks.docstrings import (
    Classes,
    array_names,
    gives_shapes,
    handles_arrays,
    names_what_it_raises,
    raised_names,
)
from checks.sources import LOOSE_FILES, ROOT, Function, Module, functions, read_modules

# What a reader can hold in the head at once: a file on three screens, a function on one.
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 6
LIMITS = {"documented": 0.95, "named": 0.98, "shaped": 0.90}
"""Least share of a room's public functions that have a docstring; of those that raise, that name what; of those that
handle arrays, that give shapes."""
MEANINGS = {
    "documented": "has no docstring",
    "named": "does not name what it raises",
    "shaped": "gives no shape of an array",
}


@dataclass
class Share:
    """How many functions of a kind there are, and which of them fall short."""

    total: int = 0
    short: list[str] = field(default_factory=list)

    def count(self, function: Function, is_right: bool) -> None:
        """Count one function."""
        self.total += 1
        if not is_right:
            self.short.append(function.place)

    @property
    def value(self) -> float:
        """The share that is right, 0 to 1; 1 where there is nothing to count."""
        return 1 - len(self.short) / self.total if self.total else 1.0


@dataclass
class Room:
    """What was counted in one room.

    Attributes:
        too_long: files, functions and parameter lists past a limit, in words.
        shares: by the names of LIMITS.
    """

    files: int = 0
    lines: int = 0
    longest_file: int = 0
    functions: int = 0
    longest_function: int = 0
    most_parameters: int = 0
    too_long: list[str] = field(default_factory=list)
    shares: dict[str, Share] = field(default_factory=lambda: {name: Share() for name in LIMITS})

    def short_of(self) -> list[str]:
        """The limits of LIMITS that this room does not reach."""
        return [name for name, limit in LIMITS.items() if self.shares[name].value < limit]


def survey(modules: Sequence[Module]) -> dict[str, Room]:
    """Count every room; tests and loose files have no public functions."""
    rooms: dict[str, Room] = defaultdict(Room)
    aliases = array_names(modules)
    classes = Classes(modules)
    for module in modules:
        room = rooms[module.room]
        _count_file(room, module)
        for function in functions(module):
            _count_length(room, function)
            if module.room not in ("tests", LOOSE_FILES):
                _count_docstring(room, function, aliases[module.name], classes)
    return dict(rooms)


def table(rooms: dict[str, Room]) -> str:
    """Draw the rooms as a table for a terminal."""
    head = ("room", "files", "lines", "longest", "functions", "longest", "params", *LIMITS)
    rows = [head]
    for name, room in rooms.items():
        counts = (room.files, room.lines, room.longest_file, room.functions, room.longest_function)
        shares = (f"{share.value:.1%} of {share.total}" if share.total else "-" for share in room.shares.values())
        rows.append((name, *map(str, counts), str(room.most_parameters), *shares))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def complaints(rooms: dict[str, Room]) -> Iterable[str]:
    """What falls short, a line each: every length past its limit, and every function of a room below a share."""
    for name, room in rooms.items():
        yield from room.too_long
        for limit in room.short_of():
            share = room.shares[limit]
            yield f"{name}: {share.value:.1%} {limit}, {LIMITS[limit]:.0%} are needed:"
            yield from (f"  {place} {MEANINGS[limit]}" for place in share.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and what falls short; the exit status: 0 all within the limits, 1 not, 2 usage error."""
    parser = argparse.ArgumentParser(prog="python -m checks.house", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to look at; default: this one")
    parser.add_argument("--all", action="store_true", help="list what falls short in rooms that reach the limit, too")
    options = parser.parse_args(arguments)
    rooms = survey(read_modules(options.root))
    print(table(rooms))
    if options.all:
        for room in rooms.values():
            for limit, share in room.shares.items():
                print("\n".join(f"{place} {MEANINGS[limit]}" for place in share.short))
    found = list(complaints(rooms))
    if found:
        print("\n" + "\n".join(found), file=sys.stderr)
    return 1 if found else 0


def _count_file(room: Room, module: Module) -> None:
    room.files += 1
    room.lines += module.lines
    room.longest_file = max(room.longest_file, module.lines)
    if module.lines > MAX_FILE_LINES:
        room.too_long.append(f"{module.path}: {module.lines} lines; at most {MAX_FILE_LINES}")


def _count_length(room: Room, function: Function) -> None:
    room.functions += 1
    room.longest_function = max(room.longest_function, function.lines)
    if function.lines > MAX_FUNCTION_LINES:
        room.too_long.append(f"{function.place}: {function.lines} lines; at most {MAX_FUNCTION_LINES}")
    # pytest fills a test's parameters by name; no code calls it.
    if function.node.name.startswith("test_"):
        return
    parameters = len(function.parameters)
    room.most_parameters = max(room.most_parameters, parameters)
    if parameters > MAX_PARAMETERS:
        room.too_long.append(f"{function.place}: {parameters} parameters; at most {MAX_PARAMETERS}")


def _count_docstring(room: Room, function: Function, aliases: frozenset[str], classes: Classes) -> None:
    is_constructor = function.node.name in ("__init__", "__post_init__")
    if not (function.is_public or is_constructor):
        return
    if raised_names(function):
        room.shares["named"].count(function, names_what_it_raises(function, classes))
    if is_constructor:
        return
    inherits = classes.document(function)
    room.shares["documented"].count(function, bool(function.docstring) or inherits)
    if handles_arrays(function, aliases):
        room.shares["shaped"].count(function, gives_shapes(function) or inherits)


if __name__ == "__main__":
    sys.exit(main())
