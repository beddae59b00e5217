"""What one training run is: a YAML file of configs/experiments, with `key=value` changes from the command line."""

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from training.augmentation import Augmentation
from training.prompts import PromptVariation


class ExperimentError(ValueError):
    """A run's file or command line asks for something that does not exist."""


@dataclass(frozen=True)
class Experiment:
    """One run.

    Attributes:
        model: name of a file in configs/models; its sizes are trained.
        output: folder for weights and tokenizer.
        seed: of weights, batches, prompts and augmentation.
        steps, batch_size: how many batches of how many pairs.
        warmup: steps over which the learning rate rises; it falls as a cosine afterwards.
        temperature: at the start; learned.
        same_letter: target of another language's clip of the same letter, 0-1.
        settling: share of the steps, at the end, in which augmentation weakens to `settled_strength` of itself, so
            that the model ends on clips as they are.
        bfloat16: run the towers' matrix products in it; 1.6 times faster where the processor has it.
    """

    model: str
    output: str
    seed: int = 0
    steps: int = 1000
    batch_size: int = 96
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup: int = 50
    temperature: float = 0.03
    same_letter: float = 0.1
    settling: float = 0.3
    settled_strength: float = 0.3
    bfloat16: bool = True
    prompts: PromptVariation = field(default_factory=PromptVariation)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def with_seed(self, seed: int) -> "Experiment":
        return replace(self, seed=seed)

    def augmentation_at(self, step: int) -> Augmentation:
        """Give the strengths of one step: full at first, weakening linearly while the run settles."""
        left = (self.steps - step) / max(self.settling * self.steps, 1.0)
        return self.augmentation.scaled(self.settled_strength + (1 - self.settled_strength) * min(1.0, left))

    def describe(self) -> dict[str, Any]:
        """Give plain values for a results file."""
        return asdict(self)


def read_experiment(path: Path, changes: list[str] | None = None) -> Experiment:
    """Read a run's file and apply changes.

    Args:
        path: YAML mapping of Experiment's fields.
        changes: `key=value` with YAML values; `augmentation.noise=0` reaches inside.
    Raises:
        ExperimentError: a key that is none, a value of another kind, or a change without `=`.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for change in changes or []:
        key, separator, value = change.partition("=")
        if not separator:
            raise ExperimentError(f"{change!r} is no change: write key=value")
        *outer, last = key.split(".")
        target = values
        for name in outer:
            target = target.setdefault(name, {})
        target[last] = yaml.safe_load(value)
    return _fill(Experiment, values, path.name)


def _fill(kind: type, values: dict[str, Any], where: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    if unknown := values.keys() - known.keys():
        raise ExperimentError(f"{where}: no setting {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    filled = {}
    for name, value in values.items():
        expected = known[name].type
        if is_dataclass(expected):
            value = _fill(expected, value, f"{where}: {name}")
        elif expected is float and type(value) is int:
            value = float(value)
        elif type(value) is not expected:
            raise ExperimentError(f"{where}: {name} is {value!r}, which is no {expected.__name__}")
        filled[name] = value
    return kind(**filled)
