"""`signclip COMMAND`: the commands of all rooms under one name, from any folder; `make install` puts it into .venv/bin.

A room is imported when its command is called, so that help is quick and a command needs its own libraries alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from processes.commands import PROGRAM
from processes.version import PRODUCT

ROOT = Path(__file__).resolve().parent
_USAGE_ERROR = 2
# What shells report for a command that Ctrl-C ended.
_INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: has a function `main`, which takes the arguments and returns the exit status.
        task: what it does, in a few words.
    """

    module: str
    task: str


COMMANDS: Mapping[str, Command] = {
    "serve": Command("app.__main__", "serve the API over HTTP"),
    "keys": Command("app.access.__main__", "add, list and revoke API keys"),
    "models": Command("models.__main__", "list, download and verify models"),
    "poses": Command("poses.__main__", "report on .pose files"),
    "video": Command("video.__main__", "estimate poses in videos, and draw them"),
    "search": Command("search.__main__", "compact and index the collections of the service"),
    "corpora": Command("corpora.__main__", "read, count and fetch data sets"),
    "dictionary": Command("dictionary.__main__", "index clips, search and report on them, find signs in recordings"),
    "bulk": Command("bulk.__main__", "embed whole data sets into Parquet files"),
    "train": Command("training.__main__", "train a model (make install-dev)"),
    "evaluate": Command("evaluation.__main__", "measure a model on a data set"),
    "report": Command("evaluation.report", "compare evaluations in one table"),
    "export": Command("models.export", "write a model for another runtime"),
    "engine": Command("engine.__main__", "run an engine by itself, for several services"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is the command's, 2 for a usage error, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(_write_help())
        return 0 if given else _USAGE_ERROR
    if given[0] == "--version":
        print(PRODUCT)
        return 0
    name, *rest = given
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{PROGRAM} --help lists them"
        print(f"{PROGRAM}: there is no command {name!r}; {hint}", file=sys.stderr)
        return _USAGE_ERROR
    room = COMMANDS[name].module.partition(".")[0]
    if find_spec(room) is None:
        print(f"{PROGRAM}: {name} needs {room}/, which this copy leaves out; use a checkout", file=sys.stderr)
        return _USAGE_ERROR
    sys.argv = [f"{PROGRAM} {name}", *rest]
    # Processes that a command starts find the rooms too, whatever folder the user is in.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        status: int = import_module(COMMANDS[name].module).main(rest)
    except KeyboardInterrupt:  # most often while libraries are imported
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    return status


def _write_help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.task}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND ...",
            "",
            "Sign language and text in one vector space.",
            "",
            *lines,
            "",
            f"`{PROGRAM} COMMAND --help` describes one of them; `{PROGRAM} --version` prints the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
