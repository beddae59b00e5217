"""The forward pass without padding: a batch is one matrix of positions, and is copied while another one is computed.

It is made for CUDA. It also runs on a CPU, so that tests compare it with the authors' numbers without a GPU.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.backends import Array, Backend
from models.backends.attention import list_attentions
from models.backends.cuda_graphs import CapturedForwards
from models.backends.packed_towers import PackedTowers
from models.backends.pytorch import TorchBackend
from models.backends.shapes import Layout, Size, lay_out_clips, lay_out_texts
from models.backends.staging import Staging
from models.backends.tf32 import hold_format
from models.batching import cut_into_items, pad
from models.errors import BackendError
from models.vectors import Vectors, measure_error

log = logging.getLogger(__name__)
# How far two ways to compute the same vectors may differ, as a share of the largest value. It is a few times the error
# of each number format against the authors' numbers (1.6e-6, 2.0e-3, 2.3e-3 and 1.6e-2 on one H200).
_TOLERANCE = {"float32": 1e-4, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 1e-1}
# What PyTorch raises where a kernel is missing, does not fit the device, or has another interface.
_MISSING = (ImportError, AttributeError, TypeError, ValueError, RuntimeError)


def pack(padded: TorchBackend) -> Backend:
    """Return a model's forward without padding, on the same module, or the padded one if packing cannot run here.

    Models that read hand geometry keep the padded one, because they turn all clips into sequences of one length.
    """
    if padded.module.pose_tower.geometry is not None:
        return padded
    try:
        return PackedBackend(padded)
    except BackendError as error:
        _warn_once("batches are padded, because packed ones cannot run here", str(error))
        return padded


@lru_cache(maxsize=32)
def _warn_once(message: str, reason: str) -> None:
    log.warning(message, extra={"error": reason})


class PackedBackend:
    """Both towers of a model over packed batches, on the device and in the number format of `padded`.

    Raises:
        BackendError: no way to compute attention here gives the padded forward's vectors.
    """

    def __init__(self, padded: TorchBackend) -> None:
        self.device = padded.device
        self.dtype = padded.dtype
        self._padded = padded
        self._device = torch.device(padded.device)
        self._staging = Staging(self._device)
        self._graphs: CapturedForwards | None = None
        with self._computing():
            self._towers = self._choose_towers()
            if self._device.type == "cuda":
                self._graphs = self._capture()

    def encode_text(self, input_ids: Array, attention_mask: Array) -> Vectors:
        """Encode int64 and bool (batch, tokens) as float32 (batch, embed_dim), raw."""
        return self.begin("text", [input_ids[attention_mask]], attention_mask.sum(axis=1)).wait()

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> Vectors:
        """Encode float32 (batch, frames, features) and bool (batch, frames) as float32 (batch, embed_dim), raw."""
        return self.begin("pose", [pose_features[frame_mask]], frame_mask.sum(axis=1)).wait()

    def begin(self, tower: str, arrays: Sequence[Array], lengths: npt.NDArray[Any]) -> "RunningBatch":
        """Start a forward and return while the device still computes; see models.backends.PackingBackend.

        Args:
            arrays: all items, one after another: int (tokens,) or float (frames, features).
            lengths: int (items,), tokens or frames of each.
        """
        with self._computing():
            layout = self._lay_out(tower, arrays, lengths)
            captured = None if self._graphs is None else self._graphs.find(tower, layout)
            rows, items = (layout.rows, layout.items) if captured is None else captured.size
            flat = self._staging.send([layout.flatten(rows, items)])
            frames = self._staging.send(arrays) if tower == "pose" else None
            if captured is not None:
                vectors = captured.replay(flat, frames, layout.items)
            else:
                vectors = _encode(self._towers, layout, flat, frames)
            host, arrived = self._staging.fetch(vectors)
        return RunningBatch(host, arrived, lambda found: self._mend(found, tower, arrays, lengths))

    @contextmanager
    def _computing(self) -> Iterator[None]:
        on_device: AbstractContextManager[object] = nullcontext()
        if self._device.type == "cuda":
            on_device = torch.cuda.device(self._device)
        with hold_format(self.device, self.dtype), on_device, torch.inference_mode():
            yield

    def _lay_out(self, tower: str, arrays: Sequence[Array], lengths: npt.NDArray[Any]) -> Layout:
        if tower == "text":
            return lay_out_texts(np.concatenate(arrays), lengths)
        return lay_out_clips(lengths, sep_position=self._padded.module.pose_tower.length + 1)

    def _mend(self, vectors: Vectors, tower: str, arrays: Sequence[Array], lengths: npt.NDArray[Any]) -> None:
        """Run the items that overflowed in float16 again in float32; vectors is changed."""
        if self.dtype != "float16":
            return
        overflowed = ~np.isfinite(vectors).all(axis=1)
        if overflowed.any():
            items = cut_into_items(arrays, lengths)
            again = [items[number] for number in np.flatnonzero(overflowed)]
            vectors[overflowed] = self._padded.encode_exactly(tower, *_pad(tower, again))

    def _choose_towers(self) -> PackedTowers:
        """Choose the fastest way to compute attention that gives the padded forward's vectors here."""
        problems = []
        for prepare in list_attentions(self._device.type, self._padded.module.pose_tower.mlp.linear1.weight.dtype):
            try:
                towers = PackedTowers(self._padded.module, prepare)
                error = max(self._measure_stray(towers, tower) for tower in ("text", "pose"))
                if error <= _TOLERANCE[self.dtype]:
                    return towers
                problems.append(f"{prepare.__name__}: off by {error:.1e} of the largest value")
            except _MISSING as error:
                problems.append(f"{prepare.__name__}: {error}")
            _warn_once("attention over packed batches falls back", problems[-1])
        raise BackendError("; ".join(problems))

    def _measure_stray(self, towers: PackedTowers, tower: str) -> float:
        """Measure the largest difference from the padded forward's vectors, as a share of the largest value."""
        arrays, lengths = make_sample(self._padded, tower)
        layout = self._lay_out(tower, arrays, lengths)
        flat = self._staging.send([layout.flatten(layout.rows, layout.items)])
        frames = self._staging.send(arrays) if tower == "pose" else None
        got = _encode(towers, layout, flat, frames).cpu().numpy()
        encode = self._padded.encode_text if tower == "text" else self._padded.encode_pose
        return measure_error(got, encode(*_pad(tower, cut_into_items(arrays, lengths))))

    def _capture(self) -> CapturedForwards | None:
        """Capture forwards of small batches, if attention and its sizes allow it, and compare their vectors."""
        if not self._towers.can_be_captured:
            return None
        try:
            graphs = CapturedForwards(self._towers)
            error = max(self._measure_captured(graphs, tower) for tower in ("text", "pose"))
        except _MISSING as error_:
            _warn_once("small batches run without CUDA graphs", str(error_))
            return None
        if not error <= _TOLERANCE[self.dtype]:
            _warn_once("small batches run without CUDA graphs", f"off by {error:.1e} of the largest value")
            return None
        log.info("captured forwards of small batches", extra={"sizes": len(graphs)})
        return graphs

    def _measure_captured(self, graphs: CapturedForwards, tower: str) -> float:
        arrays, lengths = make_sample(self._padded, tower)
        without = self.begin(tower, arrays, lengths).wait()
        self._graphs = graphs
        try:
            return measure_error(self.begin(tower, arrays, lengths).wait(), without)
        finally:
            self._graphs = None


