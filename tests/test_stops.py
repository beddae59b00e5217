"""Stops by every signal, from a terminal and as systemd sends them, with busy cores."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.engine.fakes import in_thread, until
from tests.running import MEMORY, ROOT, Service, busy_cores, running, seconds_until, tiny_settings
from tests.video.make_videos import encode, moving

# What is promised of a stop that does not wait for answers.
STOP_S = 10.0
CTRL_C, CTRL_BACKSLASH = b"\x03", b"\x1c"
# Hooks of gunicorn's configuration, and their parameters.
HOOKS = {"on_starting": "server", "post_fork": "server, worker", "post_worker_init": "worker"}
Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture
def settings(tiny_weights: Path) -> dict[str, str]:
    return tiny_settings(tiny_weights)


@pytest.fixture
def serve(settings: dict[str, str], tmp_path: Path) -> Start:
    """Start the whole service."""
    return lambda **options: running(tmp_path, settings, **options)


@pytest.fixture
def serve_web(settings: dict[str, str], tmp_path: Path) -> Start:
    """Start gunicorn alone, which takes a second: engine and videos are said to be elsewhere."""
    elsewhere = {
        "SIGNCLIP_ENGINE_ADDRESS": f"ipc://{tmp_path}/no-engine",
        "SIGNCLIP_ESTIMATOR_ADDRESS": f"{tmp_path}/no-videos",
    }
    return lambda **options: running(tmp_path, {**settings, **elsewhere}, **options)


@pytest.fixture
def serve_held(serve_web: Start, tmp_path: Path) -> Start:
    """Start gunicorn with one worker; after a hook of its configuration has run, wait for the file `go`."""

    def start(hook: str) -> AbstractContextManager[Service]:
        configuration = tmp_path / "held.conf.py"
        configuration.write_text(
            "import pathlib, runpy, threading\n"
            f"globals().update(runpy.run_path({str(ROOT / 'gunicorn.conf.py')!r}))\n"
            f"folder, real = pathlib.Path({str(tmp_path)!r}), {hook}\n"
            f"def {hook}({HOOKS[hook]}):\n"
            f"    real({HOOKS[hook]})\n"
            "    (folder / 'reached').touch()\n"
            "    while not (folder / 'go').exists():\n"
            "        threading.Event().wait(0.01)\n"
        )
        return serve_web(options=("-w", "1", "-c", str(configuration)))

    return start


@pytest.fixture
def busy() -> Iterator[None]:
    with busy_cores():
        yield


@contextmanager
def unfinished_request(service: Service) -> Iterator[socket.socket]:
    """A request that a worker has taken and waits for the body of: it keeps a thread of its pool at work."""
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(
            b"POST /api/embed/text HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        own = client.getsockname()
        until(lambda: own in [taken.raddr for worker in service.children() for taken in worker.net_connections("tcp")])
        yield client


def assert_ends_clean(service: Service, started: float, *, limit_s: float = STOP_S) -> None:
    """It ends within the limit, with status 0, and leaves neither processes nor files."""
    assert seconds_until(service.process, started, limit_s=2 * limit_s) <= limit_s
    assert service.process.returncode == 0, service.log.read_text()
    assert not service.left_behind()
    assert "Traceback" not in service.log.read_text()


class TestInATerminal:
    @pytest.mark.parametrize(
        "keys", [CTRL_C, CTRL_BACKSLASH, CTRL_C * 3 + CTRL_BACKSLASH], ids=["ctrl-c", "ctrl-\\", "all of them"]
    )
    def test_keys_end_it_though_a_request_is_under_way(self, serve_web: Start, busy: None, keys: bytes) -> None:
        with serve_web(terminal=True) as service:
            until(lambda: service.answers("/healthz"))
            with unfinished_request(service):
                started = time.monotonic()
                for key in keys:
                    service.press(bytes([key]))
                assert_ends_clean(service, started)

    def test_ctrl_c_while_everything_starts(self, serve: Start, busy: None) -> None:
        with serve(terminal=True, options=("-w", "4")) as service:
            until(lambda: "Booting worker" in service.log.read_text())
            started = time.monotonic()
            service.press(CTRL_C)
            assert_ends_clean(service, started)


class TestToTheMaster:
    def test_a_reload_that_waits_for_a_request_does_not_keep_it_from_ending(self, serve_web: Start) -> None:
        with serve_web() as service:
            until(lambda: service.answers("/healthz"))
            old = service.children()
            with unfinished_request(service):
                service.process.send_signal(signal.SIGHUP)
                until(lambda: len(service.children()) > len(old) and service.answers("/healthz"))
                started = time.monotonic()
                service.process.send_signal(signal.SIGINT)
                assert_ends_clean(service, started)

    def test_a_worker_that_cannot_run_does_not_keep_it_from_ending(self, serve_web: Start) -> None:
        with serve_web() as service:
            until(lambda: service.answers("/healthz"))
            service.children()[0].suspend()
            started = time.monotonic()
            service.process.send_signal(signal.SIGINT)
            assert_ends_clean(service, started)

    def test_term_answers_requests_whose_connections_nobody_has_accepted_yet(self, serve_web: Start) -> None:
        with serve_web(options=("-w", "1")) as service, ExitStack() as stack:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            worker.suspend()
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30)) for _ in range(5)
            ]
            for client in clients:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            started = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            worker.send_signal(signal.SIGTERM)
            worker.resume()
            for client in clients:
                answer = client.makefile("rb").read()  # to its end: a worker that stops closes the connection
                assert answer.startswith(b"HTTP/1.1 200 ")
                client.close()
            assert_ends_clean(service, started)

    @pytest.mark.parametrize("hook", ["on_starting", "post_fork"])
    def test_term_is_not_lost_before_all_handlers_are_there(self, serve_held: Start, tmp_path: Path, hook: str) -> None:
        with serve_held(hook) as service:
            until((tmp_path / "reached").exists)
            started = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            if hook == "post_fork":
                until(lambda: "Handling signal: term" in service.log.read_text())
            (tmp_path / "go").touch()
            assert_ends_clean(service, started)

    def test_a_worker_that_is_still_getting_ready_ends_at_once(self, serve_held: Start, tmp_path: Path) -> None:
        with serve_held("post_worker_init") as service:
            until((tmp_path / "reached").exists)
            started = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            assert_ends_clean(service, started)


class TestToAWorker:
    def test_a_storm_of_signals_ends_it_and_another_takes_its_place(self, serve_web: Start, busy: None) -> None:
        with serve_web(options=("-w", "1")) as service:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            with unfinished_request(service):
                with suppress(psutil.NoSuchProcess):  # it may end before the last of them
                    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM) * 20:
                        worker.send_signal(number)
                until(lambda: worker not in service.children(), STOP_S)
            until(lambda: service.answers("/healthz"))
            started = time.monotonic()
            service.process.send_signal(signal.SIGQUIT)
            assert_ends_clean(service, started)

    def test_term_lets_it_answer_what_it_admitted(self, serve_web: Start) -> None:
        with serve_web(options=("-w", "1")) as service:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            with unfinished_request(service) as client:
                worker.send_signal(signal.SIGTERM)
                worker.send_signal(signal.SIGTERM)
                until(lambda: not _listens(worker, service))
                client.sendall(b" " * 8)
                client.settimeout(30)
                assert client.recv(4096).startswith(b"HTTP/1.1 400 ")  # "{        " is no JSON
            until(lambda: worker not in service.children(), STOP_S)

    def test_a_stopped_worker_is_replaced_and_its_place_answers(self, serve_web: Start) -> None:
        with serve_web(options=("-w", "1")) as service:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            worker.send_signal(signal.SIGSTOP)
            until(lambda: worker not in service.children() and bool(service.children()))
            until(lambda: service.answers("/healthz"))

    def test_requests_that_take_longer_than_the_graceful_time_do_not_keep_it(self, serve_web: Start) -> None:
        with serve_web(options=("-w", "1", "--graceful-timeout", "1")) as service:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            with unfinished_request(service):
                worker.send_signal(signal.SIGTERM)
                until(lambda: worker not in service.children(), STOP_S)

    def test_it_ends_with_its_master_though_a_client_keeps_its_connection(self, serve_web: Start) -> None:
        with serve_web(options=("-w", "1")) as service:
            until(lambda: service.answers("/healthz"))
            (worker,) = service.children()
            client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
            client.request("GET", "/healthz")
            client.getresponse().read()
            service.process.kill()

            def is_told_to_leave() -> bool:
                client.request("GET", "/healthz")
                with client.getresponse() as answer:
                    answer.read()
                    return answer.headers.get("Connection") == "close"

            until(is_told_to_leave, STOP_S)
            client.close()
            psutil.wait_procs([worker], STOP_S)
            assert not worker.is_running()
            for counters in MEMORY.glob(f"signclip-metrics-{service.process.pid}-*"):
                shutil.rmtree(counters)  # a master that is killed cannot


def _listens(worker: psutil.Process, service: Service) -> bool:
    return any(
        connection.status == psutil.CONN_LISTEN and connection.laddr.port == service.port
        for connection in worker.net_connections("tcp")
    )


def test_term_to_every_process_loses_no_admitted_request(serve: Start, busy: None) -> None:
    with serve() as service:
        until(service.ready)
        texts = {"text": [f"house {number}" for number in range(256)]}
        video = encode(moving(40))
        answers = [
            in_thread(lambda: service.ask("/api/embed/video", video)),
            *(in_thread(lambda: service.ask("/api/embed/text", texts)) for _ in range(4)),
        ]
        # The video's process is at work, or still starting: either must not end by a signal.
        until(lambda: any("video.worker" in process.cmdline() for process in service.everyone()))
        until(lambda: "signclip_engine_batch_items_count" in service.ask("/metrics")[2].decode())
        service.signal_everyone(signal.SIGTERM)
        service.signal_everyone(signal.SIGHUP)
        service.signal_everyone(signal.SIGTERM)
        assert [answer()[0] for answer in answers] == [200] * 5
        assert_ends_clean(service, time.monotonic())
