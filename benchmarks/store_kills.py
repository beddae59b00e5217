"""Web workers killed in the middle of imports: every acknowledged entry is there, and no batch is half.

    python -m benchmarks.store_kills [--kills 20] [--quick] [--out FILE.json]

Four web workers store batches of three clients, while a command stores its own into the same collection.
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
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import serving
from search.entries import Entry
from search.opening import open_store
from search.settings import SearchSettings

WORKERS, CLIENTS, BATCH, DIMENSIONS, SPACE = 4, 3, 50, 64, "kills:0"
_PAUSE_S = 0.7


class Importer(threading.Thread):
    """A client that stores batch after batch until it is stopped.

    Attributes:
        acknowledged: names of the batches that were answered as stored.
        refused: how many requests failed, because their worker was killed or was not there yet.
    """

    def __init__(self, name: str, url: str, over: threading.Event) -> None:
        super().__init__(name=name)
        self.acknowledged: list[str] = []
        self.refused = 0
        self._url, self._over = url, over

    def run(self) -> None:
        """Store batches."""
        rng = np.random.default_rng(len(self.name))
        number = 0
        while not self._over.is_set():
            batch, number = f"{self.name}-{number}", number + 1
            vectors = rng.normal(size=(BATCH, DIMENSIONS)).round(3).tolist()
            entries = [{"id": f"{batch}-{row}", "vector": vector} for row, vector in enumerate(vectors)]
            try:
                send(self._url, "POST", {"entries": entries})
                self.acknowledged.append(batch)
            except OSError:  # urllib's errors, and a connection that breaks off
                self.refused += 1
                self._over.wait(0.05)


def send(url: str, method: str, body: object) -> object:
    """Send JSON to the service, and read the JSON that it answers.

    Raises:
        OSError: the connection failed, or the answer is no success.
    """
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except (json.JSONDecodeError, EOFError) as error:
        raise OSError("the answer broke off") from error


def find_workers(master_pid: int) -> list[psutil.Process]:
    """Find the web workers of a gunicorn: its children that are gunicorn, too."""
    found = []
    for child in psutil.Process(master_pid).children():
        try:
            if "gunicorn" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def store_by_command(folder: str, over: threading.Event) -> list[str]:
    """Store batches as a command beside the service does; return their names."""
    store = open_store(SearchSettings(dir=folder, maintain_s=0))
    names: list[str] = []
    rng = np.random.default_rng(99)
    while not over.is_set():
        name = f"command-{len(names)}"
        vectors = rng.normal(size=(BATCH, DIMENSIONS)).astype(np.float32)
        store.upsert("kills", [Entry(f"{name}-{row}", vectors[row], "pose", SPACE) for row in range(BATCH)])
        names.append(name)
    return names


def kill_workers(master_pid: int, kills: int) -> None:
    """Kill a web worker of a gunicorn every few seconds, while at least half of them run."""
    for _ in range(kills):
        time.sleep(_PAUSE_S)
        while len(workers := find_workers(master_pid)) < WORKERS // 2:
            time.sleep(0.1)  # until gunicorn has started others
        os.kill(random.choice(workers).pid, signal.SIGKILL)
    time.sleep(_PAUSE_S)


def check(ids: list[str], acknowledged: list[str]) -> dict[str, int]:
    """Count what is wrong with the entries that are there.

    Returns:
        lost: acknowledged batches that are not there; half: batches of which a part is there; double: ids too many.
    """
    sizes = Counter(entry_id.rpartition("-")[0] for entry_id in set(ids))
    return {
        "lost": sum(sizes[batch] == 0 for batch in acknowledged),
        "half": sum(size != BATCH for size in sizes.values()),
        "double": len(ids) - len(set(ids)),
    }


def main() -> int:
    """Kill workers as the command line says; exit status 1: something was lost, half or double."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="three kills")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    kills = 3 if options.quick else options.kills
    over, by_command = threading.Event(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"SIGNCLIP_SEARCH_DIR": folder, "SIGNCLIP_LOG_LEVEL": "ERROR"}
        with serving("app:app", workers=WORKERS, **settings) as server:
            api = f"http://127.0.0.1:{server.port}/api/collections/kills"
            send(api, "PUT", {"space": SPACE, "dimensions": DIMENSIONS})
            importers = [Importer(f"client{number}", f"{api}/entries", over) for number in range(CLIENTS)]
            command = threading.Thread(target=lambda: by_command.extend(store_by_command(folder, over)))
            for thread in (*importers, command):
                thread.start()
            try:
                kill_workers(server.process.pid, kills)
            finally:
                over.set()  # or the threads would keep this process from ending
            for thread in (*importers, command):
                thread.join()
        store = open_store(SearchSettings(dir=folder, maintain_s=0))
        ids = [entry.id for batch in store.iterate("kills", with_pose=False) for entry in batch]
    acknowledged = [name for importer in importers for name in importer.acknowledged] + by_command
    wrong = check(ids, acknowledged)
    results = {"kills": kills, "acknowledged": len(acknowledged), "refused": sum(one.refused for one in importers)}
    print(f"{results | wrong}")
    write_results("store_kills", {"machine": machine_facts(), **results, **wrong}, options.out)
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
