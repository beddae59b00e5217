"""`python -m engine`, without its process: what it serves, how it ends, and what it reports when it cannot start."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import engine.__main__ as engine_main
from engine import readiness
from engine.__main__ import main, parse_arguments
from engine.client import EngineClient
from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.settings import EngineSettings
from processes.version import PRODUCT
from tests.engine.engines import WORD
from tests.engine.fakes import in_thread, until

Run = Callable[..., Callable[[], object]]


@pytest.fixture
def settings(weights: Path, tmp_path: Path) -> EngineSettings:
    (tmp_path / "configs").mkdir()
    return EngineSettings(
        weights_dir=weights,
        configs_dir=tmp_path / "configs",
        default_model="tiny",
        device="cpu",
        backend="torch",
        threads=1,
        batch_tokens=4096,
    )


@pytest.fixture
def stops() -> list[Callable[[], None]]:
    """What would be called at a signal."""
    return []


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch, stops: list[Callable[[], None]]) -> list[str]:
    """Levels that were set for the log; signals and the log of the tests' own process stay as they are."""
    levels: list[str] = []
    monkeypatch.setattr(engine_main, "call_at_stop", stops.append)
    monkeypatch.setattr(engine_main, "configure_logging", levels.append)
    monkeypatch.setattr(readiness, "_LOOK_S", 0.01)
    return levels


@pytest.fixture
def run(settings: EngineSettings, tmp_path: Path, stops: list[Callable[[], None]], levels: list[str]) -> Iterator[Run]:
    """Runs `main` in a thread on a socket in a new folder."""

    def run(*arguments: str, settings: EngineSettings = settings) -> Callable[[], object]:
        return in_thread(lambda: main([*at(tmp_path), "--settings", settings.to_json(), *arguments]))

    yield run
    for stop in stops:
        stop()


def at(folder: Path) -> list[str]:
    return ["--address", f"ipc://{folder}/new/e.sock"]


def test_it_serves_until_it_is_stopped(
    run: Run, tmp_path: Path, stops: list[Callable[[], None]], levels: list[str]
) -> None:
    end = run("--record", str(tmp_path / "record"), "--log-level", "warning", "--parent", "0")
    until(lambda: bool(stops))
    # A parent that has ended already ends the engine, too: nothing has to stop it.
    assert end() == 0
    assert levels == ["WARNING"]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_it_answers_and_records_what_it_loaded(run: Run, tmp_path: Path, stops: list[Callable[[], None]]) -> None:
    end = run("--record", str(tmp_path / "record"))
    client = EngineClient(f"ipc://{tmp_path}/new/e.sock")
    until(lambda: client.get_readiness().ready)
    assert client.embed(EmbedRequest("tiny", "text", [WORD])).embeddings.any()
    client.close()
    until((tmp_path / "record").exists)
    stops[0]()
    assert end() == 0
    assert (tmp_path / "record").read_text() == "tiny"


@pytest.mark.parametrize("place", ["e.sock", "new/deep/e.sock"])
def test_the_folder_of_its_socket_may_be_there_or_not(
    settings: EngineSettings, levels: list[str], stops: list[Callable[[], None]], tmp_path: Path, place: str
) -> None:
    end = in_thread(lambda: main(["--address", f"ipc://{tmp_path / place}", "--settings", settings.to_json()]))
    until((tmp_path / place).is_socket)
    until(lambda: bool(stops))
    stops[0]()
    assert end() == 0


def test_an_engine_that_finds_no_device_reports_it(
    run: Run, settings: EngineSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = EngineSettings.from_json(settings.to_json().replace('"cpu"', '"cuda:15"'))
    assert run(settings=lacking)() == 1
    err = capsys.readouterr().err
    assert err.startswith("the engine cannot start: there is no device 'cuda:15'")
    assert run("--failure", str(tmp_path / "failure"), settings=lacking)() == 1
    assert "there is no device 'cuda:15'" in (tmp_path / "failure").read_text()
    assert capsys.readouterr().err == ""


def test_weights_that_cannot_be_served_end_the_engine_if_its_supervisor_wants_to_know(
    run: Run, weights: Path, tmp_path: Path
) -> None:
    (weights / "tiny" / "model.safetensors").write_bytes(b"damaged")
    assert run("--failure", str(tmp_path / "failure"))() == 1
    assert "safetensors" in (tmp_path / "failure").read_text()


def test_weights_that_cannot_be_served_are_waited_for_if_nobody_asks_for_the_failure(
    run: Run, weights: Path, tmp_path: Path, stops: list[Callable[[], None]]
) -> None:
    model = weights / "tiny" / "model.safetensors"
    good = model.read_bytes()
    model.write_bytes(b"damaged")
    end = run()
    client = EngineClient(f"ipc://{tmp_path}/new/e.sock")
    until(lambda: "safetensors" in str(client.get_readiness().reason))
    (weights / "new").write_bytes(good)
    (weights / "new").replace(model)
    until(lambda: client.get_readiness().ready)
    client.close()
    stops[0]()
    assert end() == 0


def test_an_address_that_cannot_be_listened_on(
    settings: EngineSettings, levels: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[LocalEngine] = []
    close = LocalEngine.close
    monkeypatch.setattr(LocalEngine, "close", lambda engine: (closed.append(engine), close(engine)))
    address = "ipc:///proc/no/such/place/e.sock"
    assert main(["--address", address, "--settings", settings.to_json()]) == 1
    assert capsys.readouterr().err.startswith(f"the engine cannot listen on {address}: ")
    assert len(closed) == 1


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{PRODUCT}\n"


def test_help_describes_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "python -m engine" in text
    assert "one engine process behind a socket" in text
    for words in (
        "--address ADDRESS ipc://PATH to listen on",
        "--settings JSON every setting at once",
        "--failure FAILURE file to write why the engine cannot serve",
        "--record RECORD file to keep the names of the loaded models in",
        "--parent PARENT process id whose end ends the engine",
        "--max-loaded MAX_LOADED default: SIGNCLIP_MAX_LOADED",
    ):
        assert words in text


def test_paths_are_paths_and_the_address_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    _, options = parse_arguments(["--address", "a", "--record", "r", "--failure", "f", "--parent", "7"])
    assert (options.record, options.failure, options.parent) == (Path("r"), Path("f"), 7)
    assert options.log_level == "INFO"
    with pytest.raises(SystemExit) as refused:
        parse_arguments([])
    assert refused.value.code == 2
    assert "--address" in capsys.readouterr().err
