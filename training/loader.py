"""The loader: batches made ahead of time, in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import BaseContext

import torch
from torch.utils.data import DataLoader

from corpora.errors import WorkerLostError
from processes.parents import end_with_parent
from training.batches import BatchSource, PairBatch, ValidationBatches

# How PyTorch's error begins when a worker has ended by itself (torch.utils.data.dataloader, PyTorch 2.13).
_LOST = "DataLoader worker (pid"


def open_loader(
    source: BatchSource | ValidationBatches,
    indices: range,
    *,
    workers: int,
    device: torch.device,
    reused: bool = False,
) -> DataLoader[PairBatch]:
    """Open a loader that makes batches by their numbers, ahead of time if there are workers.

    Args:
        source: of batches.
        indices: the numbers of the batches, in order.
        workers: processes that make batches; 0: this process makes them.
        device: that the batches go to.
        reused: whether the loader is iterated several times; its workers then stay in between.
    Returns:
        The loader. Iterating over it raises WorkerLostError when one of its processes has died.
    """
    return _Loader(
        source,  # type: ignore[arg-type]  # PyTorch wants a Dataset, and uses only __getitem__.
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        multiprocessing_context=_open_context() if workers else None,
        persistent_workers=reused and workers > 0,
        worker_init_fn=_end_with_trainer,
        pin_memory=device.type == "cuda",
        # A loader draws a seed for its workers. With a generator of its own it does not disturb the draws of dropout.
        generator=torch.Generator(),
    )


class _Loader(DataLoader[PairBatch]):
    def __iter__(self) -> Iterator[PairBatch]:  # type: ignore[override]  # PyTorch names a class of its own.
        return _name_lost_workers(super().__iter__(), self.num_workers)


def _name_lost_workers(batches: Iterator[PairBatch], workers: int) -> Iterator[PairBatch]:
    try:
        yield from batches
    except RuntimeError as error:
        if not str(error).startswith(_LOST):
            raise
        raise WorkerLostError(
            f"one of {workers} processes that make batches died, most often because memory ran out; try a smaller "
            "data.workers. The same command goes on from the last saved state"
        ) from error


def _end_with_trainer(_: int) -> None:
    # PyTorch's workers themselves watch the process that they were forked from alone, which is not the trainer.
    end_with_parent()


def _open_context() -> BaseContext:
    # Workers are forked from a process of their own. A fork of this one would copy locks that its threads hold. A new
    # interpreter for each worker would import PyTorch again, one worker after another, because a source with many clips
    # does not fit the pipe that it is sent through: eight workers once took two minutes to start.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "training.clips.batches"])
    return context
