"""The state that a run resumes from: one file, replaced whole."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from training.experiment import Experiment, ExperimentError

STATE = "state.pt"
_ELSEWHERE = ("output", "logs", "record")
"""Settings that say where files go, not what is in them."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        best_step: after how many the best weights so far were written; None: none yet.
        best_value: what they reached; the higher, the better.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None


def save_state(folder: Path, run: Experiment, progress: Progress, learned: dict[str, Any]) -> None:
    """Write the state so that whatever kills the process leaves the old one or the new one.

    Args:
        learned: of Learner.state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{STATE}.part"
    with part.open("wb") as file:
        torch.save({"run": run.describe(), "progress": asdict(progress), "learned": learned}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / STATE)


def load_state(folder: Path, run: Experiment) -> tuple[Progress, dict[str, Any]] | None:
    """Read the state of a run that was interrupted; None if there is none.

    Raises:
        ExperimentError: it is another run's, or no state at all.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        known, progress, learned = state["run"], Progress(**state["progress"]), state["learned"]
    except Exception as error:
        raise ExperimentError(f"{path} cannot be read: {error}; --restart begins anew") from error
    now = run.describe()
    differing = [key for key in now if key not in _ELSEWHERE and now[key] != known.get(key)]
    if differing:
        raise ExperimentError(
            f"{path} is of a run with another {', '.join(differing)}; --restart begins anew, or give another output"
        )
    return progress, learned


def remove_state(folder: Path) -> None:
    """Forget a run, so that it begins anew."""
    (folder / STATE).unlink(missing_ok=True)
