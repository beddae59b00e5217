"""The state that a run resumes from: one file, replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from processes.files import replace_file
from training.experiment import Experiment, ExperimentError

STATE = "state.pt"
_NEUTRAL = frozenset(
    {"output", "logs", "record", "save_every", "data.folder", "data.cache", "data.workers", "batch.chunk"}
)
"""Settings that say where files are and who does the work, not what is learned: another machine may need others.

Chunks draw dropout each for itself, so with others a run goes on with other, equally good draws.
"""
_LENGTH = frozenset({"steps", "epochs"})
"""Settings that a run may go on with longer, where its learning rate does not depend on them."""


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
    with replace_file(folder / STATE) as part:
        torch.save({"run": run.describe(), "progress": asdict(progress), "learned": learned}, part)


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
    before, now = _flat(known), _flat(run.describe())
    ignored = _NEUTRAL | (_LENGTH if _may_be_longer(run) else frozenset())
    differing = [key for key in {**before, **now} if key not in ignored and before.get(key) != now.get(key)]
    if differing:
        shown = "; ".join(f"{key} {before.get(key)!r}, now {now.get(key)!r}" for key in differing[:4])
        more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise ExperimentError(f"{path} is of another run: {shown}{more}; --restart begins anew, or give another output")
    return progress, learned


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their whole names, `batch.size`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return flat


def _may_be_longer(run: Experiment) -> bool:
    fixed = run.optimizer.schedule == "constant" or (
        run.optimizer.schedule == "polynomial" and run.optimizer.decay_steps is not None
    )
    return fixed and run.rest is None


def remove_state(folder: Path) -> None:
    """Forget a run, so that it begins anew."""
    (folder / STATE).unlink(missing_ok=True)
