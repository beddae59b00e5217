"""Train the model of one experiment: `python -m training configs/experiments/fingerspelling.yaml [key=value …]`.

Several processes, one for each GPU, share batch.size: `torchrun --nproc-per-node=4 -m training CONFIG`. The model is
written to the folder `output`, in the form that the service loads. An interrupted run resumes from its last state.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from corpora.errors import CorpusError
from models.architecture import SignClip
from models.errors import ModelsError
from processes.commands import name_command, parse_positive, print_error
from processes.version import PRODUCT
from training.distribution import open_accelerator
from training.errors import TrainingError
from training.experiment import Experiment, read_experiment
from training.loop import PreparedRun, train
from training.optimization import find_schedule_faults
from training.runs.files import RunFiles
from training.runs.record import RunRecord, describe_machine
from training.runs.state import remove_state

if TYPE_CHECKING:
    from accelerate import Accelerator

LEFT_OUT = "left_out.csv"
# Steps between losses on the progress bar, because reading a loss waits for the device.
STEPS_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a model.

    Returns:
        The exit status: 0 success, 1 the run cannot be trained, 2 usage error, 130 interrupted.
    """
    options = _build_parser().parse_intermixed_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        run = read_experiment(options.config, options.changes)
        accelerator = open_accelerator(run, cpu=options.cpu)
        if options.restart and accelerator.is_main_process:
            remove_state(run.logs_folder)
        accelerator.wait_for_everyone()
        prepared = run.data.prepare(run, accelerator)
        model = train_prepared(run, prepared, accelerator=accelerator)
    except (TrainingError, CorpusError, ModelsError, OSError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    if accelerator.is_main_process:
        print(f"the model is in {run.output_folder}")
        if prepared.summarize is not None:
            print(prepared.summarize(model))
    accelerator.end_training()
    return 0


def train_prepared(
    run: Experiment, prepared: PreparedRun, *, accelerator: Accelerator, quiet: bool = False
) -> SignClip:
    """Train a prepared run, and write all that its file asks for.

    Args:
        run: the recipe.
        prepared: the model to start from and the batches.
        accelerator: device, number format and processes.
        quiet: show no progress.
    Returns:
        The model after the last step.
    Raises:
        StateError, CorpusError, OSError: see training.loop.train.
    """
    total = run.count_steps(prepared.sources.training.steps_per_epoch)
    if accelerator.is_main_process and not quiet:
        report_left_out(prepared.left_out, run.logs_folder)
        for warning in (*prepared.warnings, *find_schedule_faults(run, total)):
            print(f"warning: {warning}", file=sys.stderr)
    with tqdm(total=total, desc=run.name, unit=" steps", disable=quiet or not accelerator.is_main_process) as bar:

        def show(step: int, loss: Tensor) -> None:
            if step % STEPS_SHOWN == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            # The difference, because the first step of a resumed run is not step 0.
            bar.update(step + 1 - bar.n)

        files = RunFiles(
            run,
            prepared.write_tokenizer,
            writes=accelerator.is_main_process,
            record=RunRecord(run, prepared.data, describe_machine(accelerator)),
            announce=None if quiet else bar.write,
        )
        model = train(run, prepared.model, sources=prepared.sources, accelerator=accelerator, files=files, report=show)
    if bar.n == 0 and accelerator.is_main_process:
        print("the run was already finished; use --restart to train it again")
    return model


def report_left_out(left_out: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    """Print how many clips are left out, and list all of them with the reasons in left_out.csv.

    Args:
        left_out: by part of the run and by the clip's id, the reason.
        folder: of the run's logs. A list of an earlier start is replaced or removed.
    """
    path = folder / LEFT_OUT
    path.unlink(missing_ok=True)
    if not any(left_out.values()):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "id", "reason"])
        writer.writerows((part, clip, reason) for part, clips in left_out.items() for clip, reason in clips.items())
    for part, clips in left_out.items():
        if clips:
            first = next(iter(clips.values()))
            print(f"{part}: {len(clips)} clips are left out, the first because {first}; see {path}", file=sys.stderr)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name_command("training"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("config", type=Path, help="a file of configs/experiments")
    parser.add_argument("changes", nargs="*", help="key=value, such as data.augmentation.noise=0")
    parser.add_argument(
        "--threads",
        type=parse_positive,
        default=1,
        help="threads of each process; the same number gives the same weights (default: 1)",
    )
    parser.add_argument("--cpu", action="store_true", help="use the CPU even if there is a GPU")
    parser.add_argument("--restart", action="store_true", help="start again instead of resuming an interrupted run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