def _encode(towers: PackedTowers, layout: Layout, flat: Tensor, frames: Tensor | None) -> Tensor:
    filled = None
    if frames is not None:
        filled = towers.make_frames(len(frames))
        filled[:, : frames.shape[1]] = frames
    return towers.encode(flat, Size(layout.rows, layout.items), filled, longest=layout.longest)


def make_sample(padded: TorchBackend, tower: str) -> tuple[list[npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """Make up three items of unlike lengths, one after another, as `begin` takes them.

    Returns:
        One array, int32 (tokens,) or float32 (frames, features), and the lengths, int64 (3,).
    """
    config = padded.config
    generator = np.random.default_rng(0)
    if tower == "text":
        lengths = np.minimum([5, 2, 9], config.max_tokens - 1)
        return [generator.integers(0, padded.vocab_size, lengths.sum()).astype(np.int32)], lengths
    lengths = np.minimum([7, 1, 21], config.max_frames)
    return [generator.standard_normal((lengths.sum(), config.feature_dim), dtype=np.float32)], lengths


def _pad(tower: str, items: Sequence[Array]) -> tuple[Array, Array]:
    return pad(items, dtype=np.int64) if tower == "text" else pad(items, dtype=np.float32)


@dataclass(frozen=True)
class RunningBatch:
    """A batch whose vectors are on their way; see models.backends.Pending."""

    host: Tensor
    arrived: "torch.cuda.Event | None"
    mend: Callable[[Vectors], None]

    @property
    def is_done(self) -> bool:
        """Whether `wait` returns at once."""
        return self.arrived is None or bool(self.arrived.query())  # type: ignore[no-untyped-call]

    def wait(self) -> Vectors:
        """Wait until the vectors are on the host: float32 (items, embed_dim), raw. May be called once."""
        if self.arrived is not None:
            self.arrived.synchronize()
        vectors: Vectors = self.host.numpy().copy()  # the page-locked memory is used again
        self.mend(vectors)
        return vectors
