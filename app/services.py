"""What every route needs: the settings, the catalog, the weights, and this process's engine and estimators."""

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from flask import current_app
from prometheus_client import CollectorRegistry

from app.access.keys import make_keyring
from app.access.places import HeldBytes, Places
from app.counters import RequestMetrics
from app.pausing_store import let_others_go_on
from app.settings import ServiceSettings
from engine.client import EngineClient
from engine.interface import Engine
from engine.replicas import ReplicatedEngine
from models.background import Background, locate_background, read_background
from models.catalog import Catalog, ModelConfig, load_catalog
from models.checkpoints.folders import WeightsFolder
from models.errors import CatalogError, ModelsError, UnknownModelError
from models.registry import choose_default_model
from models.signature import compute_signature, compute_space
from models.tokenization import Tokenizer, load_tokenizer
from poses.feature_kinds import FEATURE_KINDS
from processes.settings import SettingsError
from processes.turns import pause
from search.interface import Store
from search.opening import open_store
from video.client import EstimatorClient
from video.interface import Estimators
from video.local import LocalEstimators

EXTENSION = "signclip"


class _Closable(Protocol):
    def close(self) -> None: ...


Part = TypeVar("Part", bound=_Closable)


class _PerProcess(Generic[Part]):
    """A part that is built when it is first needed, and again after a fork: threads and sockets do not survive a fork.

    Args:
        build: makes the part.
        part: the part, when it is there already.
    """

    def __init__(self, build: Callable[[], Part], part: Part | None) -> None:
        self._build = build
        self._part = part
        self._owner_pid = os.getpid()
        self._lock = threading.Lock()

    def get(self) -> Part:
        if self._owner_pid == os.getpid():  # written after the part, so read before it
            part = self._part
            if part is not None:
                return part
        with pause(), self._lock:  # a part may take seconds to build
            if self._part is None or self._owner_pid != os.getpid():
                self._part = self._build()
                self._owner_pid = os.getpid()
            return self._part

    def close(self) -> None:
        with self._lock:
            if self._part is not None and self._owner_pid == os.getpid():
                self._part.close()


