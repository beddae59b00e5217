"""Settings from the environment: typed, complete, all problems at once."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from app import create_app
from app.services import engine_settings
from app.settings import PREFIX, Settings, load_settings, render_settings_table
from processes.settings import SettingsError


def test_without_an_environment_the_defaults_hold():
    settings = load_settings()
    assert (settings.port, settings.max_items, settings.max_body_bytes) == (3030, 256, 64 * 1024 * 1024)
    assert settings.api_keys == ()
    assert settings.cors_origins == ("*",)


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("PORT", "8080", "port", 8080),
        ("port", "8080", "port", 8080),
        ("PRELOAD", "tiny, asl_citizen,", "preload", ("tiny", "asl_citizen")),
        ("CORS_ORIGINS", "none", "cors_origins", ()),
        (
            "CORS_ORIGINS",
            "https://a.example,https://b.example",
            "cors_origins",
            ("https://a.example", "https://b.example"),
        ),
        ("THREADS", "2", "threads", 2),
        ("THREADS", "", "threads", None),
        ("TIMEOUT_S", "1.5", "timeout_s", 1.5),
        ("DEVICE", "cuda:1", "device", "cuda:1"),
    ],
)
def test_values_are_read_from_strings(monkeypatch, name, value, field, expected):
    monkeypatch.setenv(PREFIX + name, value)
    assert getattr(load_settings(), field) == expected


def test_every_problem_is_in_one_message(monkeypatch):
    for name, value in {
        "PORTT": "1", "MAX_ITEMS": "many", "TIMEOUT_S": "-1", "DTYPE": "float8", "API_KEYS": "hunter2", "DEVICE": "tpu",
    }.items():  # fmt: skip
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert "SIGNCLIP_PORTT is no setting; did you mean SIGNCLIP_PORT?" in message
    for name in ("MAX_ITEMS", "TIMEOUT_S", "DTYPE", "API_KEYS", "DEVICE"):
        assert f"  - SIGNCLIP_{name}: " in message
    assert "hunter2" not in message


def test_an_unknown_name_alone_is_refused(monkeypatch):
    monkeypatch.setenv("SIGNCLIP_WEIGTHS_DIR", "/tmp")
    with pytest.raises(SettingsError, match="did you mean SIGNCLIP_WEIGHTS_DIR"):
        load_settings()


def test_settings_cannot_be_changed_and_keys_are_not_shown():
    settings = Settings(api_keys="right-key, other-key")
    assert [key.get_secret_value() for key in settings.api_keys] == ["right-key", "other-key"]
    assert "right-key" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_models_that_are_in_no_catalog_are_refused_at_the_start(tiny_weights):
    with pytest.raises(SettingsError, match=r"SIGNCLIP_DEFAULT_MODEL: .*'tinny'") as caught:
        create_app(Settings(weights_dir=tiny_weights, default_model="tinny", preload=("fingerspeling",)))
    assert "SIGNCLIP_PRELOAD: " in str(caught.value)


def test_the_engine_gets_its_share(tmp_path):
    settings = Settings(weights_dir=tmp_path, preload=("tiny",), threads=2, batch_tokens=512, dtype="bfloat16")
    share = engine_settings(settings)
    for name in vars(share):
        if name not in ("configs_dir", "linger"):  # nothing that a service is asked
            assert getattr(share, name) == getattr(settings, name), name


def test_the_table_has_a_line_for_each_setting():
    lines = render_settings_table().splitlines()[2:]
    assert [re.match(r"\| `SIGNCLIP_(\w+)` \| .+ \| .+ \|$", line)[1].lower() for line in lines] == list(
        Settings.model_fields
    )
    assert "| `SIGNCLIP_WEIGHTS_DIR` | `weights` |" in render_settings_table()
