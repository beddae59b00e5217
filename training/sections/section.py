"""What all sections of an experiment file have in common, and what the trainer asks of a data section."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from accelerate import Accelerator

    from training.experiment import Experiment
    from training.loop import PreparedRun


class Section(BaseModel):
    """A section of an experiment file. An unknown setting is refused, and a read section does not change.

    No number is infinite: a run of infinite length, rate or strength would learn nothing, and null stands for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSection(Section, ABC):
    """A `data` section: it decides what a run learns from. The trainer does not know which kind it is.

    Attributes:
        has_epochs: whether a run's length can be given in epochs; else it must be given in steps.
    """

    has_epochs: ClassVar[bool] = True

    @property
    def follows_length(self) -> bool:
        """Whether the batch of a step depends on the number of steps of the run."""
        return False

    @abstractmethod
    def prepare(self, run: Experiment, accelerator: Accelerator) -> PreparedRun:
        """Read the data of a run and build the model that it starts from.

        Args:
            run: whose `data` this section is.
            accelerator: device, number format and processes.
        Raises:
            TrainingError: the run's settings do not fit the data, or the weights to start from do not fit the model.
            CorpusError: the data cannot be read.
            ModelsError: the tokenizer or the model to start from cannot be read.
        """
