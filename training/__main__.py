"""Train the model of one experiment: `python -m training configs/experiments/fingerspelling.yaml [key=value …]`.

Several processes, one a GPU: `torchrun --nproc-per-node=4 -m training CONFIG`; batch.size is what they share. The model
goes where `output` says, in the form the service loads; an interrupted run goes on where it last saved its state.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from corpora.errors import CorpusError
from evaluation.command_line import parse_positive
from models.architecture import SignClip
from models.checkpoints.folders import TOKENIZER
from models.errors import ModelsError
from processes.version import PRODUCT
from training.experiment import Experiment, ExperimentError, read_experiment
from training.fingerspelling.dictionary import print_dictionary, score_dictionary
from training.fingerspelling.lexicon import read_lexicon
from training.loop import train
from training.preparation import open_accelerator, prepare
from training.runs.files import RunFiles
from training.runs.state import remove_state
from training.sections.hands import HandData

LEFT_OUT = "left_out.csv"
STEPS_SHOWN = 10
"""Steps between losses on the progress bar; reading one waits for the device."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; the exit status: 0 done, 1 refused, 2 misspelt."""
    options = _parser().parse_intermixed_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        run = read_experiment(options.config, options.changes)
        accelerator = open_accelerator(run, cpu=options.cpu)
        if options.restart and accelerator.is_main_process:
            remove_state(run.logs_folder)
        accelerator.wait_for_everyone()
        model = run_experiment(run, accelerator)
    except (ExperimentError, CorpusError, ModelsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if accelerator.is_main_process:
        print(f"written to {run.output_folder}")
        if isinstance(run.data, HandData):
            tokenizer = Tokenizer.from_file(str(run.output_folder / TOKENIZER / "tokenizer.json"))
            print_dictionary(score_dictionary(model, tokenizer, read_lexicon()))
    accelerator.end_training()
    return 0


def run_experiment(run: Experiment, accelerator: Accelerator, *, quiet: bool = False) -> SignClip:
    """Train as a run's file says and keep everything it says to keep; the model after the last step.

    Raises:
        ExperimentError, CorpusError, ModelsError
    """
    prepared = prepare(run, accelerator)
    if accelerator.is_main_process and not quiet:
        tell_left_out(prepared.left_out, run.logs_folder)
    files = RunFiles(run, prepared.put_tokenizer, writes=accelerator.is_main_process)
    total = run.total_steps(prepared.sources.training.steps_per_epoch)
    with tqdm(total=total, desc=run.name, unit=" steps", disable=quiet or not accelerator.is_main_process) as bar:

        def show(step: int, loss: Tensor) -> None:
            if step % STEPS_SHOWN == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            # Not one more: the first step of a resumed run is not the run's first.
            bar.update(step + 1 - bar.n)

        model = train(run, prepared.model, prepared.sources, accelerator, files=files, report=show)
    if bar.n == 0 and accelerator.is_main_process:
        print("the run was finished before; --restart begins anew")
    return model


def tell_left_out(left_out: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    """Say how many clips are left out, and list all of them with the reasons in left_out.csv.

    Args:
        left_out: by part of the run, why, by the clip's id.
        folder: of the run's logs; a list of an earlier start there is replaced or removed.
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("config", type=Path, help="a file of configs/experiments")
    parser.add_argument("changes", nargs="*", help="key=value; data.augmentation.noise=0 reaches inside")
    parser.add_argument(
        "--threads",
        type=parse_positive,
        default=1,
        help="of a process; the same number gives the same weights again",
    )
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    parser.add_argument("--restart", action="store_true", help="begin anew instead of where the run was interrupted")
    return parser


if __name__ == "__main__":
    sys.exit(main())
