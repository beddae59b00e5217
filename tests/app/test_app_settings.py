"""Settings from the environment: typed, complete, all problems at once."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from pydantic import ValidationError

from app import create_app
from app.settings import ServiceSettings, load_settings
from app.variables import PREFIX, SETTINGS, render_settings_table
from engine.settings import EngineSettings
from processes.settings import SettingsError
from search.settings import SearchSettings
from video.settings import EstimatorSettings


def test_without_an_environment_the_defaults_hold():
    settings = load_settings()
    assert (settings.port, settings.max_items, settings.max_body_bytes) == (3030, 256, 64 * 1024 * 1024)
    assert settings.api_keys == ()
    assert settings.cors_origins == ("*",)
    assert settings.list_engines() == [EngineSettings()]
    assert settings.estimators == EstimatorSettings()


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("PORT", "8080", "port", 8080),
        ("port", "8080", "port", 8080),
        ("PRELOAD", "tiny, asl_citizen,", "engine.preload", ("tiny", "asl_citizen")),
        ("CORS_ORIGINS", "none", "cors_origins", ()),
        ("CORS_ORIGINS", "", "cors_origins", ()),
        ("CORS_ORIGINS", " , ", "cors_origins", ()),
        (
            "CORS_ORIGINS",
            "https://a.example,https://b.example",
            "cors_origins",
            ("https://a.example", "https://b.example"),
        ),
        ("THREADS", "2", "engine.threads", 2),
        ("THREADS", "", "engine.threads", None),
        ("BATCH_MS", "12.5", "engine.batch_ms", 12.5),
        ("TIMEOUT_S", "1.5", "timeout_s", 1.5),
        ("DEVICE", "cuda:1", "devices", ("cuda:1",)),
        ("DEVICE", "cuda:0,cuda:1", "devices", ("cuda:0", "cuda:1")),
        ("VIDEO_WORKERS", "3", "estimators.workers", 3),
        ("MAX_QUEUE_VIDEOS", "0", "estimators.max_waiting", 0),
        ("ENGINE_ADDRESS", "ipc:///a,/b c", "engine_address", ("ipc:///a", "ipc:///b c")),
        ("ESTIMATOR_ADDRESS", "ipc:///run/videos.sock", "estimator_address", "/run/videos.sock"),
        ("METRICS_ADDRESS", "127.0.0.1:9101", "metrics_address", "127.0.0.1:9101"),
        ("SEARCH_MAINTAIN_S", "0", "search.maintain_s", 0.0),
    ],
)
def test_values_are_read_from_strings(monkeypatch, name, value, path, expected):
    monkeypatch.setenv(PREFIX + name, value)
    found = load_settings()
    for step in path.split("."):
        found = getattr(found, step)
    assert found == expected


def test_every_problem_is_in_one_message_with_its_value_but_no_key(monkeypatch):
    wrong = {
        "MAX_ITEMS": "many", "TIMEOUT_S": "-1", "DTYPE": "float8", "DEVICE": "tpu", "BACKEND": "tensorrt",
        "VIDEO_WORKERS": "0", "MAX_QUEUE_TOKENS": "8191", "LOG_LEVEL": "LOUD",
    }  # fmt: skip
    for name, value in {"PORTT": "1", "API_KEYS": "hunter2", **wrong}.items():
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert "  - there is no setting SIGNCLIP_PORTT; did you mean SIGNCLIP_PORT?" in lines
    for name, value in wrong.items():
        assert any(line.startswith(f"  - SIGNCLIP_{name} is {value!r}, but ") for line in lines), name
    assert "  - SIGNCLIP_API_KEYS is wrong: a key has fewer than 8 characters" in lines
    assert "hunter2" not in str(caught.value)
    assert len(lines) == 1 + len(wrong) + 2


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("DEVICE", " , ", "it must name a device"),
        ("ENGINE_ADDRESS", "tcp://127.0.0.1:9", "it must be the path of a Unix socket"),
        ("ENGINE_ADDRESS", "ipc:///a,ipc://", "it must be the path of a Unix socket"),
        ("ESTIMATOR_ADDRESS", "http://host/x", "it must be the path of a Unix socket"),
        ("ESTIMATOR_ADDRESS", "/" + "x" * 107, "at most 107 bytes"),
        ("METRICS_ADDRESS", "0.0.0.0:3030", "another one than SIGNCLIP_PORT"),
        ("METRICS_ADDRESS", "0.0.0.0:65536", "between 1 and 65535"),
        ("SEARCH_MAINTAIN_S", "inf", "less than or equal to"),
        ("SEARCH_KEEP_S", "1e20", "less than or equal to"),
        ("WEIGHTS_DIR", "/w\udcff", "it must be UTF-8"),
        ("HOST", "\udcff", "it must be UTF-8"),
    ],
)
def test_what_would_fail_or_hang_later_is_refused_at_the_start(monkeypatch, name, value, fault):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=re.escape(fault)) as caught:
        load_settings()
    assert f"SIGNCLIP_{name} is " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("devices", ["cpu,cuda:0", "cuda:0,auto", "cuda:0,cuda:x"])
def test_only_gpus_can_be_named_together(monkeypatch, devices):
    monkeypatch.setenv("SIGNCLIP_DEVICE", devices)
    with pytest.raises(SettingsError, match="SIGNCLIP_DEVICE is"):
        load_settings()


def test_an_unknown_name_alone_is_refused(monkeypatch):
    monkeypatch.setenv("SIGNCLIP_WEIGTHS_DIR", "/tmp")
    with pytest.raises(SettingsError, match="did you mean SIGNCLIP_WEIGHTS_DIR"):
        load_settings()


def test_settings_cannot_be_changed_and_keys_are_not_shown():
    settings = ServiceSettings(api_keys="right-key, other-key")
    assert [key.get_secret_value() for key in settings.api_keys] == ["right-key", "other-key"]
    assert "right-key" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_models_that_are_in_no_catalog_are_refused_at_the_start(tiny_weights):
    engine = EngineSettings(weights_dir=tiny_weights, default_model="tinny", preload=("fingerspeling",))
    with pytest.raises(SettingsError, match=r"SIGNCLIP_DEFAULT_MODEL: .*'tinny'") as caught:
        create_app(ServiceSettings(engine=engine))
    assert "SIGNCLIP_PRELOAD: " in str(caught.value)


def test_each_engine_has_its_own_device_and_the_same_settings(tmp_path):
    settings = ServiceSettings(engine=EngineSettings(weights_dir=tmp_path, threads=2), devices="cuda:0,cuda:1")
    engines = settings.list_engines()
    assert [engine.device for engine in engines] == ["cuda:0", "cuda:1"]
    assert {(engine.weights_dir, engine.threads) for engine in engines} == {(tmp_path, 2)}


def test_every_field_of_the_service_the_engine_and_the_estimators_is_one_setting_or_none_by_intent():
    paths = [setting.path for setting in SETTINGS]
    assert len(set(paths)) == len(paths)
    internal = {
        "engine.configs_dir",
        "engine.catalog_file",
        "engine.device",
        "engine.linger",
        "estimators.max_bytes",
        "estimators.health",
        "search.flat_rows",
    }
    expected = {name for name in ServiceSettings.model_fields if name not in ("engine", "estimators", "search")}
    expected |= {f"engine.{field.name}" for field in fields(EngineSettings)}
    expected |= {f"estimators.{field.name}" for field in fields(EstimatorSettings)}
    expected |= {f"search.{field.name}" for field in fields(SearchSettings)}
    assert {".".join(path) for path in paths} == expected - internal


def test_the_table_has_a_line_for_each_setting():
    lines = render_settings_table(ServiceSettings()).splitlines()[2:]
    assert [re.match(r"\| `(SIGNCLIP_\w+)` \| .+ \| .+ \|$", line)[1] for line in lines] == [
        setting.variable for setting in SETTINGS
    ]
    for line in ("| `SIGNCLIP_WEIGHTS_DIR` | `weights` |", "| `SIGNCLIP_DEVICE` | `auto` |"):
        assert line in render_settings_table(ServiceSettings())


@pytest.mark.parametrize("place", ["mysql://localhost/signs", "https://example.org/signs", "S3://bucket"])
def test_collections_lie_in_a_folder_or_in_a_known_object_store(place):
    with pytest.raises(SettingsError, match="no place for collections; name a folder, or s3, gs, az, postgresql://"):
        SearchSettings.from_values({"dir": place})
