"""The settings of one engine, each with its default and its limits."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from engine.linger import RETURN_CORE_S, SHARE
from models.backends.choice import BACKENDS, DTYPES
from models.catalog import CONFIGS, Catalog, load_catalog
from models.checkpoints.folders import find_weights_dir
from processes.cores import count_cores
from processes.settings import CONFIG, ProcessSettings, one_of

# Long enough for efficient matrix products, short enough for a single text that waits behind such a batch.
CPU_BATCH_MS, GPU_BATCH_MS = 250.0, 50.0
# Padded positions of the first batches, before their rate is known: about CPU_BATCH_MS on two cores in float32.
BATCH_TOKENS = 512
# A pose may have 8190 frames (models.catalog.ModelConfig.max_frames), to which [CLS] and [SEP] are added.
_LONGEST_ITEM_TOKENS = 8192


def _check_device(name: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is None:
        raise ValueError("it must be auto, cpu, cuda, or one GPU by its number as in cuda:1")
    return name


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EngineSettings(ProcessSettings):
    """Limits and folders of one engine. The service takes them from its own settings; a notebook may take the defaults.

    Attributes:
        weights_dir: folder with one folder of weights for each model.
        configs_dir: folder with the configuration files of the models.
        catalog_file: the catalog that the service started with, as Catalog.to_json writes it; None: the catalog is read
            from the two folders. A model that comes, or breaks, while a service runs is not served before its restart.
        default_model: name or alias; None: "default" if its weights are there, else the shipped model.
        preload: models loaded at start, besides the default one.
        max_loaded: models kept in memory at once.
        device: "auto", "cpu", "cuda" or "cuda:1".
        dtype: number format of the forward pass, "float32", "bfloat16", on CUDA also "tf32" or "float16"; "auto": that
            is float16 on CUDA, float32 on CPUs.
        backend: "auto", "torch" or "openvino".
        max_queue_items: items that may wait. A request that does not fit is refused.
        max_queue_tokens: positions (frames or word pieces, with [CLS] and [SEP]) that may wait.
        batch_ms: how long one forward pass should take; None: 250 on a CPU, 50 on a GPU.
        batch_tokens: padded positions in one forward pass; None: as many as take batch_ms, by the measured rate.
        text_cache_items: vectors of texts kept; the least recently used one goes first, 0 keeps none.
        threads: cores that a forward pass may use; None: all that the process may use.
        linger: share of a batch's time that the next one may wait for the clients it answered; 0: it does not wait. See
            engine.linger.
    """

    weights_dir: Path = Field(default_factory=find_weights_dir)
    configs_dir: Path = CONFIGS
    catalog_file: Path | None = None
    default_model: str | None = None
    preload: tuple[str, ...] = ()
    max_loaded: Annotated[int, Field(ge=1, le=64)] = 4
    device: Annotated[str, AfterValidator(_check_device)] = "auto"
    dtype: Annotated[str, AfterValidator(one_of(DTYPES))] = "auto"
    backend: Annotated[str, AfterValidator(one_of(BACKENDS))] = "auto"
    # A request of 2048 texts fits into the share of the queue that bulk may fill (engine.queue.BULK_SHARE).
    max_queue_items: Annotated[int, Field(ge=1)] = 4096
    max_queue_tokens: Annotated[int, Field(ge=_LONGEST_ITEM_TOKENS)] = 262_144
    batch_ms: Annotated[float, Field(gt=0, le=60_000)] | None = None
    batch_tokens: Annotated[int, Field(ge=64)] | None = None
    text_cache_items: Annotated[int, Field(ge=0)] = 20_000
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    linger: Annotated[float, Field(ge=0, le=1)] = SHARE

    def load_catalog(self) -> Catalog:
        """Read the models that this engine knows.

        Raises:
            CatalogError: a model's configuration is wrong.
            OSError: catalog_file cannot be read.
        """
        if self.catalog_file is None:
            return load_catalog(self.configs_dir, self.weights_dir)
        return Catalog.from_json(self.catalog_file.read_text(encoding="utf-8"))

    def choose_batch_s(self, device: str) -> float:
        """Choose how long one forward pass on a device should take, in seconds."""
        return (self.batch_ms or (CPU_BATCH_MS if device == "cpu" else GPU_BATCH_MS)) / 1000

    def choose_return_s(self, device: str) -> float:
        """Choose how long each answered request may take to be followed by the next, in seconds; see engine.linger.

        0 on a GPU: it could run half a batch while web workers, on other cores, bring the other half. Not measured.
        """
        return RETURN_CORE_S / count_cores() if device == "cpu" else 0.0
