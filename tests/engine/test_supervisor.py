"""A real engine process: started, killed, back with what it had, stopped in order."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.client import EngineClient
from engine.interface import EmbedRequest
from engine.settings import EngineSettings
from engine.supervisor import EngineSupervisor
from models.embedding import EmbeddingModel
from processes.errors import DeadlineExceededError, EngineStoppedError
from tests.engine.fakes import in_thread, until

TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def settings(tiny_weights: Path) -> EngineSettings:
    return EngineSettings(weights_dir=tiny_weights, default_model="tiny", backend="torch", threads=1, batch_tokens=4096)


@pytest.fixture
def supervisor(settings: EngineSettings) -> Iterator[EngineSupervisor]:
    supervisor = EngineSupervisor(settings, drain_s=20)
    supervisor.start()
    yield supervisor
    supervisor.stop()


@pytest.fixture
def client(supervisor: EngineSupervisor) -> Iterator[EngineClient]:
    client = EngineClient(supervisor.address)
    until(lambda: client.get_readiness().ready)
    yield client
    client.close()


def clips(count: int, frames: int = 40) -> list[np.ndarray]:
    generator = np.random.default_rng(count)
    return [generator.standard_normal((frames, 609)).astype(np.float32) for _ in range(count)]


def test_weights_that_come_later_do_not_change_the_default_at_a_crash(tmp_path: Path) -> None:
    (tmp_path / "tokenizers" / "bert-base-cased").mkdir(parents=True)
    (tmp_path / "tokenizers" / "bert-base-cased" / "vocab.txt").touch()
    supervisor = EngineSupervisor(EngineSettings(weights_dir=tmp_path))
    before = supervisor._build_command()
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "model.safetensors").touch()
    assert _default_model(before) == "fingerspelling"
    assert supervisor._build_command() == before
    later = EngineSupervisor(EngineSettings(weights_dir=tmp_path))
    assert _default_model(later._build_command()) == "default"
    supervisor.stop()
    later.stop()


def _default_model(command: list[str]) -> str | None:
    return EngineSettings.from_json(command[command.index("--settings") + 1]).default_model


def test_only_an_engine_of_which_none_was_ever_ready_ends_the_service_when_it_fails(settings: EngineSettings) -> None:
    supervisor = EngineSupervisor(settings)
    assert "--failure" in supervisor._build_command()
    supervisor._record.write_text("tiny")
    assert "--failure" not in supervisor._build_command()
    supervisor.stop()


class _Short(EngineSupervisor):
    """Starts processes that end at once, after they were ready or before."""

    def __init__(self, settings: EngineSettings, *, ready: bool) -> None:
        super().__init__(settings)
        self.ready, self.starts = ready, 0
        self.often = threading.Event()

    def _build_command(self) -> list[str]:
        super()._build_command()
        self.starts += 1
        if self.starts == 8:
            self.often.set()
        program = f"open({str(self._record)!r}, 'w').write('tiny')" if self.ready else "pass"
        return ["-S", "-c", program]


@pytest.mark.parametrize("ready", [True, False])
def test_an_engine_that_served_is_back_at_once_and_one_that_cannot_start_is_not(
    settings: EngineSettings, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    supervisor = _Short(settings, ready=ready)

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return supervisor.often.is_set()

    monkeypatch.setattr(supervisor._stopping, "wait", wait)
    supervisor.start()
    assert supervisor.often.wait(TIMEOUT_S)
    supervisor._watcher.join(TIMEOUT_S)
    supervisor.stop()
    assert pauses[:6] == ([0.0] * 6 if ready else [0.1, 0.5, 1.0, 2.0, 4.0, 8.0])


def test_a_process_that_cannot_be_had_is_tried_for_again(
    settings: EngineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = _Short(settings, ready=False)
    spawn, refusals = supervisor._spawn, iter([True, False, True, True])

    def sometimes() -> None:
        if supervisor.starts and next(refusals, False):
            raise OSError(12, "Cannot allocate memory")
        spawn()

    monkeypatch.setattr(supervisor, "_spawn", sometimes)
    monkeypatch.setattr(supervisor._stopping, "wait", lambda _: supervisor.often.is_set())
    supervisor.start()
    assert supervisor.often.wait(TIMEOUT_S)
    supervisor._watcher.join(TIMEOUT_S)
    supervisor.stop()


def test_only_this_user_reaches_the_socket(supervisor: EngineSupervisor) -> None:
    directory = Path(supervisor.address.removeprefix("ipc://")).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_its_counters_are_its_own_and_not_among_the_web_workers(
    settings: EngineSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    supervisor = EngineSupervisor(settings, drain_s=20)
    supervisor.start()
    client = EngineClient(supervisor.address)
    try:
        until(lambda: client.get_readiness().ready)
        assert "\nsignclip_engine_ready 1.0\n" in client.export_metrics()
        assert not list(tmp_path.iterdir())
    finally:
        client.close()
        supervisor.stop()


@pytest.mark.slow
def test_killed_under_load_it_gives_right_vectors_or_typed_refusals_and_comes_back(
    supervisor: EngineSupervisor, client: EngineClient, tiny_model: EmbeddingModel
) -> None:
    items = clips(6)
    expected = tiny_model.encode("pose", items)
    over = threading.Event()
    outcomes = {"right": 0, "refused": 0}
    wrong: list[float] = []

    def ask(index: int) -> None:
        while not over.is_set():
            request = EmbedRequest("tiny", "pose", [items[index]], time.monotonic() + 30)
            try:
                vector = client.embed(request).embeddings[0]
            except (EngineStoppedError, DeadlineExceededError):
                outcomes["refused"] += 1
                over.wait(0.01)
                continue
            error = float(np.abs(vector - expected[index]).max() / np.abs(expected[index]).max())
            outcomes["right"] += 1
            if error > 2e-5:
                wrong.append(error)

    finish = [in_thread(lambda index=index: ask(index)) for index in range(len(items))]
    for _ in range(3):
        killed, before = supervisor.pid, outcomes["right"]
        until(lambda before=before: outcomes["right"] > before + 5)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        until(lambda killed=killed: supervisor.pid != killed)
        until(lambda: client.get_readiness().ready)
    over.set()
    for end in finish:
        end()
    assert not wrong
    assert outcomes["refused"] > 0


def test_vectors_equal_those_in_process_to_the_bit(client: EngineClient, tiny_model: EmbeddingModel) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the engine's, whose settings say so
    try:
        for items in (clips(1), clips(4)):
            here = tiny_model.encode("pose", items)
            np.testing.assert_array_equal(client.embed(EmbedRequest("tiny", "pose", items)).embeddings, here)
    finally:
        torch.set_num_threads(threads)


def count_waits(client: EngineClient) -> float:
    """Count the items whose wait for a batch is over; 0 while the engine does not answer."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in client.export_metrics().splitlines()
        if line.startswith("signclip_engine_queue_wait_seconds_count")
    )


