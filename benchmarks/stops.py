r"""The service stopped again and again with busy cores: how long a stop takes, what it leaves behind, what it loses.

    python -m benchmarks.stops [--stops 50] [--busy 3] [--out FILE.json]

Half of the stops come from a terminal: Ctrl-C, Ctrl-\ or several of them, idle, with requests under way, or while the
service starts. The other half send TERM to every process, as systemd does, with texts, poses and videos under way. Each
stop is one of a new service with the shipped model.
"""

import argparse
import http.client
import itertools
import json
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import inputs
from benchmarks.measuring import machine_facts, write_results
from tests.running import Service, busy_cores, running
from tests.video.make_videos import encode, moving

WORKERS = 2
# What is promised of a stop that does not wait for answers; one that does is bounded by the service's graceful time.
MOST_S = 10.0
_CTRL_C, _CTRL_BACKSLASH = b"\x03", b"\x1c"
KEYS = {"ctrl-c": _CTRL_C, "ctrl-\\": _CTRL_BACKSLASH, "ctrl-c thrice": _CTRL_C * 3, "both": _CTRL_C + _CTRL_BACKSLASH}
MOMENTS = ("idle", "under load", "while it starts")
# An outcome of a request that was admitted. INT and QUIT end it so on purpose, TERM must not.
UNANSWERED = "unanswered"
# A service that is not ready, or has not ended, after so long will not be.
_GIVE_UP_S = 180.0
_LOOK_S = 0.02
# How long requests are under way before the stop: the first video has a process by then, or nearly.
_LOAD_S = 1.0


@dataclass(frozen=True)
class Body:
    """One request, and how many clients send it at a time.

    Attributes:
        keeps_connection: whether the clients send one request after another on one connection.
    """

    path: str
    kind: str
    content: bytes
    clients: int
    keeps_connection: bool = False


@dataclass(frozen=True)
class Stop:
    """What one stop was like.

    Attributes:
        seconds: from the signal to the end of gunicorn's master.
        left: processes and files that were still there then.
        requests: how often which outcome came: answered, refused, or what else happened.
    """

    what: str
    seconds: float
    status: int
    left: Sequence[str]
    requests: dict[str, int]


def bodies() -> list[Body]:
    """Requests of every kind, each of which takes a while."""
    texts = json.dumps({"text": [f"house {number}" for number in range(128)]}).encode()
    return [
        Body("/api/embed/text", "application/json", texts, clients=3),
        Body("/api/embed/text", "application/json", texts, clients=2, keeps_connection=True),
        Body("/api/embed/pose", "application/octet-stream", inputs.house_clip(), clients=2),
        Body("/api/pose", "application/octet-stream", encode(moving(20)), clients=2),
    ]


class Load:
    """Clients that send requests until the service takes no more connections."""

    def __init__(self, port: int, sent: Sequence[Body]) -> None:
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        clients = [body for body in sent for _ in range(body.clients)]
        self._threads = [threading.Thread(target=self._send, args=(body,)) for body in clients]
        for thread in self._threads:
            thread.start()

    def stop(self) -> dict[str, int]:
        """Wait for the last answers; returns how often which outcome came."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return dict(self._outcomes)

    def _send(self, body: Body) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_GIVE_UP_S)
        while not self._over.is_set():
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:  # what is never connected is not admitted
                return
            outcome = self._exchange(connection, body)
            with self._lock:
                self._outcomes[outcome] += 1
            if not body.keeps_connection or outcome != "answered":
                connection.close()
        connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, body: Body) -> str:
        headers = {"Content-Type": body.kind, "Connection": "keep-alive" if body.keeps_connection else "close"}
        try:
            connection.request("POST", body.path, body.content, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{UNANSWERED}: {type(error).__name__}, {body.path}"
        if answer.status in (200, 429):
            return "answered" if answer.status == 200 else "refused"
        return f"{UNANSWERED}: status {answer.status}, {body.path}"


@contextmanager
def starting(*, terminal: bool) -> Iterator[Service]:
    """A new service with files of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), {}, options=("-w", str(WORKERS)), terminal=terminal) as service,
    ):
        yield service


