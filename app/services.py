"""What every view needs: settings, catalog, weights, and the engine of this process."""

import os
import threading
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Generic, Protocol, TypeVar

from flask import current_app
from prometheus_client import CollectorRegistry

from app.counters import RequestMetrics
from app.settings import Settings
from engine.client import EngineClient
from engine.interface import Engine
from engine.replicas import SpreadEngine
from engine.settings import EngineSettings
from models.catalog import Catalog, ModelConfig, load_catalog
from models.checkpoints.folders import WeightsFolder
from models.errors import UnknownModelError
from models.registry import default_model
from models.signature import signature
from models.tokenization import Tokenizer, load_tokenizer
from poses.features import FEATURE_KINDS
from processes.settings import SettingsError
from video.client import EstimatorClient
from video.interface import Estimators
from video.local import LocalEstimators
from video.settings import EstimatorSettings

EXTENSION = "signclip"


def engine_settings(settings: Settings, device: str | None = None) -> EngineSettings:
    """The engine's share of the service's settings.

    Args:
        device: one of the devices of the settings; None: the first.
    """
    return EngineSettings(
        weights_dir=settings.weights_dir,
        default_model=settings.default_model,
        preload=settings.preload,
        max_loaded=settings.max_loaded,
        device=device or settings.device.split(",")[0],
        dtype=settings.dtype,
        backend=settings.backend,
        batch_ms=settings.batch_ms,
        max_queue_items=settings.max_queue_items,
        max_queue_tokens=settings.max_queue_tokens,
        batch_tokens=settings.batch_tokens,
        text_cache_items=settings.text_cache_items,
        threads=settings.threads,
    )


def estimator_settings(settings: Settings) -> EstimatorSettings:
    """The estimators' share of the service's settings."""
    return EstimatorSettings(workers=settings.video_workers, max_waiting=settings.max_queue_videos)


class _Closable(Protocol):
    def close(self) -> None: ...


Part = TypeVar("Part", bound=_Closable)


class _PerProcess(Generic[Part]):
    """A part that is built on first need and anew after a fork: neither threads nor sockets survive one."""

    def __init__(self, build: Callable[[], Part], part: Part | None) -> None:
        self._build = build
        self._part = part
        self._owner_pid = os.getpid()
        self._lock = threading.Lock()

    def get(self) -> Part:
        with self._lock:
            if self._part is None or self._owner_pid != os.getpid():
                self._part = self._build()
                self._owner_pid = os.getpid()
            return self._part

    def close(self) -> None:
        with self._lock:
            if self._part is not None and self._owner_pid == os.getpid():
                self._part.close()


class Services:
    """Shared by all threads of one process.

    The engine is built on first need, so that a server forks before any thread pool or device is there.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None, estimators: Estimators | None = None) -> None:
        """
        Args:
            engine, estimators: None builds them on first need.
        Raises:
            CatalogError: a model's configuration is wrong.
            SettingsError: the settings name a model that is not in the catalog.
        """
        self.settings = settings
        self.weights = WeightsFolder(settings.weights_dir)
        self.catalog = load_catalog(weights=settings.weights_dir)
        check_names(settings, self.catalog)
        # What a request would ask the file system, or compute, again and again.
        self._complete: set[str] = set()
        self._tokenizers: dict[str, Tokenizer] = {}
        self._signature = lru_cache(maxsize=256)(self._sign)
        self.metrics_registry = CollectorRegistry()
        self.metrics = RequestMetrics(self.metrics_registry)
        self._engine = _PerProcess(lambda: _build_engine(settings), engine)
        self._estimators = _PerProcess(lambda: _build_estimators(settings), estimators)

    @property
    def engine(self) -> Engine:
        """The engine of this process; the first call builds it."""
        return self._engine.get()

    def close(self) -> None:
        """Let engine and estimators answer what they admitted, then end them. May be called twice."""
        self._engine.close()
        self._estimators.close()

    @property
    def estimators(self) -> Estimators:
        """The estimators of this process; the first call builds them."""
        return self._estimators.get()

    def model(self, name: str | None) -> ModelConfig:
        """Find a model that can serve.

        Raises:
            UnknownModelError: no model or alias of that name.
            WeightsMissingError: its files are not on this machine.
        """
        config = self.catalog.resolve(name if name is not None else self.engine.default_model())
        # Looked for until they are there, then no more; should they vanish again, the engine says so.
        if config.name not in self._complete:
            missing = self.weights.missing(config)
            if missing is not None:
                raise missing
            self._complete.add(config.name)
        return config

    def prepare(self) -> None:
        """Load what the first text would wait for, a tenth of a second in each worker."""
        config = self.catalog[default_model(self.catalog, self.weights, wanted=self.settings.default_model)]
        if self.weights.missing(config) is None:
            self.tokenizer(config).pieces([""])

    def tokenizer(self, config: ModelConfig) -> Tokenizer:
        known = self._tokenizers.get(config.name)
        if known is None:
            known = self._tokenizers[config.name] = load_tokenizer(self.weights.tokenizer(config), config.lowercase)
        return known

    def signature(
        self, config: ModelConfig, options: dict[str, str | bool], *, digest: str | None, dtype: str | None
    ) -> str | None:
        """What made a vector; None while the engine has not read the checkpoint."""
        if digest is None or dtype is None:
            return None
        return self._signature(config.name, digest, dtype, frozenset(options.items()))

    def _sign(self, name: str, digest: str, dtype: str, options: frozenset[tuple[str, str | bool]]) -> str:
        config = self.catalog[name]
        # A model of features that are not computed here, as those of a video encoder, still embeds texts.
        kind = FEATURE_KINDS.get(config.features)
        version = 0 if kind is None else kind.version
        return signature(config, digest=digest, dtype=dtype, features_version=version, options=dict(options))

    @cached_property
    def video_admission(self) -> threading.BoundedSemaphore:
        """Places for requests with videos, whose bodies are large."""
        return threading.BoundedSemaphore(self.settings.max_video_requests)

    @cached_property
    def admission(self) -> threading.BoundedSemaphore:
        """Places for requests with work to do."""
        return threading.BoundedSemaphore(self.settings.max_requests)


def check_names(settings: Settings, catalog: Catalog) -> None:
    """Refuse settings that name models which nobody knows.

    Raises:
        SettingsError: with a line for each.
    """
    problems = []
    for setting, names in (
        ("SIGNCLIP_DEFAULT_MODEL", [settings.default_model]),
        ("SIGNCLIP_PRELOAD", settings.preload),
    ):
        for name in filter(None, names):
            try:
                catalog.resolve(name)
            except UnknownModelError as error:
                problems.append(f"{setting}: {error}")
    if problems:
        raise SettingsError("\n".join(problems))


def _build_engine(settings: Settings) -> Engine:
    """A client of the engines that run beside this process, or engines in it, one a device."""
    if settings.engine_address:
        return SpreadEngine([EngineClient(address) for address in settings.engine_address])
    from engine.local import LocalEngine  # torch may come with it

    engines = [LocalEngine(engine_settings(settings, device)) for device in settings.device.split(",")]
    return SpreadEngine(engines) if len(engines) > 1 else engines[0]


def _build_estimators(settings: Settings) -> Estimators:
    """A client of the estimators that run beside this process, or estimators of its own."""
    if settings.estimator_address:
        return EstimatorClient(settings.estimator_address)
    return LocalEstimators(estimator_settings(settings))


def services() -> Services:
    """The services of the app that handles this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
