"""Every setting of the service, read from SIGNCLIP_* in the environment and checked together.

The settings of the engine and of the estimators are defined and checked in their own rooms. Here they have their names
and their lines in the README.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
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
    ValidationInfo,
    field_validator,
)

from app.access.keyring import normalize_limit
from app.access.origins import normalize_origin
from app.access.proxies import read_networks
from app.variables import PREFIX, SETTINGS, Setting
from engine.settings import EngineSettings
from processes.logs import LOG_LEVELS
from processes.settings import SettingsError, one_of
from search.settings import SearchSettings
from video.settings import EstimatorSettings

# Of the client package's variables, which may be set on the same machine.
CLIENT_PREFIX = "SIGNCLIP_CLIENT_"
# Linux holds a path and the byte that ends it in 108 bytes (unix(7)).
_SOCKET_PATH_BYTES = 107
_MIB = 1024 * 1024
# Of a wrong value; a longer one would fill the terminal.
_VALUE_CHARS = 100
# What is wrong with a setting of keys that is empty: perhaps a secret that was not filled in. Taken as unset, it would
# open the API to everybody.
_EMPTY_KEYS = {
    "SIGNCLIP_API_KEYS": "holds no key; name one",
    "SIGNCLIP_API_KEYS_FILE": "names no file; name one",
}
# Settings of which an empty value is a value of its own. An empty list of origins lets no other origin in; taken as
# unset, it would let in all of them.
_MAY_BE_EMPTY = ("SIGNCLIP_CORS_ORIGINS",)
# Settings whose values are never shown.
_SECRET = ("api_keys", "rate_store", "search_dir")


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
        estimators, search: settings of the estimators of videos, and of the store of collections.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: EngineSettings = Field(default_factory=EngineSettings)
    devices: Words = Field(default_factory=lambda fields: (fields["engine"].device,))
    engine_address: Words = ()
    estimators: EstimatorSettings = Field(default_factory=EstimatorSettings)
    estimator_address: str | None = None
    engine_standby: bool = False
    demo: bool = False
    search: SearchSettings = Field(default_factory=SearchSettings)
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
    share_of_one_address: float = Field(0.75, gt=0, le=1)
    max_held_bytes: int = Field(256 * _MIB, ge=1024)
    max_body_bytes: int = Field(64 * _MIB, ge=1024)
    max_items: int = Field(256, ge=1)
    max_texts: int = Field(2048, ge=1)
    max_text_chars: int = Field(10_000, ge=1)
    api_keys: Secrets = ()
    api_keys_file: Path | None = None
    rate_limit: str | None = None
    item_limit: str | None = None
    rate_store: SecretStr | None = None
    trusted_proxies: Words = ()
    metrics_address: str | None = Field(None, pattern=r"^[^ ]+:[0-9]{1,5}$")
    traces: str | None = Field(None, pattern=r"^https?://[^ ]+$")
    cors_origins: Words = ("*",)
    log_level: Annotated[str, AfterValidator(one_of(LOG_LEVELS))] = "INFO"

    @property
    def needs_keys(self) -> bool:
        """Whether a request needs an API key."""
        return bool(self.api_keys) or self.api_keys_file is not None

    @property
    def max_requests_of_one_address(self) -> int:
        """How many of `max_requests` may come from one address."""
        return math.ceil(self.share_of_one_address * self.max_requests)

    @property
    def max_video_requests_of_one_address(self) -> int:
        """How many of `max_video_requests` may come from one address."""
        return math.ceil(self.share_of_one_address * self.max_video_requests)

    def list_engines(self) -> list[EngineSettings]:
        """List the settings of each engine, one for each device."""
        return [replace(self.engine, device=device) for device in self.devices]

    @field_validator("devices")
    @classmethod
    def _check_devices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("it must name a device, as auto, cpu or cuda:0")
        for device in value:
            try:
                EngineSettings.from_values({"device": device})
            except SettingsError as error:
                raise ValueError(str(error)) from error
            if len(value) > 1 and not device.startswith("cuda"):
                raise ValueError("only GPUs can be named together, as in cuda:0,cuda:1")
        return value

    @field_validator("engine_address")
    @classmethod
    def _check_engine_address(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"ipc://{_read_socket_path(address)}" for address in value)

    @field_validator("estimator_address")
    @classmethod
    def _check_estimator_address(cls, value: str | None) -> str | None:
        return None if value is None else _read_socket_path(value)

    @field_validator("metrics_address")
    @classmethod
    def _check_metrics_address(cls, value: str | None, found: ValidationInfo) -> str | None:
        port = None if value is None else int(value.rpartition(":")[2])
        if port is not None and not 1 <= port <= 65535:
            raise ValueError("its port must be between 1 and 65535")
        if port is not None and port == found.data.get("port"):  # requests are told apart by it
            raise ValueError("its port must be another one than SIGNCLIP_PORT")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _read_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return () if value == ("none",) else tuple(map(normalize_origin, value))

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        keys = [key.get_secret_value() for key in value]
        if any(len(key) < 8 for key in keys):
            raise ValueError("a key has fewer than 8 characters")
        if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
            raise ValueError("a key has characters that a header field cannot carry; use ASCII without blanks")
        return value

    @field_validator("rate_limit", "item_limit")
    @classmethod
    def _check_limit(cls, value: str | None) -> str | None:
        return None if value is None else normalize_limit(value)

    @field_validator("rate_store")
    @classmethod
    def _check_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "redis+")):
            raise ValueError("it must be the redis:// address of a server")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        read_networks(value)
        return value


def _read_socket_path(address: str) -> str:
    """Read the path of a Unix socket, which an address names with ipc:// or without.

    Raises:
        ValueError: a Unix socket cannot have this address; clients would try to connect for ever.
    """
    path = address.removeprefix("ipc://")
    if not path.strip() or "://" in path:
        raise ValueError("it must be the path of a Unix socket, as ipc:///run/signclip/engine.sock")
    if len(path.encode()) > _SOCKET_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket has at most {_SOCKET_PATH_BYTES} bytes")
    return path


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
    # Paths may hold any bytes, but go to other processes, and into answers, as JSON.
    unreadable = [variable for variable, value in given.items() if not _is_utf_8(value)]
    problems += [f"{variable} is {given[variable][:_VALUE_CHARS]!r}, but it must be UTF-8" for variable in unreadable]
    parts: dict[str, dict[str, object]] = {"engine": {}, "estimators": {}, "search": {}, "": {}}
    for variable, setting in known.items():
        is_given = bool(given.get(variable)) or (variable in given and variable in _MAY_BE_EMPTY)
        if is_given and variable not in unreadable:
            parts[setting.part][setting.path[-1]] = given[variable]
    if "preload" in parts["engine"]:
        parts["engine"]["preload"] = _split_at_commas(parts["engine"]["preload"])
    values = parts.pop("") | parts
    problems += [
        f"{variable} is set and {fault}, or unset it to open the API to everybody"
        for variable, fault in _EMPTY_KEYS.items()
        if variable in given and not _split_at_commas(given[variable])
    ]
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


def _is_utf_8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe_unknown(variable: str, known: Mapping[str, Setting]) -> str:
    near = get_close_matches(variable, known, n=1)
    return f"there is no setting {variable}" + (f"; did you mean {near[0]}?" if near else "")


def _describe(problem: Mapping[str, Any], given: Mapping[str, str]) -> str:
    """Say which variable is wrong, its value and what it may be. Keys are never shown."""
    setting = next(setting for setting in SETTINGS if problem["loc"][: len(setting.path)] == setting.path)
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if setting.name in _SECRET:
        return f"{setting.variable} is wrong: {reason}"
    return f"{setting.variable} is {given[setting.variable][:_VALUE_CHARS]!r}, but {reason}"
