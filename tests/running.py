"""The service under gunicorn as tests run it: in a terminal if wanted, asked over HTTP, and what it leaves behind."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).resolve().parent.parent
GUNICORN = str(Path(sys.executable).parent / "gunicorn")
MEMORY = Path("/dev/shm")
# In the environment of every process of one service, also of those that its processes start.
MARK = "SERVICE_UNDER_TEST"
# A session that has no terminal yet gets the first one that it opens, with its processes in the foreground (tty(4)).
_IN_TERMINAL = ["sh", "-c", 'exec "$0" "$@" <"$TERMINAL"']
# What systemd does for a service whose port it holds: the socket is descriptor 3 (sd_listen_fds(3)).
_WITH_SOCKET = ["bash", "-c", 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" "$@" 3<&"$LISTENER"']


# In real time, which it would inherit from tests that run so, it would keep the cores from everybody, these tests too.
# It ends with its parent, whatever ends that.
_BUSY_LOOP = """
import os, sys
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
while os.getppid() == int(sys.argv[1]):
    pass
"""


@dataclass
class Service:
    """A gunicorn that runs.

    Attributes:
        log: what its processes write.
        temporary: their folder for temporary files.
        keyboard: descriptor of its terminal, seen from the person's side; None: it has no terminal.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    temporary: Path
    mark: str
    keyboard: int | None = None

    def ask(self, path: str, body: object = None, *, timeout_s: float = 60) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer, whatever the status."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, dict(answer.headers), answer.read()

    def answers(self, path: str) -> bool:
        """Whether a path answers 200 now; the service must not have ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask(path)[0] == 200
        except OSError:
            return False

    def ready(self) -> bool:
        """Whether the default model is ready."""
        return self.answers("/readyz")

    def wait_until_ready(self, within_s: float = 180.0) -> None:
        """Ask now and then: to ask all the time would cost the start a core.

        Raises:
            TimeoutError: it was not ready in time.
        """
        give_up = time.monotonic() + within_s
        while not self.ready():
            if time.monotonic() > give_up:
                raise TimeoutError(f"the service was not ready within {within_s:g} s")
            threading.Event().wait(0.2)

    def children(self, module: str | None = None) -> list[psutil.Process]:
        """The processes of a module, as `engine`; None: the web workers."""
        commands = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # a zombie's too
                commands[child] = child.cmdline()
        if module is None:
            return [child for child, command in commands.items() if "-m" not in command]
        return [child for child, command in commands.items() if command[1:3] == ["-m", module]]

    def everyone(self) -> list[psutil.Process]:
        """All processes of this service that live, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def press(self, keys: bytes) -> None:
        """Press keys in the terminal; b"\\x03" is Ctrl-C."""
        assert self.keyboard is not None
        os.write(self.keyboard, keys)

    def signal_everyone(self, number: int) -> None:
        """Send a signal to every process, as systemd does for TERM."""
        for process in self.everyone():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def left_behind(self) -> list[str]:
        """Processes and files that a service which has ended should have taken along."""
        processes = [f"process {process.pid}: {' '.join(_command(process))}" for process in self.everyone()]
        counters = f"signclip-metrics-{self.process.pid}-*"
        files = [*self.temporary.iterdir(), *(MEMORY.glob(counters) if MEMORY.is_dir() else ())]
        return processes + [str(file) for file in files]


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return [str(word) for word in process.cmdline()]
    return []


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving_in_thread(application: Flask) -> Iterator[str]:
    """Serve an application in this process, without gunicorn; gives its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tiny_settings(weights: Path) -> dict[str, str]:
    """Settings of a service with the tests' small model, which needs little time and no more than one core.

    Args:
        weights: the fixture `tiny_weights`.
    """
    return {
        "SIGNCLIP_WEIGHTS_DIR": str(weights),
        "SIGNCLIP_DEFAULT_MODEL": "tiny",
        "SIGNCLIP_BACKEND": "torch",
        "SIGNCLIP_THREADS": "1",
        "SIGNCLIP_TEXT_CACHE_ITEMS": "0",
        "SIGNCLIP_VIDEO_WORKERS": "1",
    }


@contextmanager
def running(
    folder: Path,
    settings: Mapping[str, str],
    *,
    options: Sequence[str] = ("-w", "2"),
    port: int | None = None,
    terminal: bool = False,
    listener: socket.socket | None = None,
) -> Iterator[Service]:
    """Run gunicorn until the block ends, then stop it by TERM if it still runs, and kill what is left of it.

    Args:
        folder: where its log and its temporary files go.
        settings: environment variables beside this process's own.
        terminal: whether it runs in the foreground of a new terminal.
        listener: holds the port, as systemd does; None: gunicorn opens it.
    """
    temporary, log, mark = folder / "tmp", folder / "log", uuid.uuid4().hex
    temporary.mkdir(exist_ok=True)
    port = listener.getsockname()[1] if listener else port or free_port()
    held = () if listener is None else (listener.fileno(),)
    keyboard, screen = os.openpty() if terminal else (None, None)
    environment = {**os.environ, "TMPDIR": str(temporary), "SIGNCLIP_HOST": "127.0.0.1", "SIGNCLIP_PORT": str(port)}
    environment |= {**settings, MARK: mark, "TERMINAL": "" if screen is None else os.ttyname(screen)}
    environment |= {"LISTENER": "".join(map(str, held))}
    started_by = _IN_TERMINAL if terminal else _WITH_SOCKET if held else []
    command = [*started_by, GUNICORN, *options, "app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=terminal, pass_fds=held
        )
    service = Service(process, port, log, temporary, mark, keyboard)
    try:
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            for survivor in service.everyone():
                with suppress(psutil.NoSuchProcess):
                    survivor.kill()
            for descriptor in (keyboard, screen):
                if descriptor is not None:
                    os.close(descriptor)


@contextmanager
def busy_cores(loops: int = 3) -> Iterator[None]:
    """Keep the machine's cores busy: an idle machine hides races between signals."""
    command = [sys.executable, "-S", "-c", _BUSY_LOOP, str(os.getpid())]
    processes = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def seconds_until(process: subprocess.Popen[bytes], since: float, *, limit_s: float) -> float:
    """Seconds from a moment of time.monotonic to the end of a process.

    Raises:
        subprocess.TimeoutExpired: it has not ended limit_s from now.
    """
    process.wait(limit_s)
    return time.monotonic() - since


@contextmanager
def watch_processes(pids: Iterable[int]) -> Iterator[Callable[[], bool]]:
    """Watch processes that may be anybody's children; those that have not ended when the block ends are killed.

    Yields:
        A function that waits for at most a minute, and returns whether all of them have ended.
    """
    with ExitStack() as stack:
        handles = [os.pidfd_open(pid) for pid in pids]
        for handle in handles:
            stack.callback(os.close, handle)
            stack.callback(_kill, handle)
        # A handle can be read from once its process has ended.
        yield lambda: all(select.select([handle], [], [], 60)[0] for handle in handles)


def _kill(handle: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
