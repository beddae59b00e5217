"""Several processes as one batch: everyone's embeddings in each, everyone's gradients summed."""

from collections.abc import Iterable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn

NUMBERS_AT_ONCE = 16 * 1024**2
"""Gradients sent together; 64 MiB in float32, so that few messages go and little memory is taken twice."""


def gather_rows(rows: Tensor, accelerator: Accelerator) -> Tensor:
    """Join all processes' rows, in the order of processes; gradients reach this process's own rows.

    Every process computes the same loss on all rows, so each has the whole gradient of its own, and the sum of
    parameters' gradients over processes (`sum_gradients`) is that of one process with all rows.

    Args:
        rows: (rows, …), as many in each process.
    Returns:
        (processes · rows, …).
    """
    if accelerator.num_processes == 1:
        return rows
    everyone = accelerator.gather(rows.detach())
    start = accelerator.process_index * len(rows)
    return torch.cat([everyone[:start], rows, everyone[start + len(rows) :]])


def sum_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace every gradient by its sum over processes."""
    if accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for bucket in _buckets(gradients):
        together = torch.cat([gradient.flatten() for gradient in bucket])
        summed = accelerator.reduce(together, reduction="sum")
        for gradient, part in zip(bucket, summed.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    numbers = 0
    for gradient in gradients:
        if bucket and numbers + gradient.numel() > NUMBERS_AT_ONCE:
            yield bucket
            bucket, numbers = [], 0
        bucket.append(gradient)
        numbers += gradient.numel()
    if bucket:
        yield bucket
