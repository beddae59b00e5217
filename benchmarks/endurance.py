"""The service for a long time: mixed load below its capacity, memory of each process, then overload, then recovery.

    python -m benchmarks.endurance [--minutes 30] [--overload-minutes 5] [--workers 3] [--out FILE.json]

Capacity is what closed connections get answered first. The steady load is 80 % of it and the overload three times as
much, both at fixed times, whether or not earlier requests are answered. Texts, poses, searches, similarities and videos
are mixed. Every vector is compared with the one that the quiet service gave at the start.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import inputs
from benchmarks.chaos import TOLERANCE
from benchmarks.measuring import machine_facts, write_results
from tests.running import Service, running

_PATIENCE_S = 120.0
_SAMPLE_S = 5.0
_CLOSED_CLIENTS = 8
# Enough threads for three times the capacity, where each waits for its answer or its refusal.
_OPEN_CLIENTS = 96
STEADY, OVERLOAD = 0.8, 3.0
# Caches and arenas fill first; a slope counts after this share of the time.
_WARM_SHARE = 0.4

Request = tuple[str, Any]


@dataclass
class Tally:
    """What the clients of one phase saw: answers by status and code, seconds of the good ones, and wrong vectors."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def summarize(self) -> dict[str, Any]:
        """Give the counts, and median and 99th percentile of the good answers of each route."""
        latencies = {
            route: {"n": len(all_s), "p50_s": _percentile(all_s, 50), "p99_s": _percentile(all_s, 99)}
            for route, all_s in sorted(self.seconds.items())
        }
        return {"outcomes": dict(self.outcomes), "wrong_vectors": self.wrong, "latencies": latencies}


def _percentile(seconds: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(seconds, percent)), 3)


def make_requests() -> list[Request]:
    """Make the mixture: of twenty requests, twelve are texts and one is a video."""
    from tests.video.make_videos import encode, moving

    clip, video = inputs.house_clip(), encode(moving(6, 192, 192))
    texts: list[Request] = [
        ("/api/embed/text", {"text": [f"letter {chr(97 + n)}"], "normalize": False}) for n in range(12)
    ]
    return [
        *texts,
        *[("/api/embed/pose?normalize=false", clip)] * 3,
        *[("/api/collections/letters/search", {"text": "A", "k": 3})] * 2,
        *[("/api/similarity", {"text": ["A", "B", "C"]})] * 2,
        ("/api/embed/video", video),
    ]


def ask(service: Service, request: Request, tally: Tally | None, golden: Any = None) -> Any:
    """Send a request and note the answer; returns the first vector of a good one, if it has vectors."""
    started = time.monotonic()
    try:
        status, _, body = service.ask(*request, timeout_s=_PATIENCE_S)
        answer = json.loads(body)
    except (OSError, ValueError) as error:
        status, answer = 0, {"code": type(error).__name__}
    vector = np.asarray(answer["embeddings"][0]) if status == 200 and "embeddings" in answer else None
    if tally is not None:
        with tally.lock:
            tally.outcomes["200" if status == 200 else f"{status} {answer['code']}"] += 1
            if status == 200:
                tally.seconds[request[0].partition("?")[0]].append(time.monotonic() - started)
            if vector is not None and golden is not None:
                tally.wrong += bool(np.abs(vector - golden).max() > TOLERANCE)
    return vector


def send(
    service: Service, requests: Sequence[Request], golden: Sequence[Any], *, seconds: float, per_s: float | None
) -> Tally:
    """Send the mixture for a while.

    Args:
        per_s: requests that begin each second; None: each of some clients sends its next one when it has an answer.
    """
    tally, began, turn = Tally(), time.monotonic(), iter(range(10**9))

    def work() -> None:
        rng = random.Random(threading.get_ident())
        while True:
            with tally.lock:
                due_s = next(turn) / per_s if per_s else time.monotonic() - began
            if due_s >= seconds:
                return
            time.sleep(max(0.0, began + due_s - time.monotonic()))
            number = rng.randrange(len(requests))
            ask(service, requests[number], tally, golden[number])

    threads = [threading.Thread(target=work) for _ in range(_OPEN_CLIENTS if per_s else _CLOSED_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def watch_memory(service: Service, stop: threading.Event, samples: dict[str, list[tuple[float, float]]]) -> None:
    """Note the anonymous memory of every process, in MB, until the end."""
    while not stop.wait(_SAMPLE_S):
        for process in service.everyone():
            with suppress(psutil.Error):
                memory = process.memory_info()
                name = " ".join(process.cmdline()[1:3])[-40:]
                samples[f"{name} {process.pid}"].append((time.monotonic(), (memory.rss - memory.shared) / 1e6))


def compute_slopes(samples: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Compute by how many MB a minute each process grows once it is warm."""
    slopes = {}
    for name, points in samples.items():
        late = np.array(points[int(len(points) * _WARM_SHARE) :])
        if len(late) > 2:
            slopes[name] = round(60 * float(np.polyfit(late[:, 0], late[:, 1], 1)[0]), 2)
    return slopes


def run(folder: Path, *, minutes: float, overload_minutes: float, workers: int) -> dict[str, Any]:
    """Run the phases one after another; returns what was seen."""
    settings = {"SIGNCLIP_VIDEO_WORKERS": "1", "SIGNCLIP_SEARCH_DIR": str(folder / "search")}
    samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
    stop = threading.Event()
    with running(folder, settings, options=("-w", str(workers))) as service:
        _prepare(service)
        requests = make_requests()
        golden = [ask(service, request, None) for request in requests]
        warm_s = max(15.0, 3 * minutes)
        closed = send(service, requests, golden, seconds=warm_s, per_s=None)
        capacity = closed.outcomes["200"] / warm_s
        watcher = threading.Thread(target=watch_memory, args=(service, stop, samples))
        watcher.start()
        load = os.getloadavg()[0]
        steady = send(service, requests, golden, seconds=60 * minutes, per_s=STEADY * capacity)
        stop.set()
        watcher.join()
        over = send(service, requests, golden, seconds=60 * overload_minutes, per_s=OVERLOAD * capacity)
        ended = time.monotonic()
        while ask(service, requests[0], None) is None:
            time.sleep(0.05)
        recovery_s = time.monotonic() - ended
    return {
        "capacity_per_s": round(capacity, 1),
        "load_average": round(load, 1),
        "steady": steady.summarize(),
        "memory_mb_per_min": compute_slopes(samples),
        "overload": over.summarize(),
        "recovery_s": round(recovery_s, 2),
    }


def _prepare(service: Service) -> None:
    service.wait_until_ready()
    address = f"http://127.0.0.1:{service.port}/api/collections/letters"
    made = urllib.request.Request(address, b"{}", {"Content-Type": "application/json"}, method="PUT")
    with urllib.request.urlopen(made, timeout=_PATIENCE_S) as answer:
        answer.read()
    entries = [{"id": letter, "text": letter, "gloss": letter} for letter in "ABCDEFGH"]
    service.ask("/api/collections/letters/entries", {"entries": entries}, timeout_s=_PATIENCE_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and write what was seen. The exit status is 1 if the steady load had a refusal or a wrong vector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--overload-minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = run(
            Path(folder),
            minutes=options.minutes,
            overload_minutes=options.overload_minutes,
            workers=options.workers,
        )
    print(json.dumps(found, indent=1))
    plan = {"minutes": options.minutes, "overload_minutes": options.overload_minutes, "workers": options.workers}
    write_results("endurance", {"machine": machine_facts(), "settings": plan, **found}, options.out)
    steady = found["steady"]
    return int(set(steady["outcomes"]) != {"200"} or steady["wrong_vectors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
