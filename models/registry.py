"""Loaded models by name: each loaded once, on first use, and let go when others are used more."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from models.backends import Backend
from models.catalog import Catalog, ModelConfig, load_catalog
from models.checkpoints.folders import (
    TEXT_WORDS,
    WeightsFolder,
    find_weights_dir,
    read_digest,
    read_recorded_digest,
    read_safetensors_header,
)
from models.embedding import EmbeddingModel
from models.errors import CheckpointFormatError, ModelsError, TensorMismatchError
from models.status import ModelStatus
from models.tokenization import load_tokenizer
from processes.files import hold_lock

log = logging.getLogger(__name__)
BackendFactory = Callable[[Path, ModelConfig], Backend]
# A file that is replaced while it loads is read again, this often at most.
_TRIES = 3
SHIPPED = "fingerspelling"


def choose_default_model(catalog: Catalog, weights: WeightsFolder, *, wanted: str | None = None) -> str:
    """Name the model that answers when none is asked for: `wanted`, else "default" if fetched, else the shipped one.

    Raises:
        UnknownModelError: `wanted` is in no catalog.
    """
    if wanted is not None:
        return catalog.resolve(wanted).name
    if "default" in catalog and weights.find_missing(catalog["default"]) is None:
        return "default"
    return SHIPPED


def ensure_converted(config: ModelConfig, weights: WeightsFolder) -> Path:
    """Path of the model's safetensors file, converted from the checkpoint beside it if that is newer or all there is.

    Raises:
        WeightsMissingError: neither file is there.
        CheckpointError: the checkpoint does not fit, or the folder cannot be written to.
    """
    missing = weights.find_missing(config)
    if missing is not None:
        raise missing
    source, target = weights.locate_checkpoint(config), weights.locate_converted(config)
    if not _is_stale(source, target):
        return target
    from models.checkpoints.authors import convert  # brings torch, which a served OpenVINO model can do without

    try:
        with hold_lock(target.with_name(".convert.lock")):
            if _is_stale(source, target):
                log.info("converting a checkpoint", extra={"model": config.folder})
                convert(source, target, config)
    except OSError as error:
        raise CheckpointFormatError(f"{target} cannot be written ({error}); run: python -m models convert") from error
    return target


def _is_stale(source: Path, target: Path) -> bool:
    if not target.is_file():
        return True
    return source.is_file() and source.stat().st_mtime > target.stat().st_mtime


class Registry:
    """Every method may be called from any thread.

    Args:
        make_backend: builds the forward pass on a safetensors file.
        max_loaded: models kept at once; past it the least recently used is let go (its last user frees it).
    """

    def __init__(
        self, catalog: Catalog, weights: WeightsFolder, *, make_backend: BackendFactory, max_loaded: int = 4
    ) -> None:
        self.catalog = catalog
        self.weights = weights
        self._make_backend = make_backend
        self._max_loaded = max_loaded
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, EmbeddingModel] = OrderedDict()
        # Held while a model loads. Never dropped: whoever waits on one must exclude whoever comes later.
        self._loading: dict[str, threading.Lock] = {}
        self._failed: dict[str, ModelsError] = {}
        self._digests: dict[tuple[Path, float], str | None] = {}

    def get(self, name: str) -> EmbeddingModel:
        """Load a model, or find it loaded.

        Raises:
            UnknownModelError: no such name or alias.
            WeightsMissingError, CheckpointError, TokenizerError: it cannot be loaded; the next call tries again.
        """
        config = self.catalog.resolve(name)
        with self._lock:
            model = self._touch(config.name)
            if model is not None:
                return model
            loading = self._loading.setdefault(config.name, threading.Lock())
        with loading:
            with self._lock:
                model = self._touch(config.name)
            return model or self._load(config)

    def get_loaded(self, name: str) -> EmbeddingModel | None:
        """The model if it is loaded now; counts as a use."""
        with self._lock:
            return self._touch(name)

    def _touch(self, name: str) -> EmbeddingModel | None:
        model = self._loaded.get(name)
        if model is not None:
            self._loaded.move_to_end(name)
        return model

    def _load(self, config: ModelConfig) -> EmbeddingModel:
        try:
            path = ensure_converted(config, self.weights)
            tokenizer = load_tokenizer(self.weights.locate_tokenizer(config), config.lowercase)
            check_vocabulary(path, tokenizer.vocab_size)
            model = EmbeddingModel(config, tokenizer, *self._build(path, config))
        except ModelsError as error:
            with self._lock:
                self._failed[config.name] = error
            raise
        with self._lock:
            self._failed.pop(config.name, None)
            self._loaded[config.name] = model
            while len(self._loaded) > self._max_loaded:
                name, _ = self._loaded.popitem(last=False)
                log.info("unloaded a model", extra={"model": name})
        log.info("loaded a model", extra={"model": config.name, "device": model.backend.device})
        return model

    def _build(self, path: Path, config: ModelConfig) -> tuple[Backend, str]:
        """The forward pass and the digest of the weights in it, of one and the same file."""
        for _ in range(_TRIES):
            before = path.stat()
            backend, digest = self._make_backend(path, config), read_digest(path)
            after = path.stat()
            if (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size):
                return backend, digest
        raise CheckpointFormatError(f"{path} changes whenever it is read")

    def list_loaded(self) -> list[str]:
        """Names of the models in memory, least recently used first."""
        with self._lock:
            return list(self._loaded)

    def unload(self, name: str) -> bool:
        """Let go of a model; True if it was loaded."""
        with self._lock:
            return self._loaded.pop(self.catalog.resolve(name).name, None) is not None

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """Find the state of every model of the catalog, by name."""
        return {name: self._find_status(config) for name, config in self.catalog.items()}

    def _find_status(self, config: ModelConfig) -> ModelStatus:
        name = config.name
        with self._lock:
            model = self._loaded.get(config.name)
            lock = self._loading.get(config.name)
            failed = self._failed.get(config.name)
        if model is not None:
            return ModelStatus(
                name, "loaded", device=model.backend.device, dtype=model.backend.dtype, digest=model.digest
            )
        if lock is not None and lock.locked():
            return ModelStatus(name, "loading")
        missing = self.weights.find_missing(config)
        if missing is not None:
            return ModelStatus(name, "missing", reason=str(missing))
        if failed is not None:
            return ModelStatus(name, "failed", reason=str(failed))
        return ModelStatus(name, "available", digest=self._known_digest(config))

    def _known_digest(self, config: ModelConfig) -> str | None:
        """The digest of a model that is not loaded, if its file tells: whoever asks must not wait for a gigabyte."""
        path = self.weights.locate_converted(config)
        try:
            key = (path, path.stat().st_mtime)
            if key not in self._digests:
                self._digests[key] = read_recorded_digest(path)
        except (OSError, CheckpointFormatError):
            return None
        return self._digests[key]


def check_vocabulary(path: Path, vocab_size: int) -> None:
    """Refuse a tokenizer that could name rows the text tower does not have.

    Raises:
        TensorMismatchError: it has more pieces than the model's word list has rows.
    """
    shape = read_safetensors_header(path).get(TEXT_WORDS, {}).get("shape")
    rows = shape[0] if shape else 0
    if vocab_size > rows:
        raise TensorMismatchError(str(path), [f"its tokenizer has {vocab_size} pieces, {TEXT_WORDS} {rows} rows"])


def find_model(name: str) -> tuple[ModelConfig, WeightsFolder]:
    """Find a model by its name in the catalog, or by its folder.

    Args:
        name: of a model, or of a folder that holds config.yaml.
    Returns:
        its configuration, and the weights directory that its folder lies in.
    Raises:
        UnknownModelError, CatalogError
    """
    folder = Path(name)
    if (folder / "config.yaml").is_file():
        name, weights = folder.resolve().name, folder.resolve().parent
    else:
        weights = find_weights_dir()
    return load_catalog(weights=weights).resolve(name), WeightsFolder(weights)
