"""Every setting of the service, read from SIGNCLIP_* in the environment and checked together.

The settings of the engine and of the estimators are defined and checked in their own rooms. Here they have their names
and their lines in the README.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from app.access.origins import normalize_origin
from engine.settings import EngineSettings
from models.checkpoints.folders import ROOT
from processes.logs import LOG_LEVELS
from processes.settings import SettingsError, one_of
from video.settings import EstimatorSettings

PREFIX = "SIGNCLIP_"
# Of the client package's variables, which may be set on the same machine.
CLIENT_PREFIX = "SIGNCLIP_CLIENT_"
_MIB = 1024 * 1024
# Of a wrong value; a longer one would fill the terminal.
_VALUE_CHARS = 100


def _split_at_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split_at_commas)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split_at_commas)]


class ServiceSettings(BaseModel):
    """What the service is built from. SETTINGS says what each field means.

    Attributes:
        engine: settings of every engine, apart from its device.
        devices: the device of each engine; by default there is one, with the device of `engine`.
        estimators: settings of the estimators of videos.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: EngineSettings = Field(default_factory=EngineSettings)
    devices: Words = Field(default_factory=lambda fields: (fields["engine"].device,))
    engine_address: Words = ()
    estimators: EstimatorSettings = Field(default_factory=EstimatorSettings)
    estimator_address: str | None = None
    host: str = "0.0.0.0"
    port: int = Field(3030, ge=1, le=65535)
    max_videos: int = Field(16, ge=1)
    max_video_bytes: int = Field(100 * _MIB, ge=1024, le=1024 * _MIB)
    max_video_s: float = Field(120.0, gt=0, le=3600)
    max_video_side: int = Field(4096, ge=16, le=8192)
    max_video_requests: int = Field(8, ge=1, le=900)
    video_timeout_s: float = Field(600.0, gt=0, le=3600)
    timeout_s: float = Field(120.0, gt=0, le=3600)
    max_requests: int = Field(64, ge=1, le=900)
    max_body_bytes: int = Field(64 * _MIB, ge=1024)
    max_items: int = Field(256, ge=1)
    max_texts: int = Field(2048, ge=1)
    max_text_chars: int = Field(10_000, ge=1)
    api_keys: Secrets = ()
    cors_origins: Words = ("*",)
    log_level: Annotated[str, AfterValidator(one_of(LOG_LEVELS))] = "INFO"

    def list_engines(self) -> list[EngineSettings]:
        """List the settings of each engine, one for each device."""
        return [replace(self.engine, device=device) for device in self.devices]

    @field_validator("devices")
    @classmethod
    def _check_devices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for device in value:
            try:
                EngineSettings.from_values({"device": device})
            except SettingsError as error:
                raise ValueError(str(error)) from error
            if len(value) > 1 and not device.startswith("cuda"):
                raise ValueError("only GPUs can be named together, as in cuda:0,cuda:1")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _read_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return () if value == ("none",) else tuple(map(normalize_origin, value))

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 8 for key in value):
            raise ValueError("a key has fewer than 8 characters")
        return value


@dataclass(frozen=True)
class Setting:
    """One SIGNCLIP_* variable.

    Attributes:
        name: name of the variable, in lower case and without the prefix.
        meaning: its line in the README.
        part: the field of ServiceSettings that holds it, "engine" or "estimators"; "": ServiceSettings itself.
        field: name of the field there; "": the same as `name`.
    """

    name: str
    meaning: str
    part: str = ""
    field: str = ""

    @property
    def variable(self) -> str:
        """Name of the variable in the environment."""
        return PREFIX + self.name.upper()

    @property
    def path(self) -> tuple[str, ...]:
        """Where ServiceSettings holds it."""
        field = self.field or self.name
        return (self.part, field) if self.part else (field,)

    def find_default(self) -> object:
        """Find its default, which is defined where its field is."""
        found: object = ServiceSettings()
        for name in self.path:
            found = getattr(found, name)
        return found


