"""The counters of the web workers, in Prometheus' format; docs/metrics.md lists their names.

Under gunicorn every worker writes into files that are named after its place, not after its process. Counters then
survive the restart of a worker, and files do not pile up.
"""

import logging
import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
# Of each of a worker's three files: room for some 2500 counters of 200 bytes. After two hours of every route and most
# errors all workers together had used 64 KiB.
_FILE_BYTES = 512 * 1024
# From a cached text to the default SIGNCLIP_TIMEOUT_S.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
# Series that are found without a search: some 60 routes, each with a few methods and statuses.
_MOST_SERIES = 1024


@dataclass(frozen=True)
class AnsweredRequest:
    """What is counted of a request: the service's own routes, codes and names of models, never words of a user.

    Attributes:
        route: as it is declared; "none" for an unknown path.
        seconds: from the request's arrival to its answer.
        code: code of the problem that was answered; None when there was no problem.
        model: name of the model; None when the request was refused before it was known.
        items: texts and clips.
        key: name of the API key; None without one.
    """

    method: str
    route: str
    status: int
    seconds: float
    code: str | None
    model: str | None
    items: int
    key: str | None = None


class RequestMetrics:
    """The counters of one web worker. Build them after the fork."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("signclip_requests", "Requests answered", labels, registry=registry)
        self._failures = Counter(
            "signclip_failures", "Requests refused or failed", ("route", "code"), registry=registry
        )
        self._items = Counter("signclip_items", "Texts and clips in requests", ("model", "route"), registry=registry)
        self._by_key = Counter("signclip_key_requests", "Requests of an API key", ("key", "status"), registry=registry)
        self._items_by_key = Counter(
            "signclip_key_items", "Texts and clips in requests of an API key", ("key",), registry=registry
        )
        self._starts = Counter("signclip_web_worker_starts", "Web workers that were started", registry=registry)
        self._in_flight = Gauge(
            "signclip_requests_in_flight",
            "Requests with work to do that are handled now",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._seconds = Histogram(
            "signclip_request_seconds", "Seconds to an answer", ("route",), buckets=_SECONDS, registry=registry
        )
        # The client library takes as long to find a series as to count.
        self._find_requests = lru_cache(_MOST_SERIES)(self._requests.labels)
        self._find_seconds = lru_cache(_MOST_SERIES)(self._seconds.labels)
        self._find_items = lru_cache(_MOST_SERIES)(self._items.labels)

    def begin(self) -> None:
        """Count the start of this worker. What its predecessor had in flight has ended with it."""
        self._starts.inc()
        self._in_flight.set(0)

    def begin_request(self) -> None:
        """Count a request as in flight."""
        self._in_flight.inc()

    def end_request(self) -> None:
        """Count a request as in flight no more."""
        self._in_flight.dec()

    def count(self, request: AnsweredRequest) -> None:
        """Count one answer."""
        self._find_requests(request.method, request.route, request.status).inc()
        self._find_seconds(request.route).observe(request.seconds)
        if request.code is not None:
            self._failures.labels(request.route, request.code).inc()
        if request.key is not None:
            self._by_key.labels(request.key, str(request.status)).inc()
            self._items_by_key.labels(request.key).inc(request.items)
        if request.model is not None and request.items:
            self._find_items(request.model, request.route).inc(request.items)


class AllocatedDict(MmapedDict):
    """A file of counters whose every byte has its memory before it is written.

    Prometheus' own makes files with holes. When the memory file system is full, writing into a hole is a SIGBUS, which
    ends the process. Here a counter that finds no place stays in this process, and no page of /metrics shows it.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            _allocate(filename)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        self._left_out: dict[str, tuple[float, float]] = {}

    def _init_value(self, key: str) -> None:
        # The parent doubles the file until the key fits: its text, its padding, its length and two numbers.
        while self._used + len(key.encode()) + 32 > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
            self._capacity *= 2
            self._m = mmap.mmap(self._f.fileno(), self._capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def read_value(self, key: str) -> tuple[float, float]:
        """Read a counter and its time stamp."""
        try:
            value, time_stamp = super().read_value(key)  # type: ignore[no-untyped-call]
        except OSError:
            return self._left_out.get(key, (0.0, 0.0))
        return value, time_stamp

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Write a counter and its time stamp."""
        try:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        except OSError:
            self._left_out[key] = (value, timestamp)


def _allocate(filename: str) -> None:
    with open(filename, "a+b") as file:
        os.posix_fallocate(file.fileno(), 0, max(_FILE_BYTES, os.fstat(file.fileno()).st_size))


def share_between_workers(place: int) -> None:
    """Count into the shared directory under this worker's place. Call it in the worker before its app is built.

    If the directory has no room, this worker counts for itself, and says so in the log.
    """
    directory = os.environ[DIRECTORY]
    files = [os.path.join(directory, f"{kind}_place{place}.db") for kind in ("counter", "gauge_livesum", "histogram")]
    try:
        for file in files:
            _allocate(file)
    except OSError as error:
        log.error("there is no room for shared counters; /metrics shows a part", extra={"error": str(error)})
        for file in files:
            with suppress(OSError):
                if not _is_used(file):  # no page could be made of a file without its first bytes
                    os.unlink(file)
        del os.environ[DIRECTORY]
        return
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: f"place{place}")  # type: ignore[no-untyped-call]


def _is_used(filename: str) -> bool:
    with open(filename, "rb") as file:
        return any(file.read(4))


def render_counters(own: CollectorRegistry) -> str:
    """Render the counters of all workers in Prometheus' text format.

    Args:
        own: the counters of this process, which are all there are when no directory is shared.
    """
    if DIRECTORY not in os.environ:
        return str(generate_latest(own).decode())
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return str(generate_latest(registry).decode())
