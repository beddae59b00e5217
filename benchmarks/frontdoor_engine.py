"""The engine's process with a stand-in for the device: the whole way of a request but its forward pass.

    python -m benchmarks.frontdoor_engine ADDRESS DEVICE REPORT.json SETTINGS

`benchmarks.frontdoor` starts it beside the real gunicorn. DEVICE is "instant", which answers at once, or "h200", which
takes the time that an H200 takes. At its end it writes into REPORT.json what the device did.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.delivery import Deliver
from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.server import EngineServer
from engine.settings import EngineSettings
from engine.tickets import Ticket
from models.backends import Array, Pending
from models.catalog import ModelConfig
from models.checkpoints.folders import WeightsFolder, read_digest
from models.errors import ModelsError
from models.probe import keep_expected_vectors
from models.tokenization import load_tokenizer
from models.vectors import Vectors
from processes.errors import ProcessError
from processes.stop_signals import call_at_stop

MODEL = "default"
# One forward of an H200 in float16, from its figures in docs/performance.md: a captured forward of one text takes
# 0.45 ms, 146,000 texts of 8 positions take a second, and 29,700 clips of 75.
LAUNCH_S = 0.00045
POSITION_S = {"text": 1 / (146_000 * 8), "pose": 1 / (29_700 * 75)}
# [CLS] and [SEP] that the pose tower adds to the frames of a clip.
_SPECIAL_POSITIONS = {"text": 0, "pose": 2}


@dataclass
class DeviceTimes:
    """What a device did, in seconds of time.monotonic(). The engine's threads share it.

    Attributes:
        free_at: when the last batch ends.
        waiting_since: since when items wait although the device may be idle; None when none waits.
        busy_s: seconds in which it computed.
        starved_s: seconds in which it did not, although items waited.
    """

    free_at: float = 0.0
    waiting_since: float | None = None
    busy_s: float = 0.0
    starved_s: float = 0.0
    batches: int = 0
    items: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_arrival(self, now: float) -> None:
        """Note that a request was admitted."""
        with self.lock:
            if self.waiting_since is None:
                self.waiting_since = now

    def start_batch(self, now: float, *, items: int, seconds: float, others_wait: bool) -> float:
        """Note that a batch was handed to the device; returns when it ends."""
        with self.lock:
            if self.waiting_since is not None:
                self.starved_s += max(0.0, now - max(self.free_at, self.waiting_since))
            self.waiting_since = now if others_wait else None
            self.free_at = max(now, self.free_at) + seconds
            self.busy_s += seconds
            self.batches += 1
            self.items += items
            return self.free_at


@dataclass
class StandIn:
    """A backend that computes nothing: every item has one and the same vector, after the device's time."""

    vector: npt.NDArray[np.float32]
    times: DeviceTimes
    engine: list["MeasuredEngine"]
    simulates: bool
    device: str = "cuda"
    dtype: str = "float16"

    def encode_text(self, input_ids: Array, attention_mask: Array) -> Vectors:
        """Encode int64 and bool (batch, tokens) as float32 (batch, embed_dim); the engine calls `begin` instead."""
        return self.begin("text", [input_ids[attention_mask]], attention_mask.sum(axis=1)).wait()

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> Vectors:
        """Encode float32 (batch, frames, features) and bool (batch, frames); the engine calls `begin` instead."""
        return self.begin("pose", [pose_features[frame_mask]], frame_mask.sum(axis=1)).wait()

    def begin(self, tower: str, arrays: Sequence[Array], lengths: npt.NDArray[Any]) -> Pending:
        """Start a batch; it joins the arrays, as everything must that brings them to a device.

        Args:
            arrays: int32 (tokens,) or float32 (frames, features), all items one after another.
            lengths: int64 (items,), tokens or frames of each.
        """
        np.concatenate(arrays)
        seconds = 0.0
        if self.simulates:
            positions = int(lengths.sum()) + len(lengths) * _SPECIAL_POSITIONS[tower]
            seconds = LAUNCH_S + positions * POSITION_S[tower]
        others_wait = any(engine.waiting_items for engine in self.engine)
        end = self.times.start_batch(time.monotonic(), items=len(lengths), seconds=seconds, others_wait=others_wait)
        return _Running(np.repeat(self.vector[None], len(lengths), axis=0), end if self.simulates else 0.0)


@dataclass(frozen=True)
class _Running:
    vectors: Vectors
    end: float

    @property
    def is_done(self) -> bool:
        return time.monotonic() >= self.end

    def wait(self) -> Vectors:
        left_s = self.end - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        return self.vectors


class MeasuredEngine(LocalEngine):
    """An engine that notes when requests come."""

    times: DeviceTimes

    @property
    def waiting_items(self) -> int:
        """Items that wait now."""
        return self._batcher.waiting_items

    def submit_all(self, requests: Sequence[tuple[EmbedRequest, Deliver]]) -> list[Ticket | ProcessError | ModelsError]:
        """Admit requests; see LocalEngine.submit_all."""
        self.times.note_arrival(time.monotonic())
        return super().submit_all(requests)


def serve(address: str, device: str, report: Path, settings: EngineSettings) -> None:
    """Serve until a stop signal, then write the report."""
    config = settings.load_catalog()[MODEL]
    vector = np.random.default_rng(0).standard_normal(config.embed_dim).astype(np.float32)
    _keep_probe(config, WeightsFolder(settings.weights_dir), vector)
    MeasuredEngine.times = times = DeviceTimes()
    engines: list[MeasuredEngine] = []
    backend = StandIn(vector, times, engines, simulates=device != "instant")
    engine = MeasuredEngine(settings, make_backend=lambda *_: backend)
    engines.append(engine)
    server = EngineServer(engine, address)
    call_at_stop(server.stop)
    server.serve()
    facts = {"busy_s": times.busy_s, "starved_s": times.starved_s, "batches": times.batches, "items": times.items}
    report.write_text(json.dumps(facts), encoding="utf-8")


def _keep_probe(config: ModelConfig, weights: WeightsFolder, vector: npt.NDArray[np.float32]) -> None:
    path = weights.locate_converted(config)
    tokenizer = load_tokenizer(weights.locate_tokenizer(config), config.lowercase)
    keep_expected_vectors(path, config, tokenizer, digest=read_digest(path), vectors={"text": vector, "pose": vector})


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]), EngineSettings.from_json(sys.argv[4]))