def _wait(happened: Any, what: str) -> None:
    give_up = time.monotonic() + _GIVE_UP_S
    while not happened():
        if time.monotonic() > give_up:
            raise RuntimeError(f"{what} took more than {_GIVE_UP_S:g} s")
        time.sleep(_LOOK_S)


def _end(service: Service, what: str, since: float, load: Load | None) -> Stop:
    status = service.process.wait(_GIVE_UP_S)
    seconds = time.monotonic() - since
    left = service.left_behind()
    stop = Stop(what, seconds, status, left, load.stop() if load is not None else {})
    print(
        f"{stop.what}: {stop.seconds:.2f} s, status {status}, left {left}, {stop.requests}", file=sys.stderr, flush=True
    )
    return stop


def stop_from_terminal(keys: str, moment: str, sent: Sequence[Body]) -> Stop:
    """Press keys in the terminal that a new service runs in."""
    with starting(terminal=True) as service:
        load = None
        if moment == "while it starts":
            _wait(lambda: "Booting worker" in service.log.read_text(), "the start")
        else:
            _wait(service.ready, "the start")
        if moment == "under load":
            load = Load(service.port, sent)
            time.sleep(_LOAD_S)
        since = time.monotonic()
        for key in KEYS[keys]:
            service.press(bytes([key]))
        return _end(service, f"{keys}, {moment}", since, load)


def stop_as_systemd(sent: Sequence[Body]) -> Stop:
    """Send TERM to every process of a new service that is at work."""
    with starting(terminal=False) as service:
        _wait(service.ready, "the start")
        load = Load(service.port, sent)
        time.sleep(_LOAD_S)
        _wait(lambda: any("video.worker" in process.cmdline() for process in service.everyone()), "the first video")
        since = time.monotonic()
        service.signal_everyone(signal.SIGTERM)
        return _end(service, "TERM to every process", since, load)


def render(name: str, stops: Sequence[Stop]) -> tuple[str, bool]:
    """One paragraph of figures, and whether all of them are as promised."""
    outcomes: Counter[str] = Counter()
    for stop in stops:
        outcomes.update(stop.requests)
    left = [file for stop in stops for file in stop.left]
    statuses = Counter(stop.status for stop in stops)
    longest = max(stops, key=lambda stop: stop.seconds)
    seconds = sorted(stop.seconds for stop in stops)
    lines = [
        f"{name}: {len(stops)} stops, {seconds[len(seconds) // 2]:.2f} s (median), "
        f"{longest.seconds:.2f} s (longest: {longest.what}); exit statuses {dict(statuses)}",
        f"  left behind: {', '.join(left) or 'nothing'}",
        f"  requests: {dict(outcomes)}",
    ]
    return "\n".join(lines), set(statuses) == {0} and not left


def main() -> int:
    """Run the benchmark; exit status 1: a stop took too long, left something behind or lost a request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stops", type=int, default=50, help="of each kind")
    parser.add_argument("--busy", type=int, default=3, help="busy loops beside the service")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="three stops of each kind")
    options = parser.parse_args()
    count = 3 if options.quick else options.stops
    sent = bodies()
    with busy_cores(options.busy):
        cases = itertools.islice(itertools.cycle(itertools.product(KEYS, MOMENTS)), count)
        terminal = [stop_from_terminal(keys, moment, sent) for keys, moment in cases]
        systemd = [stop_as_systemd(sent) for _ in range(count)]
    text, quick_kept = render("from a terminal", terminal)
    print(text)
    text, graceful_kept = render("as systemd", systemd)
    print(text)
    lost = any(outcome.startswith(UNANSWERED) for stop in systemd for outcome in stop.requests)
    stops = {"terminal": [asdict(stop) for stop in terminal], "systemd": [asdict(stop) for stop in systemd]}
    write_results("stops", {"machine": machine_facts(), "busy_loops": options.busy, **stops}, options.out)
    in_time = max(stop.seconds for stop in terminal) <= MOST_S
    return int(lost or not (in_time and quick_kept and graceful_kept))


if __name__ == "__main__":
    sys.exit(main())
