"""The engine killed again and again under load: every answer right or a typed refusal, and how fast it is back.

    python -m benchmarks.kills [--kills 20] [--out FILE.json]

Each answer is checked against the golden vectors of the same full-size weights.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil

from benchmarks import inputs
from benchmarks.load import Outcome, Plan, run
from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import Server, _is_ready, serving

TOLERANCE = 1e-4
REFUSALS = (429, 503, 504)


def golden_bodies(folder: Path) -> tuple[list[str], list[np.ndarray]]:
    """Bodies whose answers the goldens hold: texts one by one, then poses."""
    asked = json.loads((inputs.GOLDEN / "signclip.json").read_text(encoding="utf-8"))
    bodies, expected = [], []
    with np.load(inputs.GOLDEN / "signclip.npz") as golden:
        for index, text in enumerate(asked["texts"]):
            path = folder / f"text-{index}.json"
            path.write_bytes(orjson.dumps({"text": [text], "normalize": False, "truncate": True}))
            bodies.append(str(path))
            expected.append(golden["texts"][index])
    return bodies, expected


def check(outcome: Outcome, expected: list[np.ndarray]) -> dict[str, Any]:
    """Count right answers, wrong ones, typed refusals and everything else."""
    counts: Counter[str] = Counter()
    for index, status, text in outcome.answers:
        if status == 200:
            got = np.array(orjson.loads(text)["embeddings"][0])
            error = np.abs(got - expected[index]).max() / np.abs(expected[index]).max()
            counts["right" if error <= TOLERANCE else "wrong"] += 1
        elif status in REFUSALS and "code" in orjson.loads(text):
            counts[f"refused {status}"] += 1
        else:
            counts[f"untyped {status}"] += 1
    return dict(counts)


def kill_repeatedly(server: Server, times: int) -> list[float]:
    """Kill the engine, wait until ready turns from false to true again, and so on; seconds of each absence."""
    absences = []
    for _ in range(times):
        parent = psutil.Process(server.process.pid)
        engine = next(child for child in parent.children() if "engine" in child.cmdline())
        os.kill(engine.pid, signal.SIGKILL)
        killed = time.monotonic()
        while _is_ready(server.port) and time.monotonic() - killed < 5:
            time.sleep(0.005)
        while not _is_ready(server.port):
            time.sleep(0.02)
        absences.append(time.monotonic() - killed)
        time.sleep(1.0)
    return absences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="three kills")
    options = parser.parse_args()
    if options.quick:
        options.kills = 3
    weights = inputs.full_size_weights().path
    # Without the cache every answer costs a forward.
    settings = {
        "SIGNCLIP_WEIGHTS_DIR": str(weights),
        "SIGNCLIP_LOG_LEVEL": "ERROR",
        "SIGNCLIP_TEXT_CACHE_ITEMS": "0",
    }
    with tempfile.TemporaryDirectory() as folder, serving("app:app", workers=4, **settings) as server:
        bodies, expected = golden_bodies(Path(folder))
        outcomes: list[Outcome] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                plan = Plan(
                    "127.0.0.1", server.port, "/api/embed/text", "application/json", bodies, 8, seconds=2.0, keep=True
                )
                outcomes.append(asyncio.run(run(plan)))

        thread = threading.Thread(target=load)
        thread.start()
        absences = kill_repeatedly(server, options.kills)
        over.set()
        thread.join()
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(check(outcome, expected))
    results = {"machine": machine_facts(), "answers": dict(total), "absences_s": absences}
    print(f"{options.kills} kills, answers: {dict(total)}")
    print(f"ready again after {np.median(absences):.1f} s (median), {max(absences):.1f} s (longest)")
    write_results("kills", results, options.out)


if __name__ == "__main__":
    main()
