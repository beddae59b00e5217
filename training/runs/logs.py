"""The logs of a run: two CSV files, and the same numbers for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from processes.files import write_file

STEPS, VALIDATION, TENSORBOARD = "steps.csv", "validation.csv", "tensorboard"
# Losses are read from the device 20 at a time, because each reading waits until the device is done.
STEPS_AT_ONCE = 20


class RunLogs:
    """steps.csv: step, loss, learning_rate; validation.csv: step and all metrics; tensorboard/: the same numbers.

    Steps count from 1 in logs: row n is the result of the n-th step, whose number in the loop is n - 1.

    Args:
        folder: of the run.
        start: number of steps that were done before. Rows of later steps are removed, because they are done again.
    """

    def __init__(self, folder: Path, *, start: int = 0) -> None:
        # Late, because training says before it reads data that TensorBoard is not installed (training/distribution.py).
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STEPS, VALIDATION):
            _remove_after(folder / name, start)
        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=start + 1)
        self._waiting: list[tuple[int, Tensor, float]] = []

    def add_step(self, step: int, loss: Tensor, *, learning_rate: float) -> None:
        """Add a step. It is written together with others, or by the next `flush`.

        Args:
            step: from 1.
            loss: float32 scalar, possibly on a device.
            learning_rate: of the step.
        """
        self._waiting.append((step, loss, learning_rate))
        if len(self._waiting) >= STEPS_AT_ONCE:
            self.flush()

    def add_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of the validation after a step."""
        self.flush()
        _append(self._folder / VALIDATION, [{"step": step, **metrics}])
        for name, value in metrics.items():
            self._board.add_scalar(f"validation/{name.replace(' ', '/')}", value, step)
        self._board.flush()

    def flush(self) -> None:
        """Write the steps that were added."""
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
        """Write the remaining steps and close the files."""
        self.flush()
        self._board.close()


def _append(path: Path, rows: list[dict[str, float]]) -> None:
    if not rows:
        return
    columns = _read_columns(path) or list(rows[0])
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        # The columns of a file that an earlier version began stay as they are.
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def _read_columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _remove_after(path: Path, start: int) -> None:
    if not path.exists():
        return
    # Only whole lines, because a killed process may have left half of one, and a full disk or a power cut other bytes.
    whole = [line for line in path.read_text("utf-8", errors="replace").splitlines(keepends=True) if line[-1] == "\n"]
    kept = [row for row in whole[1:] if (step := row.partition(",")[0]).isdecimal() and int(step) <= start]
    if kept:
        write_file(path, whole[0] + "".join(kept))
    else:
        path.unlink()
