"""What anyone who wants vectors may ask of an engine, wherever it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError
from models.catalog import Tower
from models.status import ModelStatus


@dataclass(frozen=True)
class EmbedRequest:
    """Items for one tower of one model, admitted or refused together.

    Attributes:
        model: a name of the catalog (no alias).
        items: text: int32 (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames, features).
        deadline: in seconds of time.monotonic(); None waits as long as it takes.
    """

    model: str
    tower: Tower
    items: Sequence[npt.NDArray[Any]]
    deadline: float | None = None


@dataclass(frozen=True)
class EmbedResult:
    """Answer to an EmbedRequest, in its order.

    Attributes:
        embeddings: float32 (items, embed_dim), raw as the tower gives them; rows of failed items are 0.
        failures: what went wrong, by index of the item; empty when all went well.
        queue_s: from admission until the first of its batches began.
        forward_s: spent in the batches that held its items.
        cached: how many items came from the text cache.
        digest: SHA-256 of the checkpoint behind the vectors, hex; None when every item failed.
        dtype: number format of the forward pass.
    """

    embeddings: npt.NDArray[np.float32]
    failures: Mapping[int, EngineError] = field(default_factory=dict)
    queue_s: float = 0.0
    forward_s: float = 0.0
    cached: int = 0
    digest: str | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Readiness:
    """Whether the default model's golden probe went through the queue and came back right."""

    ready: bool
    reason: str | None = None


class Engine(Protocol):
    """Every method may be called from any thread."""

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Queue a request and wait for its answer.

        Args:
            is_disconnected: asked now and then whether whoever wanted the answer has left.
        Raises:
            CancelledError: they have; what still waited costs no forward.
            QueueFullError: the queue has no place for all items of the request.
            DeadlineExceededError: its deadline passed first.
            EngineStoppedError: the engine is draining or gone.
            ModelFailedError: the model's weights do not load.
            WeightsMissingError, UnknownModelError: of models.errors.
        """
        ...

    def get_default_model(self) -> str:
        """Name of the model that answers when a request names none."""
        ...

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """Every model of the catalog, by name."""
        ...

    def get_readiness(self) -> Readiness: ...

    def export_metrics(self) -> str:
        """Its counters in Prometheus' text format; empty while it is away."""
        ...

    def close(self) -> None:
        """Answer what was admitted, refuse the rest, free the models. May be called twice."""
        ...
