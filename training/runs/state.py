"""The state that an interrupted run resumes from: one file, which is always replaced as a whole."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.loading import replace_tensor_file
from training.errors import StateError
from training.experiment import Experiment, rename_setting

STATE = "state.pt"
# Settings that say where files are and how the work is divided, but not what is learned. Another machine may need other
# values. Each chunk draws its own dropout, so with other chunks a run continues with other, equally good draws.
_NEUTRAL = frozenset(
    {"output", "logs", "record", "save_every", "data.folder", "data.cache", "data.workers", "batch.chunk", "compile"}
)
# Settings that an earlier version did not have, with the values that it worked by.
_ADDED = {"model.frame_dropout": 0.0}
# Settings that may grow when a run is resumed, if neither its learning rate nor its batches depend on them.
_LENGTH = frozenset({"steps", "epochs"})
DataFacts = Mapping[str, Mapping[str, Any]]
"""Of PreparedRun: by part of the run, what describe_examples says of its examples."""
# What torch.load raises for files that are damaged or hold something else, and what a missing part raises.
_DAMAGE = (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError)


@dataclass
class RunProgress:
    """How far a run is.

    Attributes:
        step: number of finished steps.
        best_step: number of steps after which the best weights so far were written; None: there are none yet.
        best_value: the rating of these weights; higher is better.
        starts: of RunRecord.describe_start, one for each time that the program was started on this run.
    """

    step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    starts: list[dict[str, Any]] = field(default_factory=list)


def save_state(
    folder: Path, run: Experiment, *, progress: RunProgress, learned: dict[str, Any], data: DataFacts | None = None
) -> None:
    """Write the state. If the process is killed meanwhile, either the old state or the new one is there.

    Args:
        folder: of the run's logs.
        run: the recipe, which is recorded in the state.
        progress: how far the run is.
        learned: of Learner.state_dict.
        data: of PreparedRun, which is recorded too.
    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    facts = {part: dict(described) for part, described in (data or {}).items()}
    state = {"run": run.describe(), "data": facts, "progress": asdict(progress), "learned": learned}
    with replace_tensor_file(folder / STATE) as part:
        torch.save(state, part)


def load_state(
    folder: Path, run: Experiment, *, data: DataFacts | None = None
) -> tuple[RunProgress, dict[str, Any]] | None:
    """Read the state of an interrupted run.

    Args:
        folder: of the run's logs.
        run: the recipe.
        data: of PreparedRun; what is known of it must be what the state was made with.
    Returns:
        How far the run is, and what Learner.load_state_dict takes; None: there is no state.
    Raises:
        StateError: the state is that of another run or of other data, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        recipe, progress, learned = state["run"], RunProgress(**state["progress"]), state["learned"]
    except _DAMAGE as error:
        raise StateError(f"{path} cannot be read: {error}; use --restart to train the run again") from error
    # An earlier version may have written the state under former names of settings.
    before = _ADDED | {rename_setting(key): value for key, value in _flatten(recipe).items()}
    now = _flatten(run.describe())
    ignored = _NEUTRAL | (_LENGTH if _may_be_longer(run) else frozenset())
    differing = [key for key in {**before, **now} if key not in ignored and before.get(key) != now.get(key)]
    if differing:
        shown = "; ".join(f"{key} {before.get(key)!r}, now {now.get(key)!r}" for key in differing[:4])
        more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise StateError(
            f"{path} belongs to another run: {shown}{more}; use --restart to replace that run, or another output"
        )
    _check_data(path, state.get("data", {}), data or {})
    return progress, learned


def _check_data(path: Path, before: DataFacts, now: DataFacts) -> None:
    # Other data give other batches and, where the tokenizer is made of their texts, other words under the same numbers.
    for part in [part for part in before if part in now]:
        digests = before[part].get("sha256"), now[part].get("sha256")
        if digests[0] != digests[1]:
            clips, others = before[part].get("clips"), now[part].get("clips")
            found = f"{clips} clips for {part} then, {others} now"
            found += ", of which some have changed" if clips == others else ""
            raise StateError(
                f"{path} was made with other data: {found}. Bring the former data back; or use --restart to train on "
                "the present ones from the start; or start.model with the folder of the model and another output to go "
                "on from its weights"
            )


def remove_state(folder: Path) -> None:
    """Remove the state of a run, so that the run starts again."""
    (folder / STATE).unlink(missing_ok=True)


def _flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    # Settings by their full names, such as batch.size.
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return flat


def _may_be_longer(run: Experiment) -> bool:
    fixed = run.optimizer.schedule == "constant" or (
        run.optimizer.schedule == "polynomial" and run.optimizer.decay_steps is not None
    )
    return fixed and run.freeze_after is None and not run.data.follows_length
