"""Prepared items to vectors: one call of the engine, with the request's deadline."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flask import request

from app.errors import ClientGoneError, InputError, Problem, TooManyItemsError
from app.intake.connection import client_socket, has_gone
from app.intake.items import Prepared
from app.services import services
from app.telemetry import record
from engine.errors import ItemFailedError
from engine.interface import EmbedRequest
from models.catalog import ModelConfig
from processes.errors import DeadlineExceededError

TIMEOUT_HEADER = "X-Timeout-Ms"


@dataclass(frozen=True)
class Vectors:
    """Raw vectors of a request.

    Attributes:
        values: float32 (items, embed_dim); rows of failed items mean nothing.
        failures: by index.
        digest: SHA-256 of the checkpoint behind them, hex; None when nothing was computed.
        dtype: number format of the forward pass.
    """

    values: npt.NDArray[np.float32]
    failures: dict[int, Exception]
    digest: str | None = None
    dtype: str | None = None


def request_deadline(seconds: float | None = None) -> float:
    """When this request must be answered, in seconds of time.monotonic().

    Args:
        seconds: it may take; None: as the settings say.
    Raises:
        InputError: X-Timeout-Ms is no positive whole number.
    """
    seconds = services().settings.timeout_s if seconds is None else seconds
    given = request.headers.get(TIMEOUT_HEADER)
    if given is not None:
        if not (given.isascii() and given.isdigit() and len(given) < 12 and int(given) > 0):
            message = f"{TIMEOUT_HEADER} must be a positive whole number of milliseconds"
            raise InputError(message, problems=(Problem("", message),))
        seconds = min(seconds, int(given) / 1000)
    facts = record()
    facts.deadline = facts.started + seconds
    return facts.deadline


def embed(config: ModelConfig, prepared: Prepared, *, skip: bool, deadline: float) -> Vectors:
    """Have the engine embed what was prepared.

    Args:
        skip: note items that fail; False: the first one ends the request.
        deadline: in seconds of time.monotonic().
    Raises:
        ProcessError, ModelsError: see engine.interface.Engine.embed.
        ItemFailedError: the model failed on an item.
        TooManyItemsError: the request alone is more than the queue holds.
    """
    values = np.zeros((len(prepared.items), config.embed_dim), dtype=np.float32)
    present = [index for index, item in enumerate(prepared.items) if item is not None]
    failures = dict(prepared.failures)
    facts = record()
    facts.add("prepare", time.monotonic() - facts.started - sum(facts.stages_ms.values()) / 1000)
    _check_worth_it(prepared, deadline)
    if not present:
        return Vectors(values, failures)
    items: Sequence[npt.NDArray[Any]] = [item for item in prepared.items if item is not None]
    connection = client_socket()
    result = services().engine.embed(
        EmbedRequest(config.name, prepared.tower, items, deadline), lambda: has_gone(connection)
    )
    facts.add("queue", result.queue_s)
    facts.add("forward", result.forward_s)
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
    return Vectors(values, failures | failed, result.digest, result.dtype)


def _check_worth_it(prepared: Prepared, deadline: float) -> None:
    """Refuse what would be computed for nobody, or could never be queued."""
    settings = services().settings
    if prepared.tokens > settings.max_queue_tokens or len(prepared.items) > settings.max_queue_items:
        raise TooManyItemsError(
            f"{len(prepared.items)} items of {prepared.tokens} tokens or frames together; the queue holds "
            f"{settings.max_queue_items} items of {settings.max_queue_tokens}. Send them in several requests"
        )
    if time.monotonic() >= deadline:
        raise DeadlineExceededError("the deadline passed before the request was queued")
    if has_gone(client_socket()):
        raise ClientGoneError("the client closed the connection before its request was queued")
