"""What an engine is built from. The service's settings give these; a notebook may take the defaults."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.linger import RETURN_CORE_S, SHARE
from models.catalog import CONFIGS
from models.checkpoints.folders import default_weights_dir
from processes.cores import core_count

# Long enough for matrix products to be efficient, short enough for a single text to wait behind one.
CPU_BATCH_MS, GPU_BATCH_MS = 250.0, 50.0
# Padded positions of the first batches, before their rate is known: about CPU_BATCH_MS on two cores in float32.
BATCH_TOKENS = 512


@dataclass(frozen=True)
class EngineSettings:
    """Limits and places of one engine.

    Attributes:
        default_model: name or alias; None: "default" if its weights are there, else the shipped model.
        preload: models loaded at start, besides the default one.
        max_loaded: models kept in memory at once.
        device: "auto", "cpu", "cuda", "cuda:1".
        dtype: number format of the forward pass, "float32", "bfloat16", on CUDA also "tf32" or "float16"; "auto": that
            is float16 on CUDA, float32 on CPUs.
        backend: "auto", "torch" or "openvino".
        max_queue_items: items that may wait; one more is refused.
        max_queue_tokens: positions (frames or word pieces, with [CLS] and [SEP]) that may wait.
        batch_ms: how long one forward pass should take; None: 250 on a CPU, 50 on a GPU.
        batch_tokens: padded positions in one forward pass; None: as many as take batch_ms, by the rate measured.
        text_cache_items: vectors of texts kept, least recently used out first; 0 keeps none.
        threads: cores a forward pass may use; None: all that the process may.
        patience: share of a batch's time that the next one may wait for those whom it answered, 0 for no wait; see
            engine.linger.
    """

    weights_dir: Path = field(default_factory=default_weights_dir)
    configs_dir: Path = CONFIGS
    default_model: str | None = None
    preload: tuple[str, ...] = ()
    max_loaded: int = 4
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    max_queue_items: int = 1024
    max_queue_tokens: int = 262_144
    batch_ms: float | None = None
    batch_tokens: int | None = None
    text_cache_items: int = 20_000
    threads: int | None = None
    patience: float = SHARE

    def batch_seconds(self, device: str) -> float:
        return (self.batch_ms or (CPU_BATCH_MS if device == "cpu" else GPU_BATCH_MS)) / 1000

    def return_seconds(self, device: str) -> float:
        """How long each answered request may take to be followed by the next; see engine.linger.

        0 beside a GPU, which could run half a batch while web workers, on cores of their own, bring the other half;
        not measured.
        """
        return RETURN_CORE_S / core_count() if device == "cpu" else 0.0
