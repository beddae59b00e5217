"""What a run tells while it goes: two CSV files, and the same for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from processes.files import write_file

STEPS, VALIDATION, TENSORBOARD = "steps.csv", "validation.csv", "tensorboard"
STEPS_AT_ONCE = 20
"""Losses read from the device together, for each reading waits until the device is done."""


class RunLogs:
    """steps.csv: step, loss, learning_rate; validation.csv: step and every figure; tensorboard/: all of it.

    Steps count from 1 here: row n is what step n - 1, the n-th, gave.

    Args:
        folder: of the run.
        start: steps that were done before; rows of later ones are forgotten, for they are done again.
    """

    def __init__(self, folder: Path, *, start: int = 0) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STEPS, VALIDATION):
            _forget_after(folder / name, start)
        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=start + 1)
        self._waiting: list[tuple[int, Tensor, float]] = []

    def add_step(self, step: int, loss: Tensor, learning_rate: float) -> None:
        """Note a step; it is written with others, or at the next `flush`."""
        self._waiting.append((step, loss, learning_rate))
        if len(self._waiting) >= STEPS_AT_ONCE:
            self.flush()

    def add_validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures after a step."""
        self.flush()
        _append(self._folder / VALIDATION, [{"step": step, **figures}])
        for name, value in figures.items():
            self._board.add_scalar(f"validation/{name.replace(' ', '/')}", value, step)
        self._board.flush()

    def flush(self) -> None:
        """Write what was noted."""
        rows = [
            {"step": step, "loss": loss.item(), "learning_rate": learning_rate}
            for step, loss, learning_rate in self._waiting
        ]
        self._waiting = []
        _append(self._folder / STEPS, rows)
        for row in rows:
            for name in ("loss", "learning_rate"):
                self._board.add_scalar(f"training/{name}", row[name], row["step"])

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        self._board.close()


def _append(path: Path, rows: list[dict[str, float]]) -> None:
    if not rows:
        return
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        if new:
            writer.writeheader()
        writer.writerows(rows)


def _forget_after(path: Path, start: int) -> None:
    if not path.exists():
        return
    # Only whole lines: a process that was killed may have left half of one.
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]
    kept = [row for row in whole[1:] if int(row.partition(",")[0]) <= start]
    if kept:
        write_file(path, whole[0] + "".join(kept))
    else:
        path.unlink()
