"""The engine in this process: registry, batcher and text cache behind the Engine interface."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batcher import Batcher
from engine.budget import SMALLEST_TOKENS, BatchBudget
from engine.cache import TextCache
from engine.errors import ItemFailedError, ModelFailedError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.linger import Patience
from engine.metrics import EngineMetrics
from engine.queue import INTERACTIVE_ITEMS, SPECIAL_POSITIONS, Ticket
from engine.settings import BATCH_TOKENS, EngineSettings
from engine.waiting import Deliver, wait_for
from models.backends.choice import choose_device, choose_dtype, make_backend
from models.catalog import ModelConfig, load_catalog
from models.checkpoints.folders import WeightsFolder
from models.embedding import EmbeddingModel
from models.errors import ModelsError, WeightsMissingError
from models.probe import TOLERANCE, expected_vectors, probe_error, probe_items
from models.registry import Registry, default_model
from models.status import ModelStatus
from processes.cores import quota_threads
from processes.errors import ProcessError

log = logging.getLogger(__name__)
# How often an engine that cannot start looks whether the files it needs have come, in seconds.
_LOOK_S = 1.0
# A forward is meant to take a fraction of a second, and the longest clip alone a few on a slow core: one that has run
# for this long, in seconds, hangs in a driver.
STUCK_S = 120.0
# So many batches in a row of which nothing came out are not their items' fault: the probe tells.
SUSPICIOUS_BATCHES = 3


class _ServedModels:
    """The registry, as the batcher sees it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-loader")

    def loaded(self, name: str) -> EmbeddingModel | None:
        return self._registry.loaded(name)

    def request(self, name: str, on_change: Callable[[ModelFailedError | None], None]) -> None:
        def load() -> None:
            error: ModelFailedError | None = None
            try:
                self._registry.get(name)
            except ModelsError as cause:
                error = ModelFailedError(f"model {name!r} does not load: {cause}")
            except Exception as cause:  # a loader that dies in silence leaves its requests waiting
                log.exception("a model failed to load", extra={"model": name})
                error = ModelFailedError(f"model {name!r} does not load ({type(cause).__name__})")
            on_change(error)

        self._loader.submit(load)

    def close(self) -> None:
        self._loader.shutdown(wait=True, cancel_futures=True)