def test_stopping_answers_what_was_admitted(
    supervisor: EngineSupervisor, client: EngineClient, tiny_model: EmbeddingModel
) -> None:
    items = clips(200, frames=64)
    before = count_waits(client)
    admitted = in_thread(lambda: client.embed(EmbedRequest("tiny", "pose", items)))
    until(lambda: count_waits(client) > before)
    supervisor.stop()
    result = admitted()
    np.testing.assert_allclose(result.embeddings, tiny_model.encode("pose", items), atol=1e-4)
    assert not Path(supervisor.address.removeprefix("ipc://")).parent.exists()


def test_an_engine_ends_with_whoever_started_it(settings: EngineSettings, tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        f"engine = subprocess.Popen([sys.executable, '-m', 'engine', '--address', 'ipc://{tmp_path}/e.sock', "
        f"'--parent', str(os.getpid()), '--settings', {settings.to_json()!r}], start_new_session=True)\n"
        "print(engine.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    client = EngineClient(f"ipc://{tmp_path}/e.sock")
    until(lambda: client.get_readiness().ready)
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    until(lambda: not client.get_readiness().ready)
    client.close()
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_process_that_stands_by_becomes_the_next_engine(settings: EngineSettings) -> None:
    supervisor = EngineSupervisor(settings, drain_s=20, standby=True)
    supervisor.start()
    client = EngineClient(supervisor.address)
    try:
        until(lambda: client.get_readiness().ready)
        first = supervisor.pid
        until(lambda: supervisor._standby is not None)
        waiting = supervisor._standby
        assert waiting is not None
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: supervisor.pid == waiting.pid)
        until(lambda: _embeds(client))
        until(lambda: supervisor._standby is not None)  # another one stands by
        another = supervisor._standby
        assert another is not None
        assert another.pid != waiting.pid
    finally:
        client.close()
        supervisor.stop()
    assert another.poll() is not None
    assert waiting.poll() is not None


def _embeds(client: EngineClient) -> bool:
    """Whether the engine answers; a client may hear of an engine's end later than the supervisor."""
    try:
        return client.embed(EmbedRequest("tiny", "pose", clips(1))).embeddings.shape == (1, 32)
    except EngineStoppedError:
        return False


def test_one_that_stands_by_and_is_lost_costs_nothing(settings: EngineSettings) -> None:
    supervisor = EngineSupervisor(settings, standby=True)
    lost = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    lost.wait()
    supervisor._standby = lost
    assert supervisor._take_standby(["-m", "engine", "--address", "x"]) is None
    supervisor.stop()
    assert lost.stdin is not None
    assert lost.stdin.closed
