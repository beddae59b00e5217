"""One admitted request on its way, and which of its items run or wait together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.delivery import Deliver
from engine.errors import EngineError
from engine.interface import EmbedRequest, EmbedResult
from models.catalog import Tower
from models.vectors import Vectors

Group = tuple[str, Tower]
Integers = npt.NDArray[np.int64]
# Requests of more items than this are bulk, because no person at a screen waits for the ninth label.
INTERACTIVE_ITEMS = 8
# [CLS] and [SEP] that the pose tower adds to the frames of a clip.
SPECIAL_POSITIONS = 2


@dataclass(eq=False, slots=True)
class Ticket:
    """One admitted request. Only a thread that holds the queue's lock may read or change it.

    Attributes:
        deliver: called once, outside the lock, with the answer or with the reason why there is no answer.
        admitted: when it was admitted, in seconds of time.monotonic().
        positions: int64 (items,), positions that each item takes in its tower, with [CLS] and [SEP].
        embeddings: float32 (items, embed_dim), rows of 0 where there is no vector yet; None before the first vector.
        failures: why an item has no vector, by index of the item, so far.
        embedded: indexes of the items that ran, for the case that they must run again; the last part is the newest.
        cached: how many items came from the text cache.
        waiting: items in the queue.
        running: items in batches that run now.
        started: when its first batch began, in seconds of time.monotonic(); None before.
        forward_s: seconds that the batches with its items took.
        digest: SHA-256 of the checkpoint behind the vectors so far, hex.
        dtype: number format of the forward pass behind them.
        over: whether it was answered, refused or cancelled.
    """

    request: EmbedRequest
    deliver: Deliver
    admitted: float = 0.0
    positions: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    embeddings: Vectors | None = None
    failures: dict[int, EngineError] = field(default_factory=dict)
    embedded: list[Integers] = field(default_factory=list)
    cached: int = 0
    waiting: int = 0
    running: int = 0
    started: float | None = None
    forward_s: float = 0.0
    digest: str | None = None
    dtype: str | None = None
    over: bool = False

    def __post_init__(self) -> None:
        self.positions = count_positions(self.request)

    @property
    def group(self) -> Group:
        """Model and tower; only items of one group run together."""
        return self.request.model, self.request.tower

    @property
    def is_bulk(self) -> bool:
        """Whether it has so many items that interactive requests go first."""
        return len(self.positions) > INTERACTIVE_ITEMS

    def keep(self, indexes: Integers, vectors: Vectors) -> None:
        """Keep the vectors of some items.

        Args:
            indexes: int64 (vectors,), ascending.
            vectors: float32 (vectors, embed_dim).
        """
        count = len(self.positions)
        if len(indexes) == count:
            self.embeddings = vectors
        elif vectors.shape[1]:
            if self.embeddings is None or self.embeddings.shape[1] != vectors.shape[1]:
                self.embeddings = np.zeros((count, vectors.shape[1]), dtype=np.float32)
            self.embeddings[indexes] = vectors
        self.embedded.append(indexes)

    def start_over(self) -> Integers:
        """Forget all vectors, because other weights made them.

        Returns:
            int64 (items,), the indexes of the items that ran, ascending.
        """
        embedded = np.unique(np.concatenate(self.embedded)) if self.embedded else np.zeros(0, dtype=np.int64)
        self.embeddings = None
        self.embedded.clear()
        self.failures.clear()
        self.cached = 0
        return embedded

    def build_result(self) -> EmbedResult:
        """Build the answer from the vectors and failures of all items."""
        embeddings = self.embeddings
        if embeddings is None:
            embeddings = np.zeros((len(self.positions), 0), dtype=np.float32)
        queue_s = (self.started or self.admitted) - self.admitted
        return EmbedResult(
            embeddings, dict(self.failures), queue_s, self.forward_s, self.cached, self.digest, self.dtype
        )


def count_positions(request: EmbedRequest) -> Integers:
    """Count the positions that each item takes in its tower, with [CLS] and [SEP]: int64 (items,)."""
    lengths = request.lengths
    if lengths is None:
        lengths = np.array([len(item) for item in request.items], dtype=np.int64)
    return lengths + SPECIAL_POSITIONS if request.tower == "pose" else lengths


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Some items of one ticket that wait or run together.

    Attributes:
        indexes: int64 (items,), their places in the request, ascending.
        positions: int64 (items,), of each.
        tokens: positions of all together.
        longest: positions of the longest.
    """

    ticket: Ticket
    indexes: Integers
    positions: Integers
    tokens: int
    longest: int

    def __len__(self) -> int:
        return len(self.indexes)

    def choose(self, chosen: npt.NDArray[np.bool_]) -> "Part":
        """Return a part with some of the items, bool (items,)."""
        return make_part(self.ticket, self.indexes[chosen])

    def list_arrays(self) -> Sequence[npt.NDArray[Any]]:
        """List the arrays of the items, one after another.

        Returns:
            int32 (tokens,) or float32 (frames, features) each; an array holds one item or more.
        """
        request = self.ticket.request
        if len(self.indexes) == len(self.ticket.positions):
            return request.items
        if request.lengths is None or len(request.items) == len(request.lengths):
            return [request.items[index] for index in self.indexes.tolist()]
        joined = request.items[0] if len(request.items) == 1 else np.concatenate(request.items)
        ends = np.cumsum(request.lengths)
        # Neighbours stay together.
        breaks = np.flatnonzero(np.diff(self.indexes) != 1) + 1
        runs = np.split(self.indexes, breaks)
        return [joined[ends[run[0]] - request.lengths[run[0]] : ends[run[-1]]] for run in runs]


def make_part(ticket: Ticket, indexes: Integers) -> Part:
    """Make a part of at least one item; indexes: int64 (items,), ascending."""
    positions = ticket.positions if len(indexes) == len(ticket.positions) else ticket.positions[indexes]
    if len(positions) == 1:
        only = int(positions[0])
        return Part(ticket, indexes, positions, only, only)
    return Part(ticket, indexes, positions, int(positions.sum()), int(positions.max()))
