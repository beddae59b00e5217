"""What benchmarks of the forward time: models by backend and number format, and the batches they run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from models.backends import Pending
from models.backends.choice import make_backend
from models.batching import pad
from models.catalog import ModelConfig, Tower, TowerConfig
from models.checkpoints.folders import WeightsFolder, read_digest
from models.embedding import EmbeddingModel
from models.tokenization import load_tokenizer

TEXT_TOKENS, CLIP_FRAMES = 8, 73
# Clips of signs in datasets: a median near the house clip's length, a few three times as long.
MIXED_MEDIAN, MIXED_SPREAD, MIXED_SHORTEST, MIXED_LONGEST = 66, 0.5, 20, 256
LOADS: dict[str, Tower] = {"texts": "text", "clips": "pose", "mixed clips": "pose"}
# [CLS] and [SEP] beside a clip's frames.
SPECIALS = 2
# Overlapped batches in one timed call. The first of them alone is staged while the device has nothing to do.
BATCHES_IN_A_ROW = 6


@dataclass(frozen=True)
class Forward:
    """One measured case.

    Attributes:
        load: a key of LOADS.
        batch: items at once.
        overlapped: whether the next batch is begun before the one before is waited for.
    """

    backend: str
    dtype: str
    load: str
    batch: int
    overlapped: bool = False

    @property
    def key(self) -> str:
        """Its name among the timed cases."""
        return f"{self.backend} {self.dtype}, {self.batch} {self.load}{', overlapped' * self.overlapped}"

    @property
    def batches(self) -> int:
        """Batches in one timed call."""
        return BATCHES_IN_A_ROW if self.overlapped else 1


def backends(device: str) -> list[str]:
    """Those that run on this machine."""
    return ["torch", "openvino"] if device == "cpu" and find_spec("openvino") is not None else ["torch"]


def formats(device: str) -> tuple[str, ...]:
    """Number formats that a device is measured in."""
    return ("float32", "bfloat16") if device == "cpu" else ("float32", "tf32", "float16", "bfloat16")


def load(config: ModelConfig, weights: WeightsFolder, *, backend: str, device: str, dtype: str) -> EmbeddingModel:
    """Load a model as the engine does, on one backend and in one number format."""
    path = weights.locate_converted(config)
    built = make_backend(path, config, backend=backend, device=device, dtype=dtype, threads=None)
    return EmbeddingModel(config, load_tokenizer(weights.locate_tokenizer(config)), built, read_digest(path))


@lru_cache(maxsize=4)
def lengths_of(name: str, count: int) -> npt.NDArray[np.int64]:
    """Tokens or frames of each item of a load, int64 (count,)."""
    if name != "mixed clips":
        return np.full(count, TEXT_TOKENS if name == "texts" else CLIP_FRAMES)
    drawn = np.random.default_rng(0).lognormal(np.log(MIXED_MEDIAN), MIXED_SPREAD, count)
    return np.clip(drawn, MIXED_SHORTEST, MIXED_LONGEST).astype(np.int64)


def items_for(config: ModelConfig, name: str, count: int) -> list[npt.NDArray[Any]]:
    """Make up texts, int32 (tokens,), or clips, float32 (frames, features); a tower takes as long as on real ones.

    Args:
        name: a key of LOADS.
        count: how many.
    """
    generator = np.random.default_rng(0)
    if name == "texts":
        return [generator.integers(1000, 20_000, length).astype(np.int32) for length in lengths_of(name, count)]
    shapes = [(length, config.feature_dim) for length in lengths_of(name, count)]
    return [generator.standard_normal(shape, dtype=np.float32) for shape in shapes]


def operations(config: ModelConfig, forward: Forward) -> int:
    """Multiplications and additions of one case's batch, without padding."""
    tower = config.text_tower if LOADS[forward.load] == "text" else config.pose_tower
    specials = 0 if forward.load == "texts" else SPECIALS
    return sum(tower_operations(tower, int(length) + specials) for length in lengths_of(forward.load, forward.batch))


def tower_operations(tower: TowerConfig, positions: int) -> int:
    """Multiplications and additions of one item: what each layer's weights and its attention take."""
    weights = 4 * tower.width**2 + 2 * tower.width * tower.inner
    return tower.layers * (2 * positions * weights + 4 * positions**2 * tower.width)


def make_cases(
    models: dict[tuple[str, str], EmbeddingModel], forwards: Iterable[Forward]
) -> dict[str, Callable[[], object]]:
    """Calls to time, by key; the items of equal batches are shared."""
    items: dict[tuple[str, int], list[npt.NDArray[Any]]] = {}
    cases: dict[str, Callable[[], object]] = {}
    for forward in forwards:
        model, tower = models[forward.backend, forward.dtype], LOADS[forward.load]
        if (forward.load, forward.batch) not in items:
            items[forward.load, forward.batch] = items_for(model.config, forward.load, forward.batch)
        drawn = items[forward.load, forward.batch]
        if forward.overlapped:
            cases[forward.key] = lambda model=model, tower=tower, drawn=drawn: run_overlapped(model, tower, drawn)  # type: ignore[misc]
        else:
            cases[forward.key] = lambda model=model, tower=tower, drawn=drawn: model.encode(tower, drawn)  # type: ignore[misc]
    return cases


def run_overlapped(model: EmbeddingModel, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> None:
    """Run BATCHES_IN_A_ROW batches of the same items; each begins before the one before it is waited for.

    All of them are done when the call returns. A batch that still ran would be counted in the next case's time.

    Args:
        items: (positions,) or (positions, features) each, as `EmbeddingModel.encode` takes them.
    """
    before: Pending | None = None
    for _ in range(BATCHES_IN_A_ROW):
        running = model.begin(tower, items)
        if before is not None:
            before.wait()
        before = running
    if before is not None:
        before.wait()


def original_way(model: EmbeddingModel) -> Callable[[], object]:
    """One request of the original service, whether it holds a text or a clip."""
    config = model.config
    input_ids, attention_mask = pad(items_for(config, "texts", 1), dtype=np.int64, longest=config.max_tokens - 1)
    pose_features, frame_mask = pad(items_for(config, "clips", 1), dtype=np.float32, longest=config.max_frames)

    def run() -> object:
        text = model.backend.encode_text(input_ids, attention_mask)
        return text, model.backend.encode_pose(pose_features, frame_mask)

    return run
