"""Several processes with one joint batch: the embeddings of all in each of them, and the sum of their gradients."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn

from training.errors import ExperimentError
from training.experiment import Experiment

# Gradients are sent in messages of up to 64 MiB in float32, so that few messages are sent and little memory is copied.
NUMBERS_AT_ONCE = 16 * 1024**2
# The other processes wait while the first one parses the data, which may take hours when it is done for the first time.
_LONGEST_WAIT = timedelta(hours=24)


def open_accelerator(run: Experiment, *, cpu: bool = False) -> Accelerator:
    """Set up the device, the number format and the connection to the other processes.

    Args:
        run: its precision and batch size.
        cpu: use the CPU even if there is a GPU.
    Raises:
        ExperimentError: the device does not have the number format, or the processes cannot share the batch evenly.
    """
    # Accelerate keeps one number format for a whole process, but runs one after another may differ in it.
    AcceleratorState._reset_state()
    waiting = InitProcessGroupKwargs(timeout=_LONGEST_WAIT)
    try:
        accelerator = Accelerator(cpu=cpu, mixed_precision=run.precision, kwargs_handlers=[waiting])
    except ValueError as error:
        raise ExperimentError(f"precision {run.precision}: {error}") from error
    if run.precision == "fp16" and accelerator.device.type == "cpu":
        raise ExperimentError("precision fp16 needs a GPU; bf16 and no also run on the CPU")
    if run.batch.size % accelerator.num_processes:
        raise ExperimentError(
            f"batch.size {run.batch.size} is not a multiple of {accelerator.num_processes}, the number of processes"
        )
    return accelerator


def gather_rows(rows: Tensor, accelerator: Accelerator) -> Tensor:
    """Join the rows of all processes, in the order of processes. Gradients reach this process's own rows only.

    Every process computes the same loss on all rows, so it has the whole gradient of its own rows. The sum of the
    parameters' gradients over processes (`sum_gradients`) is then that of one process with all rows.

    Args:
        rows: (rows, …), as many in each process.
    Returns:
        (processes · rows, …).
    """
    if accelerator.num_processes == 1:
        return rows
    all_rows = accelerator.gather(rows.detach())
    start = accelerator.process_index * len(rows)
    return torch.cat([all_rows[:start], rows, all_rows[start + len(rows) :]])


def sum_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace every gradient by its sum over processes."""
    if accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for bucket in _fill_buckets(gradients):
        together = torch.cat([gradient.flatten() for gradient in bucket])
        summed = accelerator.reduce(together, reduction="sum")
        for gradient, part in zip(bucket, summed.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _fill_buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
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
