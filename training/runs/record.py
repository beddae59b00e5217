"""The record of a run in its model's folder: what a reader needs to judge a result, or to train the model again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from evaluation.provenance import TRAINING_RECORD, describe_software
from processes.files import write_file
from training.experiment import Experiment
from training.runs.state import RunProgress

if TYPE_CHECKING:
    from accelerate import Accelerator

_HEADING = "# How this model was trained. The recipe has every setting, also those that no file names.\n"


@dataclass(frozen=True)
class RunRecord:
    """What a run is made of, as far as its settings do not say it.

    Attributes:
        run: the recipe.
        data: of PreparedRun.
        machine: device, number of processes and threads.
    """

    run: Experiment
    data: Mapping[str, Mapping[str, Any]]
    machine: Mapping[str, Any]

    def describe_start(self, step: int) -> dict[str, Any]:
        """Describe a start of the program, with the steps that were done before."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return {"step": step, "date": date, **self.machine, "software": describe_software()}

    def write(self, folder: Path, progress: RunProgress) -> None:
        """Write training.yaml into a model's folder.

        Args:
            folder: of the model, whose weights were just written.
            progress: how far the run is; its starts are part of the record.
        Raises:
            OSError: the folder cannot be written.
        """
        record = {
            "experiment": self.run.name,
            "seed": self.run.seed,
            "step": progress.step,
            "starts": progress.starts,
            "data": {part: dict(facts) for part, facts in self.data.items()},
            "recipe": self.run.describe(),
        }
        text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
        write_file(folder / TRAINING_RECORD, _HEADING + text)


def describe_machine(accelerator: Accelerator) -> dict[str, Any]:
    """Describe what a run computes on: device, processes and threads of each."""
    return {
        "device": str(accelerator.device),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
    }
