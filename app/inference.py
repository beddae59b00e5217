"""Turns prepared items into vectors: one call of the engine, which ends with the request's deadline."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flask import request

from app.errors import ClientDisconnectedError, InputError, Problem, TooManyItemsError
from app.intake.connection import get_client
from app.intake.items import ItemArray, PreparedItems
from app.telemetry import get_record
from engine.errors import ItemFailedError
from engine.interface import EmbedRequest, Engine
from engine.settings import EngineSettings
from processes.errors import DeadlineExceededError

TIMEOUT_HEADER = "X-Timeout-Ms"


@dataclass(frozen=True)
class RequestVectors:
    """The raw vectors of a request.

    Attributes:
        values: float32 (items, embed_dim); rows of failed items have no meaning.
        failures: why items failed, by index.
        digest: SHA-256 of the checkpoint that made the vectors, hex; None when nothing was computed.
        dtype: number format of the forward pass; None when nothing was computed.
    """

    values: npt.NDArray[np.float32]
    failures: dict[int, Exception]
    digest: str | None = None
    dtype: str | None = None


def set_deadline(timeout_s: float, *, since: float | None = None) -> float:
    """Set the deadline of the request that is being handled. A client may shorten it with X-Timeout-Ms.

    Args:
        timeout_s: seconds that the request may take.
        since: when these begin, in seconds of time.monotonic(); None: with the request's arrival, as the client's do.
    Returns:
        The deadline, in seconds of time.monotonic().
    Raises:
        InputError: X-Timeout-Ms is no positive whole number.
    """
    record = get_record()
    deadline = (record.started if since is None else since) + timeout_s
    given = request.headers.get(TIMEOUT_HEADER)
    if given is not None:
        if not (given.isascii() and given.isdigit() and len(given) < 12 and int(given) > 0):
            message = f"{TIMEOUT_HEADER} must be a positive whole number of milliseconds"
            raise InputError(message, problems=(Problem("", message),))
        deadline = min(deadline, record.started + int(given) / 1000)
    record.deadline = deadline
    return deadline


def check_deadline(place: str) -> None:
    """Check that the deadline of the request that is being handled has not passed.

    Args:
        place: what was reached by then, to end "the deadline passed …".
    Raises:
        DeadlineExceededError: it has.
    """
    if time.monotonic() >= get_record().deadline:
        raise DeadlineExceededError(f"the deadline passed {place}")


def embed(
    engine: Engine, prepared: PreparedItems, *, settings: EngineSettings, deadline: float, skip: bool = False
) -> RequestVectors:
    """Have the engine embed prepared items.

    Args:
        settings: the engine's; they say how much its queue holds.
        deadline: in seconds of time.monotonic().
        skip: leave out items that fail; False: the first item that fails ends the request.
    Raises:
        ProcessError, ModelsError: see engine.interface.Engine.embed.
        ItemFailedError: the model failed on an item.
        TooManyItemsError: the request alone is more than the queue holds.
        ClientDisconnectedError: the client disconnected before its request was queued.
    """
    values = np.zeros((len(prepared.items), prepared.config.embed_dim), dtype=np.float32)
    present = [index for index, item in enumerate(prepared.items) if item is not None]
    failures = dict(prepared.failures)
    record = get_record()
    record.add_stage("prepare", time.monotonic() - record.started - sum(record.stages_ms.values()) / 1000)
    _check_queueable(prepared, settings, deadline=deadline)
    if not present:
        return RequestVectors(values, failures)
    items: Sequence[ItemArray] = [item for item in prepared.items if item is not None]
    wanted = EmbedRequest(
        prepared.config.name,
        prepared.tower,
        items,
        deadline,
        request_id=record.request_id,
        traceparent=record.traceparent,
    )
    result = engine.embed(wanted, get_client().is_disconnected)
    if result.traced:
        record.traced_stages = frozenset({"queue", "forward"})
    record.add_stage("queue", result.queue_s)
    record.add_stage("forward", result.forward_s)
    if len(present) == len(values) and not result.failures:
        values = result.embeddings
    elif len(result.failures) < len(items):
        values[present] = result.embeddings
    failed = {present[row]: error for row, error in result.failures.items()}
    finite = np.isfinite(values)
    for index in () if finite.all() else np.flatnonzero(~finite.all(axis=1)):
        failed.setdefault(int(index), ItemFailedError("the model gave numbers that are not finite"))
    if failed and not skip:
        raise next(iter(failed.values()))
    return RequestVectors(values, failures | failed, result.digest, result.dtype)


def _check_queueable(prepared: PreparedItems, settings: EngineSettings, *, deadline: float) -> None:
    """Refuse a request that could never be queued, that is late already, or whose client has disconnected."""
    if prepared.tokens > settings.max_queue_tokens or len(prepared.items) > settings.max_queue_items:
        raise TooManyItemsError(
            f"{len(prepared.items)} items of {prepared.tokens} tokens or frames together; the queue holds "
            f"{settings.max_queue_items} items of {settings.max_queue_tokens}. Send them in several requests"
        )
    if time.monotonic() >= deadline:
        raise DeadlineExceededError("the deadline passed before the request was queued")
    if get_client().is_disconnected():
        raise ClientDisconnectedError("the client closed the connection before its request was queued")
