"""`python -m checks.walk [ROUTE …]`: the functions that a request or a command passes, in the order they are called.

    python -m checks.walk text pose video checkpoint training evaluation
    python -m checks.walk --before OTHER_CHECKOUT    # writes both ways, and their lengths, into docs/architecture.md

A request is followed through every process, when the service is warm: two like it came before. What the processes do
without a request is left out. A function counts once, when it is first called. Nameless functions do not count.
"""

import argparse
import json
import mmap
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.hook import sitecustomize as hook
from checks.scenarios import COMMANDS, REQUESTS, clean_environment, run_command, send, serving
from checks.sources import ROOT

PAGE = Path("docs") / "architecture.md"
ROUTES = (*REQUESTS, *COMMANDS)
_IDLE, _FOLLOWED = 1, 2
_WIDTH = 150
# What a process does every second or so shows in this time.
_IDLE_S = 4.0
# The access log and the counters come after the answer.
_AFTERWARDS_S = 0.5


@dataclass(frozen=True)
class Way:
    """The functions that one request or command passes.

    Attributes:
        steps: file and name of each function, in the order of the first calls.
        hops: how many of them are called from another file: what a reader must open.
        deepest: most functions that wait for each other in one thread.
    """

    steps: tuple[tuple[str, str], ...]
    hops: int
    deepest: int

    @property
    def files(self) -> tuple[str, ...]:
        """The files passed, each once."""
        return tuple(dict.fromkeys(file for file, _ in self.steps))

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms passed, each once."""
        return tuple(dict.fromkeys(file.partition("/")[0] for file in self.files))


class Tracer:
    """Collects what traced processes report.

    Attributes:
        environment: for those processes.
    """

    def __init__(self, tree: Path, folder: Path) -> None:
        pipe, switch = folder / "pipe", folder / "switch"
        os.mkfifo(pipe)
        switch.write_bytes(b"\0")
        # Open for both, so that it never ends while processes come and go.
        self._reader = os.open(pipe, os.O_RDWR)
        with switch.open("r+b") as file:
            self._switch = mmap.mmap(file.fileno(), 1)
        self._lines: list[dict[str, Any]] = []
        self._end = b'{"end": true}\n'
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.environment = {
            **clean_environment(),
            "PYTHONPATH": str(Path(hook.__file__).parent),
            hook.PIPE: str(pipe),
            hook.SWITCH: str(switch),
            hook.TREE: str(tree),
        }

    @property
    def is_reading(self) -> bool:
        """Whether it was not stopped."""
        return self._thread.is_alive()

    def turn(self, value: int) -> None:
        """Begin a part of the walk; 0 reports nothing."""
        self._switch[0] = value

    def stop(self) -> list[dict[str, Any]]:
        """Wait for everything that was reported, in the order of time."""
        os.write(self._reader, self._end)
        self._thread.join()
        os.close(self._reader)
        return sorted(self._lines, key=lambda line: line["time"])

    def _read(self) -> None:
        with open(self._pipe, "rb") as lines:
            for line in lines:
                if line == self._end:
                    return
                self._lines.append(json.loads(line))


def walk(routes: Sequence[str], tree: Path = ROOT) -> dict[str, Way]:
    """Follow routes in a checkout.

    Args:
        routes: some of ROUTES; all requests among them go to one service.
    Raises:
        RuntimeError: the service or a command fails.
    """
    ways = {}
    requests = [route for route in routes if route in REQUESTS]
    if requests:
        with _tracer(tree) as (tracer, folder):
            turns = _follow_requests(requests, tracer, tree, folder)
            lines = tracer.stop()
        ways = {route: way_of(lines, turn) for route, turn in turns.items()}
    for route in routes:
        if route in COMMANDS:
            with _tracer(tree) as (tracer, folder):
                arguments = COMMANDS[route](folder, tree)
                tracer.turn(_FOLLOWED)
                run_command(arguments, tree, tracer.environment, folder)
                ways[route] = way_of(tracer.stop(), _FOLLOWED)
    return ways


def way_of(lines: Sequence[Mapping[str, Any]], turn: int) -> Way:
    """Make a way of what was reported in a turn: what is called while nothing is asked for is no part of it."""
    idle = {(line["file"], line["name"]) for line in lines if line["turn"] == _IDLE}
    followed = [line for line in lines if line["turn"] == turn and (line["file"], line["name"]) not in idle]
    steps = dict.fromkeys((line["file"], line["name"]) for line in followed)
    hops = {(line["file"], line["name"]) for line in followed if line["callers"][:1] != [line["file"]]}
    return Way(tuple(steps), len(hops), max((len(line["callers"]) + 1 for line in followed), default=0))


def render(ways: Mapping[str, tuple[Way, Way]]) -> str:
    """Write lengths and lists, before and after, as Markdown."""
    rows = ["| way | functions | hops between files | files | rooms | deepest call |", "|---|--:|--:|--:|--:|--:|"]
    for route, (before, after) in ways.items():
        pairs = (
            (len(before.steps), len(after.steps)),
            (before.hops, after.hops),
            (len(before.files), len(after.files)),
            (len(before.rooms), len(after.rooms)),
            (before.deepest, after.deepest),
        )
        rows.append(f"| {route} | " + " | ".join(f"{old} → {new}" for old, new in pairs) + " |")
    parts = ["\n".join(rows)]
    for route, (before, after) in ways.items():
        for title, way in (("now", after), ("before", before)):
            parts.append(f"<details><summary>{route}, {title}</summary>\n\n```text\n{_listed(way)}\n```\n\n</details>")
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow the routes; the exit status: 0 done, 2 usage error."""
    parser = argparse.ArgumentParser(prog="python -m checks.walk", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("routes", nargs="*", metavar="ROUTE", help=f"some of {', '.join(ROUTES)}; default: all")
    parser.add_argument("--before", type=Path, metavar="DIR", help=f"another checkout; writes both ways into {PAGE}")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.routes) - set(ROUTES))
    if unknown:
        parser.error(f"there is no way {', '.join(unknown)}; there are {', '.join(ROUTES)}")
    routes = options.routes or list(ROUTES)
    if options.before is None:
        for route, way in walk(routes).items():
            print(f"{route}: {len(way.steps)} functions in {len(way.files)} files, {way.hops} hops, {way.deepest} deep")
            print("\n".join(f"  {file}: {name}" for file, name in way.steps))
        return 0
    before, after = walk(routes, options.before.resolve()), walk(routes)
    ways = {route: (before[route], after[route]) for route in routes}
    print(render(ways).partition("\n\n<details>")[0])
    if not options.routes:
        page = ROOT / PAGE
        block = re.compile(r"(<!-- ways -->\n).*?(<!-- /ways -->)", re.DOTALL)
        text = page.read_text(encoding="utf-8")
        drawn = f"Commit {_name_commit(options.before)} → {_name_commit(ROOT)}:\n\n{render(ways)}"
        page.write_text(block.sub(lambda found: f"{found[1]}{drawn}\n{found[2]}", text), encoding="utf-8")
    return 0


