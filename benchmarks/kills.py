"""The engine killed again and again under load: every answer right or a typed refusal, and how fast it is back.

    python -m benchmarks.kills [--kills 20] [--out FILE.json]

Each answer is checked against the golden vectors of the same full-size weights.
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import psutil

from benchmarks import inputs
from benchmarks.load import Outcome, Plan, run
from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import Server, _is_ready, serving

TOLERANCE = 1e-4
REFUSALS = (429, 503, 504)
MOST_ABSENT_S = 8.0
WORKERS = 4
# Each worker notices by itself that the engine has gone: so many answers in a row come from all of them.
_IN_A_ROW = 8 * WORKERS
# Connections by route; after a refusal each waits, as clients that heed Retry-After do, or they would take the cores
# that the engine needs to come back.
CONNECTIONS = {"text": 6, "pose": 2}
_REFUSED_PAUSE_S = 0.1
_GIVE_UP_S = 120.0


@dataclass(frozen=True)
class Asked:
    """Files with request bodies of one item each, and the vector that answers each."""

    bodies: list[str]
    expected: list[npt.NDArray[np.float32]]


def golden_requests(folder: Path) -> dict[str, Asked]:
    """Bodies whose answers the goldens hold: texts one by one, and poses."""
    asked = json.loads((inputs.GOLDEN / "signclip.json").read_text(encoding="utf-8"))
    contents: dict[str, list[dict[str, Any]]] = {"text": [{"text": text} for text in asked["texts"]], "pose": []}
    with np.load(inputs.GOLDEN / "signclip.npz") as golden:
        expected = {"text": list(golden["texts"]), "pose": [golden[f"pose/{name}"] for name in asked["poses"]]}
    for name in asked["poses"]:
        clip = (inputs.GOLDEN / "poses" / f"{name}.pose").read_bytes()
        contents["pose"].append({"pose": base64.b64encode(clip).decode()})
    requests = {}
    for kind, items in contents.items():
        paths = [folder / f"{kind}-{index}.json" for index in range(len(items))]
        for path, item in zip(paths, items, strict=True):
            path.write_bytes(orjson.dumps({**item, "normalize": False, "truncate": True}))
        requests[kind] = Asked([str(path) for path in paths], expected[kind])
    return requests


def check(outcome: Outcome, expected: list[npt.NDArray[np.float32]]) -> Counter[str]:
    """Count right answers, wrong ones, typed refusals and everything else.

    Args:
        expected: the vector of each body, float32 (embed_dim,).
    """
    counts: Counter[str] = Counter()
    for index, status, text in outcome.answers:
        if status == 200:
            got = np.array(orjson.loads(text)["embeddings"][0])
            error = np.abs(got - expected[index]).max() / np.abs(expected[index]).max()
            counts["right" if error <= TOLERANCE else "wrong"] += 1
        elif status in REFUSALS and _is_typed(text):
            counts[f"refused {status}"] += 1
        else:
            counts[f"untyped {status}"] += 1
    return counts


def _is_typed(text: str) -> bool:
    try:
        return "code" in orjson.loads(text)
    except orjson.JSONDecodeError:
        return False


class Load:
    """Requests to one route, until it is stopped; every answer is kept."""

    def __init__(self, port: int, kind: str, asked: Asked) -> None:
        target = f"/api/embed/{kind}"
        self._plan = Plan(
            "127.0.0.1", port, target, "application/json", asked.bodies, CONNECTIONS[kind], seconds=2.0, keep=True,
            refused_pause_s=_REFUSED_PAUSE_S,
        )  # fmt: skip
        self._expected = asked.expected
        self._counts: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def stop(self) -> Counter[str]:
        """Wait for the requests under way; how often each kind of answer came."""
        self._over.set()
        self._thread.join()
        return self._counts

    def _send(self) -> None:
        while not self._over.is_set():
            self._counts.update(check(asyncio.run(run(self._plan)), self._expected))


def engine_pid(server: Server) -> int | None:
    """Process id of the engine that runs now."""
    children = psutil.Process(server.process.pid).children()
    return next((child.pid for child in children if _is_engine(child)), None)


def _is_engine(process: psutil.Process) -> bool:
    try:
        return "engine" in process.cmdline()
    except psutil.Error:
        return False


def absence(server: Server) -> float:
    """Kill the engine, and wait until another engine runs and every worker says that it is ready.

    Returns:
        How long that took, in seconds.
    Raises:
        RuntimeError: no engine runs, or none comes back in time.
    """
    killed_pid = engine_pid(server)
    if killed_pid is None:
        raise RuntimeError("there is no engine to kill")
    os.kill(killed_pid, signal.SIGKILL)
    killed = time.monotonic()
    since, answers = killed, 0
    while answers < _IN_A_ROW:
        if time.monotonic() - killed > _GIVE_UP_S:
            raise RuntimeError(f"the engine is not back after {_GIVE_UP_S:g} s")
        if engine_pid(server) in (None, killed_pid) or not _is_ready(server.port):
            answers = 0
            time.sleep(0.02)
            continue
        since, answers = (since, answers + 1) if answers else (time.monotonic(), 1)
    return since - killed


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="three kills")
    options = parser.parse_args()
    kills = 3 if options.quick else options.kills
    # Without the cache every answer costs a forward.
    settings = {
        "SIGNCLIP_WEIGHTS_DIR": str(inputs.full_size_weights().path),
        "SIGNCLIP_DEFAULT_MODEL": "default",
        "SIGNCLIP_LOG_LEVEL": "ERROR",
        "SIGNCLIP_TEXT_CACHE_ITEMS": "0",
    }
    absences: list[float] = []
    answers: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, serving("app:app", workers=WORKERS, **settings) as server:
        loads = {kind: Load(server.port, kind, asked) for kind, asked in golden_requests(Path(folder)).items()}
        try:
            for _ in range(kills):
                time.sleep(1.0)  # under load again, with requests in flight
                absences.append(absence(server))
            time.sleep(1.0)
        finally:
            answers = {kind: load.stop() for kind, load in loads.items()}
    results = {"machine": machine_facts(), "answers": answers, "absences_s": absences}
    for kind, counts in answers.items():
        print(f"{kind}: {dict(counts)}")
    print(
        f"{kills} kills, ready again after {np.median(absences):.1f} s (median), {max(absences):.1f} s (longest); "
        f"at most {MOST_ABSENT_S:g} s"
    )
    write_results("kills", results, options.out)
    wrong = sum(n for counts in answers.values() for name, n in counts.items() if name.startswith(("wrong", "untyped")))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