class Services:
    """What all threads of one process share.

    The engine is built when it is first needed, so that a server can fork before any thread pool or device exists.

    Args:
        engine: None builds it when it is first needed.
        estimators: None builds them when they are first needed.
        catalog: the models; None reads their configurations.
    Raises:
        CatalogError: the configuration of a model of the project is wrong.
        KeysError: the file of keys cannot be read.
        SettingsError: the settings name a model that is not in the catalog.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        engine: Engine | None = None,
        estimators: Estimators | None = None,
        *,
        catalog: Catalog | None = None,
    ) -> None:
        self.settings = settings
        self.weights = WeightsFolder(settings.engine.weights_dir)
        self.catalog = catalog if catalog is not None else load_catalog(weights=settings.engine.weights_dir)
        check_names(settings, self.catalog)
        # Kept, because every request would otherwise ask the file system, or compute, the same again.
        self._complete: set[str] = set()
        self._tokenizers: dict[str, Tokenizer] = {}
        self._read_background = lru_cache(maxsize=16)(
            lambda path, embed_dim, _changed: read_background(path, embed_dim=embed_dim)
        )
        self._sign_cached = lru_cache(maxsize=256)(self._sign)
        self._find_space_cached = lru_cache(maxsize=256)(self._find_space)
        self.metrics_registry = CollectorRegistry()
        self.metrics = RequestMetrics(self.metrics_registry)
        # Places for requests with work to do, and for those with videos, whose bodies are large.
        self.places = Places(
            settings.max_requests, of_one_address=settings.max_requests_of_one_address, what="requests"
        )
        self.video_places = Places(
            settings.max_video_requests,
            of_one_address=settings.max_video_requests_of_one_address,
            what="requests with videos",
        )
        self.keyring = make_keyring(settings)
        self.held_bytes = HeldBytes(settings.max_held_bytes)
        self._engine = _PerProcess(lambda: _build_engine(settings), engine)
        self._estimators = _PerProcess(lambda: _build_estimators(settings), estimators)
        self._store: _PerProcess[Store] = _PerProcess(lambda: let_others_go_on(open_store(settings.search)), None)

    @property
    def engine(self) -> Engine:
        """The engine of this process. The first use builds it.

        Raises:
            ModelsError: this machine has no such device or backend, or a model's configuration is wrong.
        """
        return self._engine.get()

    def close(self) -> None:
        """Close the engine and the estimators once they have answered what they admitted. May be called twice."""
        self._engine.close()
        self._estimators.close()
        self._store.close()

    @property
    def estimators(self) -> Estimators:
        """The estimators of this process. The first use builds them."""
        return self._estimators.get()

    @property
    def store(self) -> Store:
        """The store of collections. The first use opens it.

        Raises:
            StoreError: its place cannot be opened.
        """
        return self._store.get()

    def find_model(self, name: str | None) -> ModelConfig:
        """Find a model that can serve.

        Args:
            name: name or alias; None: the engine's default model.
        Raises:
            UnknownModelError: no model has this name or alias.
            WeightsMissingError: the model's files are not on this machine.
            ModelsError: see Services.engine.
        """
        config = self.catalog.resolve(name if name is not None else self.engine.get_default_model())
        # Once the files were found they are not checked again. If they disappear later, the engine reports it.
        if config.name not in self._complete:
            missing = self.weights.find_missing(config)
            if missing is not None:
                raise missing
            self._complete.add(config.name)
        return config

    def prepare(self) -> None:
        """Load the default model's tokenizer. The first text would wait for it for a tenth of a second."""
        config = self.catalog[
            choose_default_model(self.catalog, self.weights, wanted=self.settings.engine.default_model)
        ]
        if self.weights.find_missing(config) is None:
            self.find_tokenizer(config).split([""])

    def find_tokenizer(self, config: ModelConfig) -> Tokenizer:
        """Return the tokenizer of a model; the first call for a model loads it.

        Raises:
            TokenizerError: the model's folder holds no tokenizer that can be read.
        """
        known = self._tokenizers.get(config.name)
        if known is None:
            known = self._tokenizers[config.name] = load_tokenizer(
                self.weights.locate_tokenizer(config), config.lowercase
            )
        return known

    def find_background(self, config: ModelConfig, *, digest: str | None) -> Background | None:
        """Find a model's background, which says what clips score that fit nothing.

        Args:
            digest: SHA-256 of the checkpoint that made the vectors to compare with it, hex.
        Returns:
            None when the model has none, or only one of other weights.
        Raises:
            BackgroundError: the file is damaged.
        """
        path = locate_background(self.weights, config)
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        background = self._read_background(path, config.embed_dim, changed)
        return background if background.digest == digest else None

    def describe_origin(
        self, config: ModelConfig, options: dict[str, str | bool], *, digest: str | None, dtype: str | None
    ) -> dict[str, str | None]:
        """Write where vectors come from: their signature says how they were made, their space what they compare with.

        Args:
            options: options that change vectors and are not at their default.
            digest: SHA-256 of the checkpoint, hex; None while the engine has not read it.
            dtype: number format of the forward pass.
        Returns:
            The keys signature and space, for an answer; None while what they depend on is unknown.
        """
        return {
            "signature": self._sign_cached(config.name, digest, dtype, frozenset(options.items()))
            if digest is not None and dtype is not None
            else None,
            "space": None if digest is None else self._find_space_cached(config.name, digest),
        }

    def _sign(self, name: str, digest: str, dtype: str, options: frozenset[tuple[str, str | bool]]) -> str:
        config = self.catalog[name]
        version = _find_features_version(config)
        return compute_signature(config, digest=digest, dtype=dtype, features_version=version, options=dict(options))

    def _find_space(self, name: str, digest: str) -> str:
        config = self.catalog[name]
        return compute_space(config, digest=digest, features_version=_find_features_version(config))


def _find_features_version(config: ModelConfig) -> int:
    # A model whose features are not computed here, such as those of a video encoder, still embeds texts.
    kind = FEATURE_KINDS.get(config.features)
    return 0 if kind is None else kind.version


def check_names(settings: ServiceSettings, catalog: Catalog) -> None:
    """Check that the models which the settings name are in the catalog.

    Raises:
        SettingsError: a model is not there, or its configuration is wrong; the message has a line for each.
    """
    problems = []
    for setting, names in (
        ("SIGNCLIP_DEFAULT_MODEL", [settings.engine.default_model]),
        ("SIGNCLIP_PRELOAD", settings.engine.preload),
    ):
        for name in filter(None, names):
            try:
                catalog.resolve(name)
            except (UnknownModelError, CatalogError) as error:
                problems.append(f"{setting}: {error}")
    if problems:
        raise SettingsError("\n".join(problems))


def _build_engine(settings: ServiceSettings) -> Engine:
    """Build a client of the engines that run beside this process, or engines in this process, one for each device."""
    if settings.engine_address:
        return ReplicatedEngine([EngineClient(address) for address in settings.engine_address])
    from engine.local import LocalEngine  # torch may come with it

    engines: list[Engine] = []
    try:
        for own in settings.list_engines():
            engines.append(LocalEngine(own))
    except ModelsError:
        for engine in engines:  # the next request builds all of them again
            engine.close()
        raise
    return ReplicatedEngine(engines) if len(engines) > 1 else engines[0]


def _build_estimators(settings: ServiceSettings) -> Estimators:
    """Build a client of the estimators that run beside this process, or estimators that belong to it."""
    if settings.estimator_address:
        return EstimatorClient(settings.estimator_address)
    return LocalEstimators(settings.estimators)


def get_services() -> Services:
    """Return the services of the application that handles this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
