"""The engine in this process: registry, batcher and text cache behind the Engine interface."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.cache import TextCache
from engine.delivery import Deliver, wait_for
from engine.errors import ModelFailedError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.linger import Linger
from engine.metrics import EngineMetrics
from engine.queue import WaitingItems
from engine.readiness import EngineHealth
from engine.settings import BATCH_TOKENS, EngineSettings
from engine.tickets import Ticket
from engine.tracing import EngineTraces, follow
from models.backends import choice
from models.checkpoints.folders import WeightsFolder
from models.embedding import EmbeddingModel
from models.errors import ModelsError, UnknownModelError
from models.registry import BackendFactory, Registry, choose_default_model
from models.status import ModelStatus
from processes.cores import limit_threads
from processes.errors import ProcessError

log = logging.getLogger(__name__)


class _ServedModels:
    """The registry, as the owner thread uses it: models load in a thread of their own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-loader")

    def get_loaded(self, name: str) -> EmbeddingModel | None:
        return self._registry.get_loaded(name)

    def start_loading(self, name: str, on_end: Callable[[ModelFailedError | None], None]) -> None:
        self._loader.submit(lambda: on_end(self._load(name)))

    def close(self) -> None:
        self._loader.shutdown(wait=True, cancel_futures=True)

    def _load(self, name: str) -> ModelFailedError | None:
        try:
            self._registry.get(name)
        except ModelsError as error:
            return ModelFailedError(f"model {name!r} does not load: {error}")
        except Exception as error:  # a loader that ended in silence would leave its requests waiting
            log.exception("a model failed to load", extra={"model": name})
            return ModelFailedError(f"model {name!r} does not load ({type(error).__name__})")
        return None


class LocalEngine:
    """An Engine whose owner thread runs in this process. Build it after a fork, never before.

    Args:
        settings: None takes the defaults.
        make_backend: makes a model's forward pass of its safetensors file and configuration; None: the one that the
            settings choose.
        traces: what sends the spans of traced requests; None: their caller does, from the times in the answer.
    Raises:
        BackendError: the device or the number format is not available here.
        CatalogError: a model's configuration is wrong.
        UnknownModelError: the settings name a model that is not in the catalog.

    Attributes:
        health: whether it is ready, and whether its device has failed.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        *,
        make_backend: BackendFactory | None = None,
        traces: EngineTraces | None = None,
    ) -> None:
        self._traces = traces
        self.settings = settings = settings or EngineSettings()
        device = choice.choose_device(settings.device)
        dtype = choice.choose_dtype(settings.dtype, device)
        threads = settings.threads or limit_threads()
        catalog = settings.load_catalog()
        weights = WeightsFolder(settings.weights_dir)
        self._default = choose_default_model(catalog, weights, wanted=settings.default_model)
        wanted = dict.fromkeys(catalog.resolve(name).name for name in settings.preload)
        others = [name for name in wanted if name != self._default]
        self.registry = Registry(
            catalog,
            weights,
            make_backend=make_backend
            or partial(choice.make_backend, backend=settings.backend, device=device, dtype=dtype, threads=threads),
            max_loaded=max(settings.max_loaded, 1 + len(others)),
        )
        self._models = _ServedModels(self.registry)
        self._metrics = EngineMetrics()
        self._cache = TextCache(settings.text_cache_items)
        self._batcher = Batcher(
            self._models,
            self._cache,
            waiting=WaitingItems(max_items=settings.max_queue_items, max_tokens=settings.max_queue_tokens),
            budget=BatchBudget(
                target_s=settings.choose_batch_s(device), first=BATCH_TOKENS, fixed=settings.batch_tokens
            ),
            metrics=self._metrics,
            linger=Linger(settings.linger, return_s=settings.choose_return_s(device)),
        )
        self.health = EngineHealth(
            self.registry,
            self._batcher,
            default=self._default,
            others=others,
            warms_up=settings.batch_tokens is None,
        )
        self._watch_gauges()
        self.health.start()

    def _watch_gauges(self) -> None:
        watch = self._metrics.watch
        watch("queue_items", "Items that wait", lambda: self._batcher.waiting_items)
        watch("queue_tokens", "Positions that wait", lambda: self._batcher.waiting_tokens)
        watch("text_cache_items", "Vectors of texts kept", lambda: len(self._cache))
        watch("models_loaded", "Models in memory", lambda: len(self.registry.list_loaded()))
        watch("ready", "1 once the golden probe came back right", lambda: float(self.health.readiness.ready))

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; see Batcher.submit.

        Raises:
            QueueFullError: the queue has no place for all items of the request.
            EngineStoppedError: the engine is shutting down.
            UnknownModelError: no model has this name or alias.
            WeightsMissingError: the model's files are not on this machine.
        """
        (admitted,) = self.submit_all([(request, deliver)])
        if isinstance(admitted, Exception):
            raise admitted
        return admitted

    def submit_all(self, requests: Sequence[tuple[EmbedRequest, Deliver]]) -> list[Ticket | ProcessError | ModelsError]:
        """Admit requests that came together; returns for each its ticket, or the error that `submit` would raise."""
        checked = [self._check(request) for request, _ in requests]
        good = [
            (request, follow(self._traces, request, deliver))
            for request, (_, deliver) in zip(checked, requests, strict=True)
            if isinstance(request, EmbedRequest)
        ]
        admitted = iter(self._batcher.submit_all(good))
        return [next(admitted) if isinstance(request, EmbedRequest) else request for request in checked]

    def _check(self, request: EmbedRequest) -> EmbedRequest | ModelsError:
        """Name the model as the catalog does; return why it cannot serve, if its files are not here."""
        if request.model in self.registry.catalog and self.registry.get_loaded(request.model) is not None:
            return request
        try:
            config = self.registry.catalog.resolve(request.model)
        except UnknownModelError as error:
            return error
        if self.registry.get_loaded(config.name) is None:
            missing = self.registry.weights.find_missing(config)
            if missing is not None:
                return missing
        return replace(request, model=config.name)

    def watch_answers(self, on_answers: Callable[[], None]) -> None:
        """Call this after answers were delivered, in the thread that delivered them."""
        self._batcher.on_answers = on_answers

    def cancel(self, ticket: Ticket) -> None:
        """Drop a request whose client has disconnected; see Batcher.cancel."""
        self._batcher.cancel(ticket)

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Queue a request and wait for its answer; see Engine.embed."""
        return wait_for(lambda deliver: self.submit(request, deliver), self.cancel, request.deadline, is_disconnected)

    def get_default_model(self) -> str:
        """Get the name of the model that answers when a request names none."""
        return self._default

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """List the status of every model of the catalog, by name."""
        return self.registry.list_statuses()

    def count_changes(self) -> int:
        """Count how often a model's state has changed, apart from its files."""
        return self.registry.changes

    def get_readiness(self) -> Readiness:
        """Get whether the default model serves, and why not."""
        return self.health.readiness

    def export_metrics(self) -> str:
        """Write the engine's counters in Prometheus' text format."""
        return self._metrics.export()

    def close(self) -> None:
        """Answer what was admitted, refuse the rest, free the models. May be called twice."""
        self.health.stop()
        self._batcher.stop()
        self._models.close()
        self.health.join()
        for name in self.registry.catalog:
            self.registry.unload(name)
