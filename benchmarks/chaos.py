"""The service under load while a process of it is killed or stopped every few seconds.

    python -m benchmarks.chaos [--minutes 15] [--every 20] [--clients 6] [--standby] [--out FILE.json]

Clients send texts and poses to the shipped model, and compare every vector with the one that the quiet service gave at
the start. The process that is hit is a web worker, an engine or the queue of videos, by turns. Half of the times it is
killed, and half of the times stopped (SIGSTOP), as by a debugger or a frozen disk, and never let go on.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import inputs
from benchmarks.measuring import machine_facts, write_results
from tests.running import Service, running

WORKERS = 3
# A vector that is off by more than this in any component is a wrong one; the batch that it was in moves it by 1e-6.
TOLERANCE = 1e-4
# Longer than a stopped web worker may keep its requests: gunicorn's timeout, and some seconds.
_PATIENCE_S = 90.0
_PROBE_S = 0.25
_PARTS = ("web worker", "engine", "queue of videos")


@dataclass
class Tally:
    """What the clients saw.

    Attributes:
        outcomes: how often which answer came, as "200" or "503 engine_stopped"; "no answer" for a broken connection.
        wrong: vectors that differ from those of the quiet service.
        longest_s: the longest that an answer took.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    longest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: str, seconds: float, *, wrong: bool) -> None:
        """Note one answer."""
        with self.lock:
            self.outcomes[outcome] += 1
            self.wrong += wrong
            self.longest_s = max(self.longest_s, seconds)


Request = tuple[str, Any]


def make_requests() -> list[Request]:
    """Make the requests that clients send again and again: paths and bodies."""
    letters = [f"letter {chr(97 + number)}" for number in range(20)]
    texts: list[Request] = [("/api/embed/text", {"text": [letter], "normalize": False}) for letter in letters]
    return [*texts, ("/api/embed/pose?normalize=false", inputs.house_clip())]


def ask(service: Service, request: Request) -> tuple[str, Any]:
    """Send a request; returns the outcome and the vector, None without one."""
    try:
        status, _, body = service.ask(*request, timeout_s=_PATIENCE_S)
    except OSError:
        return "no answer", None
    answer = json.loads(body)
    if status != 200:
        return f"{status} {answer['code']}", None
    return "200", np.asarray(answer["embeddings"][0], dtype=np.float32)


def send(
    service: Service, requests: Sequence[Request], golden: Sequence[Any], *, tally: Tally, stop: threading.Event
) -> None:
    """Send requests one after another until the end, and compare every vector."""
    rng = random.Random(threading.get_ident())
    while not stop.is_set():
        number = rng.randrange(len(requests))
        started = time.monotonic()
        outcome, vector = ask(service, requests[number])
        wrong = vector is not None and bool(np.abs(vector - golden[number]).max() > TOLERANCE)
        tally.note(outcome, time.monotonic() - started, wrong=wrong)
        if outcome != "200":
            stop.wait(0.2)


def watch(service: Service, *, stop: threading.Event, looks: list[bool]) -> None:
    """Look again and again whether the service is ready."""
    while not stop.wait(_PROBE_S):
        try:
            looks.append(service.ask("/readyz", timeout_s=2)[0] == 200)
        except OSError:
            looks.append(False)


def hit(service: Service, number: int) -> str:
    """Kill or stop one process; returns what was done."""
    part = _PARTS[number % len(_PARTS)]
    found = service.children({"engine": "engine", "queue of videos": "video"}.get(part))
    if part == "engine":
        found = [process for process in found if _serves(process)]
    stops = number // len(_PARTS) % 2 == 1
    if not found:
        return f"{part}: none"
    try:
        found[number % len(found)].send_signal(signal.SIGSTOP if stops else signal.SIGKILL)
    except psutil.NoSuchProcess:
        return f"{part}: gone"
    return f"{part} {'stopped' if stops else 'killed'}"


def _serves(engine: psutil.Process) -> bool:
    """Whether a process of the engine listens, and does not only stand by."""
    try:
        return any(str(end.laddr).endswith(".sock") for end in engine.net_connections("unix"))
    except psutil.Error:
        return False


def run(folder: Path, *, minutes: float, every_s: float, clients: int, standby: bool = False) -> dict[str, Any]:
    """Run the service under load and hit it; returns what was seen."""
    tally, stop = Tally(), threading.Event()
    looks: list[bool] = []
    hits: list[str] = []
    settings = {"SIGNCLIP_VIDEO_WORKERS": "1", "SIGNCLIP_WEIGHTS_DIR": str(folder)}
    settings["SIGNCLIP_SEARCH_DIR"] = str(folder / "search")
    settings["SIGNCLIP_ENGINE_STANDBY"] = str(int(standby))
    load = []
    with running(folder, settings, options=("-w", str(WORKERS))) as service:
        service.wait_until_ready()
        requests = make_requests()
        golden = [ask(service, request)[1] for request in requests]
        threads = [
            threading.Thread(target=send, args=(service, requests, golden), kwargs={"tally": tally, "stop": stop})
            for _ in range(clients)
        ]
        threads.append(threading.Thread(target=watch, args=(service,), kwargs={"stop": stop, "looks": looks}))
        for thread in threads:
            thread.start()
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends:
            time.sleep(every_s)
            hits.append(hit(service, len(hits)))
            load.append(os.getloadavg()[0])
            print(f"{hits[-1]:28} {dict(tally.outcomes)}", flush=True)
        stop.set()
        for thread in threads:
            thread.join()
        service.wait_until_ready()
    return {
        "outcomes": dict(tally.outcomes),
        "wrong_vectors": tally.wrong,
        "longest_s": round(tally.longest_s, 2),
        "ready_share": round(sum(looks) / max(1, len(looks)), 4),
        "hits": dict(Counter(hits)),
        "load_mean": round(sum(load) / max(1, len(load)), 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and write what was seen. The exit status is 1 if a vector was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--standby", action="store_true", help="with SIGNCLIP_ENGINE_STANDBY")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = run(
            Path(folder),
            minutes=options.minutes,
            every_s=options.every,
            clients=options.clients,
            standby=options.standby,
        )
    for name, value in found.items():
        print(f"{name}: {value}")
    write_results("chaos", {"machine": machine_facts(), "settings": _describe(options), **found}, options.out)
    return 1 if found["wrong_vectors"] else 0


def _describe(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "minutes": options.minutes,
        "every_s": options.every,
        "clients": options.clients,
        "workers": WORKERS,
        "standby": options.standby,
    }


if __name__ == "__main__":
    sys.exit(main())
