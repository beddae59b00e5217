"""Loaded models by name. A model is loaded once, on its first use, and unloaded when other models are used more."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from models.backends import Backend
from models.catalog import CONFIG, Catalog, ModelConfig, load_catalog
from models.checkpoints.folders import (
    TEXT_WORDS,
    WeightsFolder,
    find_weights_dir,
    identify,
    read_digest,
    read_recorded_digest,
    read_safetensors_header,
)
from models.embedding import EmbeddingModel
from models.errors import CheckpointFormatError, ModelsError, TensorMismatchError
from models.status import ModelStatus
from models.tokenization import load_tokenizer
from processes.files import hold_lock
from processes.os_errors import describe_reason

log = logging.getLogger(__name__)
BackendFactory = Callable[[Path, ModelConfig], Backend]
# A file that is replaced while it is loaded is read again, at most this many times in all.
_TRIES = 3
SHIPPED = "fingerspelling"


def choose_default_model(catalog: Catalog, weights: WeightsFolder, *, wanted: str | None = None) -> str:
    """Choose the model that answers a request without a model's name.

    Args:
        wanted: a name or an alias; None: the model "default" if its files are here, else the model that is shipped.
    Returns:
        The name of the model.
    Raises:
        UnknownModelError: `wanted` is not in the catalog.
    """
    if wanted is not None:
        return catalog.resolve(wanted).name
    if "default" in catalog and weights.find_missing(catalog["default"]) is None:
        return "default"
    return SHIPPED


def ensure_converted(config: ModelConfig, weights: WeightsFolder) -> Path:
    """Convert a model's checkpoint if it has no safetensors file yet, or an older one.

    Returns:
        Path of the safetensors file.
    Raises:
        WeightsMissingError: the model has neither file, or no tokenizer.
        CheckpointError: the checkpoint does not fit the model, or the folder cannot be written to.
    """
    missing = weights.find_missing(config)
    if missing is not None:
        raise missing
    source, target = weights.locate_checkpoint(config), weights.locate_converted(config)
    if not _is_stale(source, target):
        return target
    from models.checkpoints.authors import convert  # late, because it imports torch, which OpenVINO does not need

    try:
        with hold_lock(target.with_name(".convert.lock")):
            if _is_stale(source, target):
                log.info("converting a checkpoint", extra={"model": config.folder})
                convert(source, target, config)
    except OSError as error:
        reason = describe_reason(error)
        raise CheckpointFormatError(f"{target} cannot be written ({reason}); run: python -m models convert") from error
    return target


def _is_stale(source: Path, target: Path) -> bool:
    if not target.is_file():
        return True
    return source.is_file() and source.stat().st_mtime > target.stat().st_mtime


class Registry:
    """The models of a catalog, loaded or not. Every method may be called from any thread.

    Args:
        catalog: all models.
        weights: where their files lie.
        make_backend: builds the forward pass on a safetensors file.
        max_loaded: how many models stay loaded. Past it the least recently used one is unloaded, and its memory is
            free when its last user is done.

    Attributes:
        changes: how often a model began to load, was loaded, failed to load or was unloaded.
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
        # A lock is held while its model loads. It is never removed, because a thread that waits for it must also keep
        # out the threads that come later.
        self._loading: dict[str, threading.Lock] = {}
        self._failed: dict[str, ModelsError] = {}
        # What the header of a file said, or why it could not be read, as long as the file is the same.
        self._headers: dict[Path, tuple[object, str | CheckpointFormatError | None]] = {}
        self.changes = 0

    def get(self, name: str) -> EmbeddingModel:
        """Return a model, and load it first if need be.

        Raises:
            UnknownModelError: no model has this name or alias.
            WeightsMissingError, CheckpointError, TokenizerError, BackendError: the model cannot be loaded. The next
                call tries again.
        """
        config = self.catalog.resolve(name)
        with self._lock:
            model = self._touch(config.name)
            if model is not None:
                return model
            loading = self._loading.setdefault(config.name, threading.Lock())
        try:
            with loading:
                with self._lock:
                    model = self._touch(config.name)
                self.changes += 1
                return model or self._load(config)
        finally:
            self.changes += 1  # after the lock is released, because it says that the model loads

    def get_loaded(self, name: str) -> EmbeddingModel | None:
        """Return a model if it is loaded now, else None. The call counts as a use."""
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
        """Build the forward pass, and read the digest of the same file."""
        for _ in range(_TRIES):
            before = path.stat()
            backend, digest = self._make_backend(path, config), read_digest(path)
            after = path.stat()
            if (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size):
                return backend, digest
        raise CheckpointFormatError(f"{path} was replaced while it was loaded, {_TRIES} times; load it again later")

    def list_loaded(self) -> list[str]:
        """List the names of the loaded models, least recently used first."""
        with self._lock:
            return list(self._loaded)

    def unload(self, name: str) -> bool:
        """Unload a model; returns whether it was loaded."""
        with self._lock:
            self.changes += 1
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
        digest = self._find_digest(config)
        if isinstance(digest, CheckpointFormatError):
            return ModelStatus(name, "failed", reason=str(digest))
        return ModelStatus(name, "available", digest=digest)

    def _find_digest(self, config: ModelConfig) -> str | CheckpointFormatError | None:
        """Find a digest in the header of a file, and read each file once.

        Returns:
            None if it is not there, because hashing a gigabyte takes seconds. The error if the file is broken.
        """
        path = self.weights.locate_converted(config)
        identity = identify(path)
        if identity is None:
            return None
        known, found = self._headers.get(path, (None, None))
        if known != identity:
            try:
                found = read_recorded_digest(path)
            except CheckpointFormatError as error:
                log.error("the weights of a model cannot be read", extra={"model": config.name, "error": str(error)})
                found = error
            self._headers[path] = (identity, found)
        return found


def check_vocabulary(path: Path, vocab_size: int) -> None:
    """Check that a model's word list has a row for every piece of its tokenizer.

    Args:
        path: safetensors file of the model.
        vocab_size: pieces of the tokenizer.
    Raises:
        TensorMismatchError: the tokenizer has more pieces than the word list has rows.
    """
    shape = read_safetensors_header(path).get(TEXT_WORDS, {}).get("shape")
    rows = shape[0] if shape else 0
    if vocab_size > rows:
        raise TensorMismatchError(str(path), [f"its tokenizer has {vocab_size} pieces, {TEXT_WORDS} {rows} rows"])


def find_model(name: str, *, weights_dir: Path | None = None) -> tuple[ModelConfig, WeightsFolder]:
    """Find a model by its name in the catalog, or by its folder.

    Args:
        name: of a model, or of a folder that holds config.yaml.
        weights_dir: folder of all weights; None: that of the service. A model's folder overrides it.
    Returns:
        The model's configuration, and the weights directory that its folder lies in.
    Raises:
        UnknownModelError: no model has this name or alias.
        CatalogError: a configuration file does not describe a model.
    """
    folder = Path(name)
    if (folder / CONFIG).is_file():
        name, weights_dir = folder.resolve().name, folder.resolve().parent
    weights = WeightsFolder(weights_dir or find_weights_dir())
    return load_catalog(weights=weights.path).resolve(name), weights
