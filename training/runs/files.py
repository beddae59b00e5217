"""What a run leaves on disk: logs, the state to resume from, and the model's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from training.experiment import Experiment
from training.learning import Learner
from training.runs.logs import RunLogs
from training.runs.model_folder import record_sizes, write_config, write_weights
from training.runs.state import Progress, load_state, save_state

PutTokenizer = Callable[[Path], None]
"""Writes a tokenizer's files into a model's folder."""


class RunFiles:
    """Writes the logs, the state and the model of a run.

    The model's folder gets the best weights whenever there are better ones, so that it can be served at any time, or
    the last ones at the end, where the run asks for these or never validates.

    Args:
        run: says where all that lies.
        put_tokenizer: into the model's folder.
        writes: whether this process does; all of them read the state.
    """

    def __init__(self, run: Experiment, put_tokenizer: PutTokenizer, *, writes: bool = True) -> None:
        self._run = run
        self._put_tokenizer = put_tokenizer
        self._writes = writes
        self._logs: RunLogs | None = None

    def begin(self, learner: Learner) -> Progress:
        """Put a learner where the run was interrupted, if it was.

        Raises:
            ExperimentError: the folder holds another run.
        """
        progress = Progress()
        if (found := load_state(self._run.logs_folder, self._run)) is not None:
            progress, learned = found
            learner.load_state(learned)
        if self._writes:
            self._logs = RunLogs(self._run.logs_folder, start=progress.step)
        return progress

    def note_step(self, progress: Progress, learner: Learner, loss: Tensor) -> None:
        """Log the step that was just done."""
        if self._logs is not None:
            self._logs.add_step(progress.step, loss, learner.learning_rate)

    def note_validation(self, progress: Progress, learner: Learner, figures: dict[str, float]) -> None:
        """Log figures, and keep the weights if they are the best so far."""
        if self._logs is None:
            return
        self._logs.add_validation(progress.step, figures)
        value = _value(figures, self._run.validation.best)
        if progress.best_value is None or value > progress.best_value:
            progress.best_step, progress.best_value = progress.step, value
            if self._run.validation.keep == "best":
                self._write_model(learner)

    def save(self, progress: Progress, learner: Learner) -> None:
        """Write the state to resume from."""
        if self._logs is not None:
            self._logs.flush()
            save_state(self._run.logs_folder, self._run, progress, learner.state())

    def end(self, progress: Progress, learner: Learner) -> None:
        """Write what is left."""
        if self._logs is None:
            return
        if self._run.validation.keep == "last" or progress.best_step is None:
            self._write_model(learner)
        self._logs.close()

    def _write_model(self, learner: Learner) -> None:
        folder, config = self._run.output_folder, learner.contrast.final_config()
        self._put_tokenizer(folder)
        if self._run.record is None:
            write_config(folder, config)
        else:
            vocab_size = config.text_tower.vocab_size or 0
            record_sizes(Path(self._run.record), logit_scale=config.logit_scale, vocab_size=vocab_size)
        write_weights(folder, learner.contrast.model, experiment=self._run.name)


def _value(figures: dict[str, float], best: str) -> float:
    names = {"text_to_pose": "text_to_pose P@1", "pose_to_text": "pose_to_text R@1"}
    return -figures["loss"] if best == "loss" else figures[names[best]]
