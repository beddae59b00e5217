"""Every setting of the service, read from SIGNCLIP_* in the environment, checked together and at once.

`python -m app.settings` prints the table of the README.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.checkpoints.folders import ROOT
from processes.settings import SettingsError

PREFIX = "SIGNCLIP_"
_MIB = 1024 * 1024

Words = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


class Settings(BaseSettings):
    """Typed, frozen, documented: the description of each field is its line in the README."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("0.0.0.0", description="address gunicorn listens on")
    port: int = Field(3030, ge=1, le=65535, description="port gunicorn listens on")
    weights_dir: Path = Field(ROOT / "weights", description="folder with one folder of weights a model")
    default_model: str | None = Field(
        None,
        description="model that answers when a request names none; unset: `default` if its weights are there, "
        "else `fingerspelling`",
    )
    preload: Words = Field((), description="models to load at the start, separated by commas")
    max_loaded: int = Field(4, ge=1, le=64, description="models kept in memory; the least recently used one goes")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?(,cuda(:\d+)?)*)$",
        description="`auto`, `cpu`, `cuda`, `cuda:1`, or several GPUs, `cuda:0,cuda:1`: an engine each",
    )
    dtype: Literal["auto", "float32", "tf32", "float16", "bfloat16"] = Field(
        "auto",
        description="number format of the forward: `float32`, `bfloat16`, on CUDA also `tf32` or `float16`; "
        "`auto`: float16 on CUDA, float32 on CPUs",
    )
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what runs the forward; `auto`: OpenVINO on x86-64 CPUs, else torch"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads of a forward; unset: one a core")
    batch_ms: float | None = Field(
        None, gt=0, le=60_000, description="how long one forward should take; unset: 250 on a CPU, 50 on a GPU"
    )
    batch_tokens: int | None = Field(
        None, ge=64, description="padded tokens and frames in one forward; unset: what takes `SIGNCLIP_BATCH_MS`"
    )
    engine_address: Words = Field(
        (),
        description="`ipc://` addresses of running engines, separated by commas; unset: gunicorn starts its own, "
        "other servers run it in their process",
    )
    max_queue_items: int = Field(1024, ge=1, description="items that may wait for the model; past it 429")
    max_queue_tokens: int = Field(
        262_144, ge=8192, description="tokens and frames that may wait for the model; past it 429"
    )
    text_cache_items: int = Field(20_000, ge=0, description="texts whose vectors are remembered; 0: none")
    video_workers: int | None = Field(
        None, ge=1, le=1024, description="processes that estimate poses of videos, 0.4 GB each; unset: one a core"
    )
    estimator_address: str | None = Field(
        None,
        description="socket of running estimators (`python -m video serve`); unset: gunicorn starts its own, other "
        "servers run them themselves",
    )
    max_queue_videos: int = Field(64, ge=0, description="videos that may wait for a process; past it 429")
    max_videos: int = Field(16, ge=1, description="videos in one request; past it 413")
    max_video_bytes: int = Field(
        100 * _MIB,
        ge=1024,
        le=1024 * _MIB,
        description="bytes of the videos of one request; past it 413; base64 takes a third more",
    )
    max_video_s: float = Field(120.0, gt=0, le=3600, description="seconds of one video; past it 422")
    max_video_side: int = Field(4096, ge=16, le=8192, description="pixels of a video's width or height; past it 422")
    max_video_requests: int = Field(
        8, ge=1, le=900, description="requests with videos that one web worker takes at once; past it 429"
    )
    video_timeout_s: float = Field(
        600.0, gt=0, le=3600, description="seconds until a request with videos is answered 504"
    )
    timeout_s: float = Field(120.0, gt=0, le=3600, description="seconds until a request is answered 504")
    max_requests: int = Field(
        64, ge=1, le=900, description="requests with work to do that one web worker takes at once; past it 429"
    )
    max_body_bytes: int = Field(
        64 * _MIB, ge=1024, description="bytes of a request body, before and after decompression; past it 413"
    )
    max_items: int = Field(256, ge=1, description="texts or poses in one request; past it 413")
    max_text_chars: int = Field(10_000, ge=1, description="characters of one text; past it 422")
    api_keys: Secrets = Field(
        (),
        description="keys that open the API, separated by commas; when set, 401 without "
        "`Authorization: Bearer KEY` or `X-API-Key: KEY`",
    )
    cors_origins: Words = Field(
        ("*",), description="origins whose pages may call the API, separated by commas; `none`: no other than its own"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is logged")

    @field_validator("preload", "api_keys", "cors_origins", "engine_address", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _none_is_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return () if value == ("none",) else value

    @field_validator("api_keys")
    @classmethod
    def _keys_are_long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 8 for key in value):
            raise ValueError("a key has fewer than 8 characters")
        return value


def load_settings() -> Settings:
    """Read the settings from the process's environment.

    Raises:
        SettingsError: an unknown SIGNCLIP_* name, or a value of the wrong kind; all of them in one message.
    """
    given = sorted(name.upper() for name in os.environ if name.upper().startswith(PREFIX))
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    problems = [_unknown(name, known) for name in given if name not in known]
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        # Values stay out of the message: one of them may be a key.
        problems += [
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    if settings is None or problems:
        raise SettingsError("The settings in the environment are wrong:\n" + "\n".join(f"  - {p}" for p in problems))
    return settings


def _unknown(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "")


def render_settings_table() -> str:
    """Render the settings as the README's Markdown table."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} | {field.description} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    if default is None or default == ():
        return "unset"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = default.relative_to(ROOT)
    return f"`{default}`"


if __name__ == "__main__":
    print(render_settings_table())
