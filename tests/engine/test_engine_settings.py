"""The settings of an engine: refused where they are wrong, in Python, on the command line and in the environment."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.__main__ import main, parse_arguments
from engine.settings import EngineSettings
from models.backends.choice import BACKENDS, DTYPES
from processes.settings import SettingsError

ADDRESS = ["--address", "ipc:///nowhere/e.sock"]


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = EngineSettings(
        weights_dir=tmp_path, default_model="m", preload=("a", "b"), batch_ms=12.5, batch_tokens=99, threads=3
    )
    assert EngineSettings.from_json(settings.to_json()) == settings
    assert EngineSettings.from_json("{}") == EngineSettings()


def test_settings_survive_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process has the settings of its supervisor, whatever its environment says."""
    monkeypatch.setenv("SIGNCLIP_THREADS", "7")
    settings = EngineSettings(weights_dir=tmp_path, preload=("a", "b"), batch_ms=12.5)
    back, options = parse_arguments([*ADDRESS, "--settings", settings.to_json()])
    assert back == settings
    assert options.address == ADDRESS[1]


def test_what_the_command_line_leaves_out_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DTYPE": "bfloat16", "THREADS": "3", "PRELOAD": "a,b", "BATCH_MS": ""}.items():
        monkeypatch.setenv(f"SIGNCLIP_{name}", value)
    settings, _ = parse_arguments([*ADDRESS, "--threads", "5"])
    assert (settings.dtype, settings.threads, settings.preload, settings.batch_ms) == ("bfloat16", 5, ("a", "b"), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backend", "tensorrt"),
        ("backend", ""),
        ("dtype", "half"),
        ("device", "tpu"),
        ("device", "cuda:"),
        ("device", "cuda:0,cuda:1"),
        ("max_loaded", 0),
        ("max_loaded", 65),
        ("max_queue_items", 0),
        ("max_queue_tokens", 8191),
        ("batch_ms", 0),
        ("batch_ms", 60_001),
        ("batch_tokens", 63),
        ("text_cache_items", -1),
        ("threads", 0),
        ("threads", 1025),
        ("linger", -0.1),
        ("linger", 1.1),
    ],
)
def test_a_wrong_value_is_refused_wherever_it_comes_from(
    name: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=name):
        EngineSettings(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=name):
        replace(EngineSettings(), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=f"^{name} is '?{value}'?, but "):
        EngineSettings.from_values({name: value})
    assert main([*ADDRESS, f"--{name.replace('_', '-')}={value}"]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("backend", name) for name in BACKENDS],
        *[("dtype", name) for name in DTYPES],
        *[("device", name) for name in ("auto", "cpu", "cuda", "cuda:0", "cuda:15")],
        *[("max_loaded", 1), ("max_loaded", 64), ("max_queue_items", 1), ("max_queue_tokens", 8192)],
        *[("batch_ms", 0.1), ("batch_ms", 60_000), ("batch_tokens", 64), ("text_cache_items", 0)],
        *[("threads", 1), ("threads", 1024), ("linger", 0), ("linger", 1)],
    ],
)
def test_the_last_allowed_value_is_allowed(name: str, value: object) -> None:
    assert getattr(EngineSettings.from_values({name: value}), name) == value
    assert getattr(EngineSettings.from_values({name: str(value)}), name) == value


def test_a_usage_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ADDRESS, "--backend", "tensorrt", "--dtype", "half"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"python -m engine: dtype is 'half', but it must be one of {', '.join(DTYPES)}; "
        f"backend is 'tensorrt', but it must be one of {', '.join(BACKENDS)}\n"
    )


def test_the_environment_is_checked_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNCLIP_BACKEND", "tensorrt")
    assert main(ADDRESS) == 2
    assert "tensorrt" in capsys.readouterr().err


def test_settings_given_twice_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ADDRESS, "--settings", "{}", "--max-loaded", "3"]) == 2
    assert "leave out --max-loaded" in capsys.readouterr().err


def test_an_unknown_level_of_the_log_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        main([*ADDRESS, "--log-level", "loud"])
    assert refused.value.code == 2


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_a_batch_takes_its_time_by_the_device(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.settings.count_cores", lambda: cores)
    settings = EngineSettings()
    assert (settings.choose_batch_s("cpu"), settings.choose_batch_s("cuda:1")) == (0.25, 0.05)
    assert EngineSettings(batch_ms=40).choose_batch_s("cpu") == EngineSettings(batch_ms=40).choose_batch_s("cuda")
    assert EngineSettings(batch_ms=40).choose_batch_s("cpu") == 0.04
    assert settings.choose_return_s("cpu") == pytest.approx(0.003 / cores)
    assert settings.choose_return_s("cuda") == 0
