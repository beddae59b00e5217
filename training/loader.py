"""The loader: batches made ahead of time, in processes of their own."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

import torch
from torch.utils.data import DataLoader

from training.batches import BatchSource, PairBatch, ValidationBatches


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
    """
    return DataLoader(
        source,  # type: ignore[arg-type]  # PyTorch wants a Dataset, and uses only __getitem__.
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        multiprocessing_context=_open_context() if workers else None,
        persistent_workers=reused and workers > 0,
        pin_memory=device.type == "cuda",
        # A loader draws a seed for its workers. With a generator of its own it does not disturb the draws of dropout.
        generator=torch.Generator(),
    )


def _open_context() -> BaseContext:
    # Workers are forked from a process of their own. A fork of this one would copy locks that its threads hold. A new
    # interpreter for each worker would import PyTorch again, one worker after another, because a source with many clips
    # does not fit the pipe that it is sent through: eight workers once took two minutes to start.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "training.clips.batches"])
    return context
