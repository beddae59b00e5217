"""Makes an engine ready and watches it: ready means that golden probes came back right through the real queue."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engine.batcher import Batcher
from engine.budget import SMALLEST_TOKENS
from engine.delivery import wait_for
from engine.errors import ItemFailedError, ModelFailedError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.settings import BATCH_TOKENS
from engine.tickets import INTERACTIVE_ITEMS, SPECIAL_POSITIONS
from models.catalog import ModelConfig, Tower
from models.embedding import EmbeddingModel
from models.errors import ModelsError, WeightsMissingError
from models.probe import TOLERANCE, find_expected_vectors, make_probe_items
from models.registry import Registry
from models.vectors import measure_error
from processes.errors import ProcessError

log = logging.getLogger(__name__)
# How often an engine that cannot start checks whether the files it needs have come, in seconds.
_LOOK_S = 1.0
# A forward pass should take a fraction of a second, and the longest clip alone takes a few seconds on a slow core. A
# forward pass that has run for this long, in seconds, hangs in a driver.
STUCK_S = 120.0
# After this many batches in a row in which every item failed, the device is suspected and not the items. The probe
# decides.
SUSPICIOUS_BATCHES = 3
# Frames of a clip of the warm-up, with [CLS] and [SEP]: about two seconds of signing.
_CLIP_POSITIONS = 64


class EngineHealth:
    """Loads and proves the models at the start; later finds out whether the device fails for good.

    Ready means the default model. Another model that is broken or slow to load does not delay it.

    Args:
        default: name of the model that readiness means.
        others: models that are loaded after it.
        warms_up: whether to measure how fast the device is before the first request comes.
    """

    def __init__(
        self, registry: Registry, batcher: Batcher, *, default: str, others: Sequence[str], warms_up: bool
    ) -> None:
        self._registry = registry
        self._batcher = batcher
        self._default = default
        self._others = list(others)
        self._warms_up = warms_up
        self._readiness = Readiness(False, "the default model is loading")
        self._failure: str | None = None
        self._defect: str | None = None
        self._checking = threading.Lock()
        self._closing = threading.Event()
        self._decided = threading.Event()
        self._thread = threading.Thread(target=self._get_ready, name="engine-start", daemon=True)

    @property
    def readiness(self) -> Readiness:
        """Whether the default model serves, and why not."""
        if self._closing.is_set():
            return Readiness(False, "the engine is shutting down")
        if not self._batcher.alive:
            return Readiness(False, "the engine's owner thread has ended")
        return self._readiness

    @property
    def start_failure(self) -> str | None:
        """Why the default model cannot serve on this device although all its files are there; None: it may yet."""
        return self._failure

    @property
    def preloading(self) -> Sequence[str]:
        """Models that are to be loaded beside the default one and are not loaded yet."""
        return self._others

    def start(self) -> None:
        """Start to load and to prove the models, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Load and prove no further model. May be called twice."""
        self._closing.set()

    def join(self) -> None:
        """Wait until the thread of `start` has ended."""
        self._thread.join()

    def find_defect(self) -> str | None:
        """Find out why another process should replace this one; None: it need not.

        A device may fail for good, as CUDA does after an error in a kernel. Then every forward pass fails, or never
        ends. Call this now and then: when every item fails, it sends the probe of the default model, in a thread.
        """
        running_s = self._batcher.running_s
        if running_s > STUCK_S:
            return f"a forward pass has run for {running_s:.0f} s"
        suspicious = self._readiness.ready and self._batcher.failed_batches >= SUSPICIOUS_BATCHES
        if suspicious and self._defect is None and self._checking.acquire(blocking=False):
            threading.Thread(target=self._check, name="engine-check", daemon=True).start()
        return self._defect

    def _check(self) -> None:
        try:
            self._prove(self._registry.get(self._default))
        except (ModelsError, ItemFailedError, ModelFailedError) as error:
            self._defect = f"every forward pass fails, that of the probe too: {error}"
        except ProcessError as error:  # a full queue, or the end of this engine, says nothing about the device
            log.warning("the probe could not be sent", extra={"error": str(error)})
        finally:
            self._checking.release()

    def _get_ready(self) -> None:
        """Load and prove the default model, again whenever its files change; then load the others."""
        failures: list[Exception] = []
        while not self._closing.is_set():
            # Before the files are read, so that a change in the meantime is noticed.
            files = self._fingerprint_files()
            try:
                self._load_and_prove(self._default)
            except (ModelsError, ProcessError) as error:
                log.error("not ready", extra={"error": str(error)})
                self._readiness = Readiness(False, str(error))
                failures.append(error)
            except Exception as error:  # if this thread ended, "loading" would stay the reason for ever
                log.exception("not ready")
                self._readiness = Readiness(False, f"the start failed ({type(error).__name__})")
            else:
                self._readiness = Readiness(True)
                log.info("ready", extra={"model": self._default})
                break
            finally:
                self._decided.set()
            while files == self._fingerprint_files() and not self._closing.wait(_LOOK_S):
                # Here and not at once, because files that are still being copied look broken, but change.
                if len(failures) == 1 and _is_final(failures[0]):
                    self._failure = str(failures[0])
            self._registry.unload(self._default)
        self._load_others()

    def _load_others(self) -> None:
        while self._others:
            name = self._others[0]
            try:
                self._load_and_prove(name)
            except (ModelsError, ProcessError) as error:
                log.error("a model to preload is not ready", extra={"model": name, "error": str(error)})
                self._registry.unload(name)
            except Exception:  # the next one may still load
                log.exception("a model to preload is not ready", extra={"model": name})
            self._others = self._others[1:]

    def _fingerprint_files(self) -> object:
        """Find what is known of the default model's files without opening them; it changes when a download ends."""
        return self._registry.weights.fingerprint(self._registry.catalog[self._default])

    def _load_and_prove(self, name: str) -> None:
        if self._closing.is_set():
            return
        model = self._registry.get(name)
        self._prove(model)
        if self._warms_up:
            self._warm_up(model)

    def _prove(self, model: EmbeddingModel) -> None:
        """Send the model's golden probe through the queue.

        Raises:
            ModelFailedError: the probe came back wrong.
            ItemFailedError: the probe's forward pass failed.
            ModelsError: the expected vectors cannot be computed.
            ProcessError: the probe was not answered.
        """
        config = model.config
        path = self._registry.weights.locate_converted(config)
        expected = find_expected_vectors(path, config, model.tokenizer, digest=model.digest)
        tolerance = TOLERANCE[model.backend.dtype]
        for tower, item in make_probe_items(config, model.tokenizer).items():
            started = time.monotonic()
            result = self._embed(config.name, cast(Tower, tower), [item])
            if result.failures:
                raise result.failures[0]
            error = measure_error(result.embeddings[0], expected[tower])
            log.info("probed", extra={"model": config.name, "tower": tower, "seconds": time.monotonic() - started})
            if not error <= tolerance:
                raise ModelFailedError(
                    f"model {config.name!r}: the {tower} tower strays {error:.1e} from its probe, past {tolerance}"
                )

    def _warm_up(self, model: EmbeddingModel) -> None:
        """Run batches of a real size, so that the budget knows the device's rate before the first request comes."""
        # On a CPU a batch of this size takes a fifth of a second and is as fast a token as any. A GPU runs more at
        # once, and its first batch of a shape also pays for the preparation of kernels; on a CPU the probe alone does.
        positions, times = (SMALLEST_TOKENS, 1) if model.backend.device == "cpu" else (BATCH_TOKENS, 2)
        for tower, make in build_warm_up(model.config, model.tokenizer.vocab_size, positions=positions).items():
            for _ in range(times):
                self._embed(model.config.name, tower, make())

    def _embed(self, name: str, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> EmbedResult:
        request, batcher = EmbedRequest(name, tower, items), self._batcher
        return wait_for(lambda deliver: batcher.submit(request, deliver), batcher.cancel, deadline=None)


def build_warm_up(
    config: ModelConfig, vocab_size: int, *, positions: int
) -> Mapping[Tower, Callable[[], list[npt.NDArray[Any]]]]:
    """Build makers of random texts and clips, never twice the same, so that the cache has none of them.

    There are so few of each that they count as interactive. Otherwise an engine that comes back under load would be
    ready late, because they would wait behind every other request.

    Args:
        positions: padded positions that the texts have together, and the clips.
    Returns:
        by tower, a function that makes the items of one request: int32 (tokens,) or float32 (frames, features) each.
    """
    generator = np.random.default_rng()
    tokens = min(positions // INTERACTIVE_ITEMS, config.max_tokens - 1)
    frames = min(_CLIP_POSITIONS - SPECIAL_POSITIONS, config.max_frames)

    def make_texts() -> list[npt.NDArray[Any]]:
        return list(generator.integers(0, vocab_size, (positions // tokens, tokens), dtype=np.int32))

    def make_clips() -> list[npt.NDArray[Any]]:
        shape = (positions // (frames + SPECIAL_POSITIONS), frames, config.feature_dim)
        return list(generator.standard_normal(shape, dtype=np.float32))

    return {"text": make_texts, "pose": make_clips}


def _is_final(failure: Exception) -> bool:
    """Whether the same files will fail again: they are there and they are wrong, or the device cannot run them."""
    return isinstance(failure, ModelsError | ModelFailedError) and not isinstance(failure, WeightsMissingError)