SETTINGS = (
    Setting("host", "address gunicorn listens on"),
    Setting("port", "port gunicorn listens on"),
    Setting("weights_dir", "folder that holds one folder of weights for each model", part="engine"),
    Setting(
        "default_model",
        "model that answers when a request names none; unset: `default` if its weights are there, "
        "else `fingerspelling`",
        part="engine",
    ),
    Setting("preload", "models to load at the start, separated by commas", part="engine"),
    Setting("max_loaded", "models kept in memory; the least recently used model is unloaded first", part="engine"),
    Setting(
        "device",
        "`auto`, `cpu`, `cuda`, `cuda:1`, or several GPUs, `cuda:0,cuda:1`, with one engine for each",
        field="devices",
    ),
    Setting(
        "dtype",
        "number format of the forward pass: `float32`, `bfloat16`, on CUDA also `tf32` or `float16`; "
        "`auto`: float16 on CUDA, float32 on CPUs",
        part="engine",
    ),
    Setting(
        "backend",
        "what runs the forward pass, `torch` or `openvino`; `auto`: OpenVINO on x86-64 CPUs, else torch",
        part="engine",
    ),
    Setting("threads", "CPU threads of a forward pass; unset: one for each core", part="engine"),
    Setting(
        "batch_ms", "milliseconds that one forward pass should take; unset: 250 on a CPU, 50 on a GPU", part="engine"
    ),
    Setting(
        "batch_tokens",
        "padded tokens and frames in one forward pass; unset: as many as take `SIGNCLIP_BATCH_MS`",
        part="engine",
    ),
    Setting(
        "engine_address",
        "`ipc://` addresses of running engines, separated by commas; unset: gunicorn starts its own "
        "engines, other servers run an engine in their own process",
    ),
    Setting("max_queue_items", "items that may wait for the model; more are answered 429", part="engine"),
    Setting("max_queue_tokens", "tokens and frames that may wait for the model; more are answered 429", part="engine"),
    Setting("text_cache_items", "texts whose vectors are kept for the next request; 0 keeps none", part="engine"),
    Setting(
        "video_workers",
        "processes that estimate poses of videos, 0.4 GB each; unset: one for each core",
        part="estimators",
        field="workers",
    ),
    Setting(
        "estimator_address",
        "socket of running estimators (`python -m video serve`); unset: gunicorn starts its own "
        "estimators, other servers run estimators under their own process",
    ),
    Setting(
        "max_queue_videos",
        "videos that may wait for a process; more are answered 429",
        part="estimators",
        field="max_waiting",
    ),
    Setting("max_videos", "videos in one request; more are answered 413"),
    Setting("max_video_bytes", "bytes of all videos of one request, before base64; more are answered 413"),
    Setting("max_video_s", "seconds that one video may last; longer videos are answered 422"),
    Setting("max_video_side", "pixels of a video's width or height; larger videos are answered 422"),
    Setting("max_video_requests", "requests with videos that one web worker handles at once; more are answered 429"),
    Setting("video_timeout_s", "seconds until a request with videos is answered 504"),
    Setting("timeout_s", "seconds until a request is answered 504"),
    Setting("max_requests", "requests with work to do that one web worker handles at once; more are answered 429"),
    Setting("max_body_bytes", "bytes of a request body, before and after decompression; more are answered 413"),
    Setting("max_items", "poses in one request, and texts beside them; more are answered 413"),
    Setting("max_texts", "texts in one request for texts alone; more are answered 413"),
    Setting("max_text_chars", "characters of one text; longer texts are answered 422"),
    Setting(
        "api_keys",
        "keys that open the API, separated by commas; when set, a request without "
        "`Authorization: Bearer KEY` or `X-API-Key: KEY` is answered 401",
    ),
    Setting(
        "cors_origins",
        "origins whose pages may call the API, separated by commas; `none`: only pages of the service itself",
    ),
    Setting("log_level", "lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`"),
)


def load_settings() -> ServiceSettings:
    """Read the settings from the environment of the process.

    Raises:
        SettingsError: a SIGNCLIP_* variable is unknown or has a wrong value; the message has a line for each.
    """
    given = {
        name.upper(): value
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and not name.upper().startswith(CLIENT_PREFIX)
    }
    known = {setting.variable: setting for setting in SETTINGS}
    problems = [_describe_unknown(variable, known) for variable in sorted(given) if variable not in known]
    parts: dict[str, dict[str, object]] = {"engine": {}, "estimators": {}, "": {}}
    for variable, setting in known.items():
        if given.get(variable):
            parts[setting.part][setting.path[-1]] = given[variable]
    if "preload" in parts["engine"]:
        parts["engine"]["preload"] = _split_at_commas(parts["engine"]["preload"])
    values = {"engine": parts["engine"], "estimators": parts["estimators"], **parts[""]}
    settings = None
    try:
        settings = ServiceSettings.model_validate(values)
    except ValidationError as error:
        problems += [
            _describe(problem, given)
            for problem in error.errors(include_url=False, include_context=False)
            # Only says that the engine's settings are wrong, which have lines of their own.
            if problem["type"] != "default_factory_not_called"
        ]
    if settings is None or problems:
        raise SettingsError("The settings in the environment are wrong:\n" + "\n".join(f"  - {p}" for p in problems))
    return settings


def render_settings_table() -> str:
    """Render the settings as the README's Markdown table."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    rows += [f"| `{s.variable}` | {_show(s.find_default())} | {s.meaning} |" for s in SETTINGS]
    return "\n".join(rows)


def _describe_unknown(variable: str, known: Mapping[str, Setting]) -> str:
    near = get_close_matches(variable, known, n=1)
    return f"there is no setting {variable}" + (f"; did you mean {near[0]}?" if near else "")


def _describe(problem: Mapping[str, Any], given: Mapping[str, str]) -> str:
    """Say which variable is wrong, its value and what it may be. Keys are never shown."""
    setting = next(setting for setting in SETTINGS if problem["loc"][: len(setting.path)] == setting.path)
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if setting.name == "api_keys":
        return f"{setting.variable} is wrong: {reason}"
    return f"{setting.variable} is {given[setting.variable][:_VALUE_CHARS]!r}, but {reason}"


def _show(default: object) -> str:
    if default is None or default == ():
        return "unset"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = default.relative_to(ROOT)
    return f"`{default}`"
