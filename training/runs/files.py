"""What a run writes to disk: logs, the state to resume from, and the model's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from evaluation.published import DIRECTIONS
from training.experiment import Experiment
from training.learning import Learner
from training.runs.logs import RunLogs
from training.runs.model_folder import record_sizes, write_config, write_weights
from training.runs.record import RunRecord
from training.runs.state import RunProgress, load_state, save_state

WriteTokenizer = Callable[[Path], None]
"""Writes a tokenizer's files into a model's folder."""
Announce = Callable[[str], None]
"""Shows a line to the user."""
# The metrics of a validation that a line on the terminal has room for; validation.csv has all of them.
_ANNOUNCED = ("pose_to_text R@1", "pose_to_text R@5", "text_to_pose P@1")


class RunFiles:
    """Writes the logs, the state and the model of a run.

    The model's folder gets the best weights each time there are better ones, so that it can be served at any time. If
    the run asks for the last weights or does not validate, the folder gets these at the end.

    Args:
        run: its settings say where files are.
        write_tokenizer: writes the tokenizer into the model's folder.
        writes: whether this process writes. All processes read the state.
        record: is written beside the model each time; None: the model's folder says nothing of the run.
        announce: is called with a line for the user, by the writing process.
    """

    def __init__(
        self,
        run: Experiment,
        write_tokenizer: WriteTokenizer,
        *,
        writes: bool = True,
        record: RunRecord | None = None,
        announce: Announce | None = None,
    ) -> None:
        self._run = run
        self._record = record
        self._data = {} if record is None else record.data
        self._announce = announce if announce is not None and writes else lambda _: None
        self._write_tokenizer = write_tokenizer
        self._writes = writes
        self._logs: RunLogs | None = None

    def resume(self, learner: Learner) -> RunProgress:
        """Load the state of an interrupted run into a learner, if there is one.

        Returns:
            How far the run is.
        Raises:
            StateError: the folder holds the state of another run or of other data, or a damaged one.
        """
        progress = RunProgress()
        if (found := load_state(self._run.logs_folder, self._run, data=self._data)) is not None:
            progress, learned = found
            learner.load_state_dict(learned)
            if progress.step < learner.steps:
                best = f"; the best weights so far are of step {progress.best_step}" if progress.best_step else ""
                self._announce(f"resuming after step {progress.step} of {learner.steps}{best}")
        if self._record is not None:
            progress.starts.append(self._record.describe_start(progress.step))
        if self._writes:
            self._logs = RunLogs(self._run.logs_folder, start=progress.step)
        return progress

    def log_step(self, progress: RunProgress, learner: Learner, *, loss: Tensor) -> None:
        """Log the last step.

        Args:
            loss: float32 scalar on the device.
        """
        if self._logs is not None:
            self._logs.add_step(progress.step, loss, learning_rate=learner.learning_rate)

    def log_validation(self, progress: RunProgress, learner: Learner, *, metrics: dict[str, float]) -> None:
        """Log the metrics of a validation, and keep the weights if they are the best so far."""
        if self._logs is None:
            return
        self._logs.add_validation(progress.step, metrics)
        value = _rate_weights(metrics, self._run.validation.best)
        better = progress.best_value is None or value > progress.best_value
        self._announce(_describe_validation(progress.step, metrics, better=better))
        if better:
            progress.best_step, progress.best_value = progress.step, value
            if self._run.validation.keep == "best":
                self._write_model(progress, learner)

    def save(self, progress: RunProgress, learner: Learner) -> None:
        """Write the state to resume from.

        Raises:
            DivergedError: a weight is no finite number; the state before stays.
            OSError: the folder cannot be written.
        """
        if self._logs is not None:
            self._logs.flush()
            learner.check_weights()
            learned = learner.state_dict()
            save_state(self._run.logs_folder, self._run, progress=progress, learned=learned, data=self._data)

    def finish(self, progress: RunProgress, learner: Learner) -> None:
        """Write the remaining logs, and the last weights if they are the ones to keep.

        Raises:
            DivergedError: a weight is no finite number; no model is written.
            OSError: the folder cannot be written.
        """
        if self._logs is None:
            return
        learner.check_weights()
        if learner.traffic.gathered_bytes:
            gathered, reduced = learner.traffic.gathered_bytes / 1e6, learner.traffic.reduced_bytes / 1e6
            self._announce(f"each process sent {gathered:.1f} MB of embeddings and {reduced:.1f} MB of gradients")
        if self._run.validation.keep == "last" or progress.best_step is None:
            self._write_model(progress, learner)
        self._logs.close()

    def _write_model(self, progress: RunProgress, learner: Learner) -> None:
        folder, config = self._run.output_folder, learner.contrastive.make_final_config()
        self._write_tokenizer(folder)
        if self._run.record is None:
            write_config(folder, config)
        else:
            vocab_size = config.text_tower.vocab_size or 0
            record_sizes(
                Path(self._run.record),
                logit_scale=config.logit_scale,
                vocab_size=vocab_size,
                exemplars=config.exemplars,
            )
        write_weights(folder, learner.contrastive.model, experiment=self._run.name)
        if self._record is not None:
            self._record.write(folder, progress)


def _describe_validation(step: int, metrics: Mapping[str, float], *, better: bool) -> str:
    names = [f"{DIRECTIONS[name.partition(' ')[0]]} {name.partition(' ')[2]}" for name in _ANNOUNCED]
    values = [f"{name} {metrics[key]:.3f}" for name, key in zip(names, _ANNOUNCED, strict=True)]
    tied = f", {metrics['pose_to_text tied']:.0%} of clips tied" if metrics["pose_to_text tied"] else ""
    return f"step {step}: validation loss {metrics['loss']:.4f}, {', '.join(values)}{tied}{' (best so far)' * better}"


def _rate_weights(metrics: dict[str, float], best: str) -> float:
    # Higher is better.
    names = {"text_to_pose": "text_to_pose P@1", "pose_to_text": "pose_to_text R@1"}
    return -metrics["loss"] if best == "loss" else metrics[names[best]]
