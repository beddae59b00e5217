"""Processes that prepare clips side by side. A clip that ends its process, or hangs, costs its own row only."""

from __future__ import annotations

import multiprocessing
import os
import resource
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from bulk.errors import PoolError
from bulk.items import Failure
from bulk.options import EmbedOptions
from bulk.preparation import Prepared, Preparer, Task
from models.catalog import ModelConfig

# Clips that a process has at once, so that it need not wait for the next one. All of them are prepared again when the
# run is killed, so they are few.
_AHEAD = 4
# A process that was killed from outside must not cost a good clip its row.
_TRIES = 3
# Without a sign of progress for so long, a clip hangs: reading the largest allowed pose takes 10 s on a busy machine.
SILENCE_S = 120.0
# Starting takes a second or two of a core, and that a minute where many others want the cores too.
_START_S = 300.0
# If so many processes in a row end before they are ready, another one would, too.
_MOST_FAILED_STARTS = 5
# The largest pose of 1 GiB takes four times as much while its features are computed.
_ADDRESS_SPACE_BYTES = 8 * 1024**3
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Outcome = tuple[int, Prepared]


@dataclass(slots=True)
class _Order:
    ticket: int
    task: Task
    tries: int = 0


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    orders: deque[_Order] = field(default_factory=deque)
    heard: float = 0.0
    is_ready: bool = False


class Pool:
    """Prepares clips in several processes. One thread uses it.

    Args:
        config: of the model that takes the features.
        options: of the clips.
        jobs: number of processes.
        silence_s: a clip without a sign of progress for so long has failed.

    Attributes:
        lost: processes that ended or were killed while they worked on a clip.
    """

    def __init__(self, config: ModelConfig, options: EmbedOptions, *, jobs: int, silence_s: float = SILENCE_S) -> None:
        self._arguments = (config, options)
        self._silence_s = silence_s
        self._waiting: deque[_Order] = deque()
        self._workers: list[_Worker] = []
        # Kept, because to make one for each clip takes longer than to look at all processes.
        self._selector = selectors.DefaultSelector()
        self._jobs = jobs
        self._failed_starts = 0
        self.lost = 0

    @property
    def has_room(self) -> bool:
        """Whether another clip would find a process that has little to do."""
        return len(self._waiting) + sum(len(worker.orders) for worker in self._workers) < self._jobs * _AHEAD

    @property
    def is_idle(self) -> bool:
        """Whether every clip that was submitted has come back."""
        return not self._waiting and not any(worker.orders for worker in self._workers)

    def submit(self, ticket: int, task: Task) -> None:
        """Queue a clip; `collect` gives it back under its ticket."""
        self._waiting.append(_Order(ticket, task))
        self._assign()

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Wait until some clips are prepared or failed, but not longer than this; returns them, each once.

        Raises:
            PoolError: the processes do not start.
        """
        outcomes: list[Outcome] = []
        for key, _ in self._selector.select(self._limit(timeout_s)):
            self._receive(key.data, outcomes)
        now = time.monotonic()
        for worker in [worker for worker in self._workers if worker.orders and now > self._find_end(worker)]:
            self._bury(worker, outcomes, hung=True)
        self._assign()
        return outcomes

    def close(self) -> None:
        """End all processes. May be called twice."""
        self._selector.close()
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.process.close()
        self._workers.clear()

    def list_pids(self) -> list[int]:
        """List the ids of the processes that run now."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def _limit(self, timeout_s: float) -> float:
        """Wait no longer than until the next clip counts as hanging."""
        now = time.monotonic()
        left = [self._find_end(worker) - now for worker in self._workers if worker.orders]
        return max(0.0, min([timeout_s, *left]))

    def _find_end(self, worker: _Worker) -> float:
        """Find when a process counts as hanging, if nothing is heard of it until then."""
        return worker.heard + (self._silence_s if worker.is_ready else _START_S)

    def _assign(self) -> None:
        while self._waiting:
            worker = min(self._workers, key=lambda worker: len(worker.orders), default=None)
            if worker is None or (worker.orders and len(self._workers) < self._jobs):
                worker = self._start()
            if len(worker.orders) >= _AHEAD:
                return
            order = self._waiting.popleft()
            if not worker.orders:
                worker.heard = time.monotonic()
            worker.orders.append(order)
            with suppress(OSError):  # it has ended, which `collect` finds out
                worker.connection.send(order.task)

    def _receive(self, worker: _Worker, outcomes: list[Outcome]) -> None:
        try:
            message = worker.connection.recv()  # another one shows at the next look
            worker.heard = time.monotonic()
            worker.is_ready, self._failed_starts = True, 0
            if isinstance(message, Prepared):
                outcomes.append((worker.orders.popleft().ticket, message))
        except (EOFError, OSError):
            self._bury(worker, outcomes, hung=False)

    def _bury(self, worker: _Worker, outcomes: list[Outcome], *, hung: bool) -> None:
        """Remove a process that ended or hangs. The clip that it worked on is to blame; the others are queued again."""
        self._workers.remove(worker)
        self._selector.unregister(worker.connection)
        worker.connection.close()
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode
        worker.process.close()
        if not worker.orders:
            return
        self.lost += 1
        if not worker.is_ready:  # no clip is to blame, because it had not begun with any
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise PoolError(
                    f"{self._failed_starts} processes that prepare clips ended before they were ready "
                    f"({_describe(code)}); is there memory for --jobs {self._jobs}?"
                )
            self._waiting.extendleft(reversed(worker.orders))
            return
        culprit = worker.orders.popleft()
        culprit.tries += 1
        if hung:
            failure = Failure("clip_hangs", f"no progress for {self._silence_s:.0f} s, so its process was ended")
            outcomes.append((culprit.ticket, Prepared(failure=failure)))
        elif culprit.tries >= _TRIES:
            failure = Failure("process_lost", f"{_TRIES} processes ended while they worked on it ({_describe(code)})")
            outcomes.append((culprit.ticket, Prepared(failure=failure)))
        else:
            self._waiting.appendleft(culprit)
        self._waiting.extendleft(reversed(worker.orders))

    def _start(self) -> _Worker:
        # Spawned, not forked: this process has threads and a device by now, and a fork would copy their locks.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, *self._arguments), daemon=True)
        with _use_one_thread():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, heard=time.monotonic())
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker


def work(connection: Connection, config: ModelConfig, options: EmbedOptions) -> None:
    """Prepare clips until the other end is closed; this is what a process of the pool runs."""
    # Ctrl-C goes to every process of a terminal; the run decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The soft limit alone, because the process that estimates videos sets a limit of its own.
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, hard))
    # A crash leaves no image of somebody's clip on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    preparer = Preparer(config, options)
    try:
        connection.send(None)
        while True:
            task: Task = connection.recv()
            connection.send(preparer.prepare(task, _make_sign(connection)))
    except (EOFError, OSError):
        return
    finally:
        preparer.close()


def _make_sign(connection: Connection) -> Callable[[], None]:
    def send() -> None:
        connection.send(None)

    return send


@contextmanager
def _use_one_thread() -> Iterator[None]:
    """Give the processes that start in the block one thread for NumPy, because there is a process for each core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _describe(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"