def _follow_requests(routes: Sequence[str], tracer: Tracer, tree: Path, folder: Path) -> dict[str, int]:
    """Send the requests twice, so that everything is loaded, then once each in a turn of its own."""
    turns = {route: turn for turn, route in enumerate(routes, start=_FOLLOWED)}
    with serving(tree, tracer.environment, folder) as address:
        for _ in range(2):
            for route in routes:
                send(address, REQUESTS[route])
        tracer.turn(_IDLE)
        time.sleep(_IDLE_S)
        for route, turn in turns.items():
            tracer.turn(turn)
            send(address, REQUESTS[route])
            time.sleep(_AFTERWARDS_S)
        tracer.turn(0)
    return turns


@contextmanager
def _tracer(tree: Path) -> Iterator[tuple[Tracer, Path]]:
    with tempfile.TemporaryDirectory(prefix="signclip-walk-") as name:
        folder = Path(name)
        tracer = Tracer(tree, folder)
        try:
            yield tracer, folder
        finally:
            if tracer.is_reading:
                tracer.stop()


def _name_commit(tree: Path) -> str:
    command = ["git", "-C", str(tree), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _listed(way: Way) -> str:
    """One stretch for each file that the way comes to, wrapped like text."""
    stretches: list[str] = []
    last = None
    for file, name in way.steps:
        if file == last:
            stretches[-1] += f", {name}"
        else:
            stretches.append(f"{file}: {name}")
        last = file
    return textwrap.fill("; ".join(stretches), width=_WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main())