class LocalEngine:
    """An Engine whose owner thread runs here. Build it after a fork, never before."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings = settings or EngineSettings()
        device = choose_device(settings.device)
        dtype = choose_dtype(settings.dtype, device)
        threads = settings.threads or quota_threads()
        catalog = load_catalog(settings.configs_dir, settings.weights_dir)
        weights = WeightsFolder(settings.weights_dir)
        self._default = default_model(catalog, weights, wanted=settings.default_model)
        wanted = dict.fromkeys(catalog.resolve(name).name for name in settings.preload)
        self._others = [name for name in wanted if name != self._default]
        self.registry = Registry(
            catalog,
            weights,
            make_backend=lambda path, config: make_backend(
                path, config, backend=settings.backend, device=device, dtype=dtype, threads=threads
            ),
            max_loaded=max(settings.max_loaded, 1 + len(self._others)),
        )
        self._models = _ServedModels(self.registry)
        self._metrics = EngineMetrics()
        self._cache = TextCache(settings.text_cache_items)
        self._batcher = Batcher(
            self._models,
            self._cache,
            budget=BatchBudget(
                target_s=settings.choose_batch_s(device), first=BATCH_TOKENS, fixed=settings.batch_tokens
            ),
            max_items=settings.max_queue_items,
            max_tokens=settings.max_queue_tokens,
            metrics=self._metrics,
            patience=Patience(settings.patience, return_s=settings.choose_return_s(device)),
        )
        self._watch_gauges()
        self._closing = threading.Event()
        self._decided = threading.Event()
        self._readiness = Readiness(False, "the default model is loading")
        self._start_failure: str | None = None
        self._broken: str | None = None
        self._checking = threading.Lock()
        self._start = threading.Thread(target=self._get_ready, name="engine-start", daemon=True)
        self._start.start()

    def _watch_gauges(self) -> None:
        watch = self._metrics.watch
        watch("queue_items", "Items that wait", lambda: self._batcher.waiting_items)
        watch("queue_tokens", "Positions that wait", lambda: self._batcher.waiting_tokens)
        watch("text_cache_items", "Vectors of texts kept", lambda: len(self._cache))
        watch("models_loaded", "Models in memory", lambda: len(self.registry.loaded_names()))
        watch("ready", "1 once the golden probe came back right", lambda: float(self.readiness().ready))

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; see Batcher.submit.

        Raises:
            UnknownModelError, WeightsMissingError: of models.errors; nothing was queued.
        """
        config = self.registry.catalog[self.registry.catalog.resolve(request.model).name]
        if self.registry.loaded(config.name) is None:
            missing = self.registry.weights.missing(config)
            if missing is not None:
                raise missing
        return self._batcher.submit(replace(request, model=config.name), deliver)

    def cancel(self, ticket: Ticket) -> None:
        self._batcher.cancel(ticket)

    def embed(self, request: EmbedRequest, is_gone: Callable[[], bool] | None = None) -> EmbedResult:
        return wait_for(lambda deliver: self.submit(request, deliver), self.cancel, request.deadline, is_gone)

    def default_model(self) -> str:
        return self._default

    def statuses(self) -> Mapping[str, ModelStatus]:
        return self.registry.list_statuses()

    def readiness(self) -> Readiness:
        if self._closing.is_set():
            return Readiness(False, "the engine is shutting down")
        if not self._batcher.alive:
            return Readiness(False, "the engine's owner thread has ended")
        return self._readiness

    def start_failure(self) -> str | None:
        """Why the default model, whose files are all there, cannot be served on this device; None: it may be yet."""
        return self._start_failure

    def broken(self) -> str | None:
        """Why this process should be replaced; None: it need not be.

        A device may fail for good, as CUDA does after an error in a kernel: every forward then fails, or never ends.
        Asked now and then, it probes the default model once nothing else comes out.
        """
        running_s = self._batcher.running_s()
        if running_s > STUCK_S:
            return f"a forward pass has run for {running_s:.0f} s"
        suspicious = self._readiness.ready and self._batcher.failed_in_a_row >= SUSPICIOUS_BATCHES
        if suspicious and self._broken is None and self._checking.acquire(blocking=False):
            threading.Thread(target=self._check, name="engine-check", daemon=True).start()
        return self._broken

    def _check(self) -> None:
        try:
            self._prove(self.registry.get(self._default))
        except (ModelsError, ItemFailedError, ModelFailedError) as error:
            self._broken = f"forward passes fail, that of the probe too: {error}"
        except ProcessError as error:  # a full queue, or the end of this engine, says nothing of the device
            log.warning("the probe could not be sent", extra={"error": str(error)})
        finally:
            self._checking.release()

    def metrics(self) -> str:
        return self._metrics.exposition()

    def close(self) -> None:
        self._closing.set()
        self._batcher.stop()
        self._models.close()
        self._start.join()
        for name in self.registry.catalog:
            self.registry.unload(name)

    def _get_ready(self) -> None:
        """Load the default model and send its golden probe through the queue; again when files change. Then the others.

        Ready means the default model: another one that is broken, or slow to load, keeps nobody from it.
        """
        failures: list[Exception] = []
        while not self._closing.is_set():
            # Before the files are read: what changes meanwhile is then seen to have changed.
            files = self._files()
            try:
                self._load_and_prove(self._default)
            except (ModelsError, ProcessError) as error:
                log.error("not ready", extra={"error": str(error)})
                self._readiness = Readiness(False, str(error))
                failures.append(error)
            except Exception as error:  # dying in silence, this thread would leave "loading" as the reason forever
                log.exception("not ready")
                self._readiness = Readiness(False, f"the start failed ({type(error).__name__})")
            else:
                self._readiness = Readiness(True)
                log.info("ready", extra={"model": self._default})
                break
            finally:
                self._decided.set()
            while files == self._files() and not self._closing.wait(_LOOK_S):
                # Here and not at once: files that are still being copied look broken, but change.
                if len(failures) == 1 and _is_final(failures[0]):
                    self._start_failure = str(failures[0])
            self.registry.unload(self._default)
        self._load_others()

    def _load_others(self) -> None:
        while self._others:
            name = self._others[0]
            try:
                self._load_and_prove(name)
            except (ModelsError, ProcessError) as error:
                log.error("a model to preload is not ready", extra={"model": name, "error": str(error)})
                self.registry.unload(name)
            except Exception:  # the next one may load all the same
                log.exception("a model to preload is not ready", extra={"model": name})
            self._others = self._others[1:]

    def preloading(self) -> Sequence[str]:
        """Models that are to be loaded beside the default one and are not yet."""
        return self._others

    def _files(self) -> object:
        """What is known of the default model's files without opening them; it changes when a download ends."""
        return self.registry.weights.fingerprint(self.registry.catalog[self._default])

    def _load_and_prove(self, name: str) -> None:
        if self._closing.is_set():
            return
        model = self.registry.get(name)
        self._prove(model)
        self._warm_up(model)

    def _prove(self, model: EmbeddingModel) -> None:
        config = model.config
        path = self.registry.weights.converted(config)
        expected = expected_vectors(path, config, model.tokenizer, digest=model.digest)
        tolerance = TOLERANCE[model.backend.dtype]
        for tower, item in probe_items(config, model.tokenizer).items():
            started = time.monotonic()
            result = self.embed(EmbedRequest(config.name, tower, [item]))  # type: ignore[arg-type]
            if result.failures:
                raise result.failures[0]
            error = probe_error(result.embeddings[0], expected[tower])
            log.info("probed", extra={"model": config.name, "tower": tower, "seconds": time.monotonic() - started})
            if not error <= tolerance:
                raise ModelFailedError(
                    f"model {config.name!r}: the {tower} tower strays {error:.1e} from its probe, past {tolerance}"
                )

    def _warm_up(self, model: EmbeddingModel) -> None:
        """Run batches of a real size, so that the budget knows the device's rate before the first request comes."""
        if self.settings.batch_tokens is not None:
            return
        # On a CPU a batch of this size is a fifth of a second and as fast a token as any. A GPU takes more at once, and
        # its first batch of a shape also pays for preparing kernels, which shows on a CPU in the probe alone.
        positions, times = (SMALLEST_TOKENS, 1) if model.backend.device == "cpu" else (BATCH_TOKENS, 2)
        for tower, items in warm_up_items(model.config, model.tokenizer.vocab_size, positions=positions).items():
            for _ in range(times):
                self.embed(EmbedRequest(model.config.name, tower, items()))  # type: ignore[arg-type]


def _is_final(failure: Exception) -> bool:
    return isinstance(failure, (ModelsError, ModelFailedError)) and not isinstance(failure, WeightsMissingError)


def warm_up_items(
    config: ModelConfig, vocab_size: int, *, positions: int
) -> Mapping[str, Callable[[], list[npt.NDArray[Any]]]]:
    """Makers of that many positions of random texts and clips, never the same twice: the cache knows none.

    There are so few of each that they count as interactive: an engine that comes back under load would be ready late
    if they waited for everybody else.
    """
    generator = np.random.default_rng()
    tokens = min(positions // INTERACTIVE_ITEMS, config.max_tokens - 1)
    frames = min(64 - SPECIAL_POSITIONS, config.max_frames)

    def texts() -> list[npt.NDArray[Any]]:
        return list(generator.integers(0, vocab_size, (positions // tokens, tokens), dtype=np.int32))

    def clips() -> list[npt.NDArray[Any]]:
        shape = (positions // (frames + SPECIAL_POSITIONS), frames, config.feature_dim)
        return list(generator.standard_normal(shape, dtype=np.float32))

    return {"text": texts, "pose": clips}
