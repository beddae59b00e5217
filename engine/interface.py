"""What a caller may ask of an engine, wherever the engine runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError
from models.catalog import Tower
from models.status import ModelStatus
from models.vectors import Vectors


@dataclass(frozen=True)
class EmbedRequest:
    """Items for one tower of one model; they are admitted or refused together.

    Attributes:
        model: a name of the catalog, not an alias.
        items: all items, one after another. text: int32 (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames,
            features). With `lengths` one array may hold several items.
        deadline: in seconds of time.monotonic(); None: the request may take as long as it needs.
        lengths: int64 (items,), tokens or frames of each item; None: every array is one item.
        request_id: names the request in the engine's log; None: it has no name.
        traceparent: position of the caller's span (W3C Trace Context), below which the engine's spans stand.
    """

    model: str
    tower: Tower
    items: Sequence[npt.NDArray[Any]]
    deadline: float | None = None
    lengths: npt.NDArray[np.int64] | None = None
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True)
class EmbedResult:
    """Answer to an EmbedRequest, in the order of its items.

    Attributes:
        embeddings: float32 (items, embed_dim), not normalized; rows of failed items are 0.
        failures: what went wrong, by index of the item; empty when every item was embedded.
        queue_s: seconds from admission until the first of its batches began.
        forward_s: seconds that the batches with its items took.
        cached: how many items came from the text cache.
        digest: SHA-256 of the checkpoint behind the vectors, hex; None when every item failed.
        dtype: number format of the forward pass; None when every item failed.
        traced: whether the engine sends the spans of queue and forward pass itself.
    """

    embeddings: Vectors
    failures: Mapping[int, EngineError] = field(default_factory=dict)
    queue_s: float = 0.0
    forward_s: float = 0.0
    cached: int = 0
    digest: str | None = None
    dtype: str | None = None
    traced: bool = False


@dataclass(frozen=True)
class Readiness:
    """Whether the default model's golden probe went through the queue and came back right.

    Attributes:
        reason: why it did not, or not yet; None when it did.
    """

    ready: bool
    reason: str | None = None


class Engine(Protocol):
    """Every method may be called from any thread."""

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Queue a request and wait for its answer.

        Args:
            is_disconnected: called now and then; reports whether the client has disconnected.
        Raises:
            CancelledError: the client has disconnected. Items that still waited cost no forward pass.
            QueueFullError: the queue has no place for all items of the request.
            DeadlineExceededError: the request's deadline passed first.
            EngineStoppedError: the engine is shutting down, restarting, or cannot be reached.
            ModelFailedError: the model's weights do not load.
            WeightsMissingError: the model's files are not on this machine.
            UnknownModelError: no model has this name or alias.
        """
        ...

    def get_default_model(self) -> str:
        """Get the name of the model that answers when a request names none.

        Raises:
            EngineStoppedError: the engine runs elsewhere and has not started yet.
        """
        ...

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """List the status of every model of the catalog, by name.

        Raises:
            EngineStoppedError: the engine runs elsewhere and has not started yet.
        """
        ...

    def get_readiness(self) -> Readiness:
        """Get whether the engine can answer, and why not."""
        ...

    def export_metrics(self) -> str:
        """Write the engine's counters in Prometheus' text format; empty while the engine cannot be reached."""
        ...

    def close(self) -> None:
        """Answer what was admitted, refuse the rest, free the models. May be called twice."""
        ...
