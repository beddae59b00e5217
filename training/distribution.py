"""Several processes with one joint batch: the embeddings of all in each of them, and the sum of their gradients."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional

from processes.packages import DEVELOPMENT, explain_missing
from training.errors import ExperimentError, TrainingError
from training.experiment import Experiment

if TYPE_CHECKING:
    from accelerate import Accelerator

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
        ExperimentError: the device does not have the number format, or there are more processes than pairs.
        TrainingError: a package is not installed that training needs and serving does not.
    """
    with explain_missing("training", DEVELOPMENT, error=TrainingError):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import InitProcessGroupKwargs
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401  # here, because logs begin after data are read
    # Accelerate keeps one number format for a whole process, but runs one after another may differ in it.
    AcceleratorState._reset_state()
    waiting = InitProcessGroupKwargs(timeout=_LONGEST_WAIT)
    _connect_after_restart(cpu=cpu)
    try:
        accelerator = Accelerator(cpu=cpu, mixed_precision=run.precision, kwargs_handlers=[waiting])
    except ValueError as error:
        raise ExperimentError(f"precision {run.precision}: {error}") from error
    if run.precision == "fp16" and accelerator.device.type == "cpu":
        raise ExperimentError("precision fp16 needs a GPU; bf16 and no also run on the CPU")
    if run.batch.size < accelerator.num_processes:
        raise ExperimentError(
            f"batch.size {run.batch.size} leaves some of {accelerator.num_processes} processes without a pair: start "
            "fewer processes, or set a larger batch.size"
        )
    return accelerator


def _connect_after_restart(*, cpu: bool) -> None:
    # torchrun keeps one store for all its starts of the processes. Without a name of its own, a start would find the
    # addresses of processes that are gone there, and would wait for them in vain (PyTorch 2.13).
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if restarts == "0" or torch.distributed.is_initialized():
        return
    store, rank, processes = next(iter(rendezvous("env://", timeout=_LONGEST_WAIT)))
    if processes == 1:
        return
    torch.distributed.init_process_group(
        "gloo" if cpu or not torch.cuda.is_available() else "nccl",
        store=PrefixStore(f"restart {restarts} of {processes}", store),
        rank=rank,
        world_size=processes,
        timeout=_LONGEST_WAIT,
    )


@dataclass
class Traffic:
    """What this process has sent to the others, in bytes.

    Attributes:
        gathered_bytes: embeddings and marks, which every other process gets.
        reduced_bytes: gradients, which are summed.
    """

    gathered_bytes: int = 0
    reduced_bytes: int = 0


def gather_rows(rows: Tensor, accelerator: Accelerator, *, counts: Sequence[int], traffic: Traffic) -> Tensor:
    """Join the rows of all processes, in the order of processes. Gradients reach this process's own rows only.

    Every process computes the same loss on all rows, so it has the whole gradient of its own rows. The sum of the
    parameters' gradients over processes (`sum_gradients`) is then that of one process with all rows.

    Args:
        rows: (rows, …), this process's.
        accelerator: of the processes.
        counts: rows of each process.
        traffic: counts what is sent.
    Returns:
        (rows of all processes, …).
    """
    if accelerator.num_processes == 1:
        return rows
    # Messages have one size, so that no process has to ask how much comes.
    missing = max(counts) - len(rows)
    sent = functional.pad(rows.detach(), (0, 0) * (rows.ndim - 1) + (0, missing)).contiguous()
    traffic.gathered_bytes += sent.nbytes
    received = accelerator.gather(sent).split(max(counts))
    parts = [part[:count] for part, count in zip(received, counts, strict=True)]
    parts[accelerator.process_index] = rows
    return torch.cat(parts)


def sum_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator, *, traffic: Traffic) -> None:
    """Replace every gradient by its sum over processes."""
    if accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for bucket in _fill_buckets(gradients):
        together = torch.cat([gradient.flatten() for gradient in bucket])
        traffic.reduced_bytes += together.nbytes
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
