"""What one training run is: a YAML file of configs/experiments, with `key=value` changes from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from models.catalog import CONFIGS, ModelConfig, Tower
from training.clips.batches import ClipData
from training.sections.hands import HandData
from training.sections.model import complete_model, merged

EXPERIMENTS = Path(__file__).resolve().parent.parent / "configs" / "experiments"


class ExperimentError(ValueError):
    """A run's file or command line asks for something that does not exist or cannot be."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Section):
    """Where weights come from before training."""

    model: str | None = Field(None, description="a served model's name, or a folder with config.yaml; both towers")
    text: str = Field("scratch", description="scratch, or a BERT with weights: a folder, or its name on the hub")
    pose: str = Field("scratch", description="the same; the authors start from the first layers of the text's BERT")
    freeze: frozenset[Tower] = Field(frozenset(), description="towers that keep their weights: no gradient, no dropout")

    @model_validator(mode="after")
    def _something_learns(self) -> Self:
        if self.freeze == {"text", "pose"}:
            raise ValueError("both towers are frozen; nothing would learn")
        return self


class Rest(_Section):
    """A tower that stops learning before the other: what a run of two stages is.

    A pose tower that is trained until it tells every clip from every other names new signers' letters worse; a text
    tower may be, for that is what a dictionary is.
    """

    tower: Tower
    after: int = Field(ge=1, description="steps; then the tower keeps its weights and the learning rate begins anew")


class BatchSize(_Section):
    """How many pairs a step compares."""

    size: int = Field(448, ge=2, description="of all processes together")
    chunk: int | None = Field(
        None, ge=1, description="pairs per forward pass of a process, its gradients cached; None: all at once"
    )


class Optimizer(_Section):
    """Adam with decoupled weight decay; the defaults are the authors'.

    Source: projects/retri/signclip_v1_1/baseline_sp_b768.yaml in J22Melody/fairseq, examples/MMPT; fairseq's Adam.
    """

    learning_rate: float = Field(5e-5, gt=0, description="the largest of the schedule")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.98)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="of matrices; biases, norms and the logit scale never decay")
    clip_norm: float | None = Field(2.0, gt=0, description="the largest norm of all gradients together; None: any")
    schedule: Literal["polynomial", "cosine", "constant"] = "polynomial"
    warmup: int = Field(1000, ge=0, description="steps over which the learning rate rises")
    power: float = Field(1.0, gt=0, description="of the polynomial")
    decay_steps: int | None = Field(
        1_000_000, ge=1, description="where the polynomial reaches 0 (total_num_update); None: at the run's end"
    )


class Loss(_Section):
    """Symmetric InfoNCE; the defaults are the authors' MMContraLoss."""

    directions: Literal["sum", "mean"] = Field("sum", description="of the two cross entropies")
    temperature: float | None = Field(
        None, gt=0, description="1 / logit scale at the start; None: the model's own, for SignCLIP 1"
    )
    learn_scale: bool = False
    largest_scale: float = Field(100.0, gt=0, description="upper bound of a learned scale (Radford et al., 2021, 2.5)")


class Validation(_Section):
    """When the model is looked at, and what makes it the best so far."""

    every: int | None = Field(None, ge=1, description="steps; None: once an epoch")
    best: Literal["loss", "text_to_pose", "pose_to_text"] = Field(
        "loss", description="the lowest loss, as fairseq, or the highest R@1 (text_to_pose: P@1)"
    )
    keep: Literal["best", "last"] = Field("best", description="which weights the model folder gets")


class Experiment(_Section):
    """One run.

    A step of it follows from these values, the data and the step's number; see training.loop.
    """

    name: str = Field(min_length=1, description="default: the file's path below configs/experiments")
    output: str = Field("runs/training/{name}", description="folder of the model as the service reads it")
    logs: str | None = Field(None, description="folder of logs and of the state to resume from; None: output")
    record: str | None = Field(
        None,
        description="a model file that gets logit_scale and vocab_size; None: output/config.yaml is written",
    )
    seed: int = Field(0, ge=0, description="of weights, batches, augmentation and dropout")
    model: ModelConfig
    start: Start = Start()
    rest: Rest | None = None
    data: Annotated[ClipData | HandData, Field(discriminator="kind")]
    batch: BatchSize = BatchSize()
    optimizer: Optimizer = Optimizer()
    loss: Loss = Loss()
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0, description="instead of steps")
    validation: Validation = Validation()
    save_every: int | None = Field(
        None,
        ge=1,
        description="steps between states to resume from; None: as often as it validates; without validation once an "
        "epoch, and not before 100 steps",
    )
    precision: Literal["no", "fp16", "bf16"] = "no"

    @field_validator("precision", mode="before")
    @classmethod
    def _bare_no_is_no(cls, value: Any) -> Any:
        # YAML reads a bare `no` as false.
        return "no" if value is False else value

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a run has either steps or epochs")
        if isinstance(self.data, HandData) and self.steps is None:
            raise ValueError("data of kind hands is drawn with replacement: it has no epochs, give steps")
        return self

    @model_validator(mode="after")
    def _folder_names_a_new_model(self) -> Self:
        if self.record is None and (CONFIGS / f"{self.model.name}.yaml").is_file():
            raise ValueError(
                f"output {self.output_folder} would be served as {self.model.name}, which is another model"
            )
        return self

    @model_validator(mode="after")
    def _something_goes_on(self) -> Self:
        if self.rest is not None and self.start.freeze - {self.rest.tower}:
            raise ValueError(f"the {self.rest.tower} tower rests while the other is frozen; nothing would learn")
        return self

    @field_validator("output", "logs")
    @classmethod
    def _folder_may_hold_the_name_only(cls, value: str | None) -> str | None:
        try:
            (value or "").format(name="")
        except (LookupError, ValueError, AttributeError) as error:
            raise ValueError(f"{{name}} alone may stand in braces ({error!r})") from error
        return value

    @property
    def output_folder(self) -> Path:
        return Path(self.output.format(name=self.name))

    @property
    def logs_folder(self) -> Path:
        return self.output_folder if self.logs is None else Path(self.logs.format(name=self.name))

    def total_steps(self, steps_per_epoch: int) -> int:
        """How many steps the run takes."""
        return self.steps if self.steps is not None else max(1, round((self.epochs or 0) * steps_per_epoch))

    def with_seed(self, seed: int) -> Experiment:
        return self.model_copy(update={"seed": seed})

    def describe(self) -> dict[str, Any]:
        """Give plain values for a results file, the whole recipe."""
        return self.model_dump(mode="json")


def read_experiment(path: Path, changes: Sequence[str] = ()) -> Experiment:
    """Read a run's file and apply changes.

    Args:
        path: YAML mapping of Experiment's fields; `base: other.yaml`, relative to it, is what it changes.
        changes: `key=value` with YAML values; `data.augmentation.noise=0` reaches inside.
    Raises:
        ExperimentError: a file or a change that cannot be read, a setting that does not exist, or a value that it
            cannot have.
        CatalogError, UnknownModelError: the model it starts from is none.
    """
    values = _read_file(path, above=())
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise ExperimentError(f"{change!r} is no change: write key=value")
        values = merged(values, _nested(key.split("."), _parse(value, change)))
    values.setdefault("name", _default_name(path))
    return build_experiment(values, where=path.name)


def build_experiment(values: Mapping[str, Any], *, where: str) -> Experiment:
    """Check a run's values, and fill in what its model takes from another one.

    Raises:
        ExperimentError: as read_experiment; `where` begins its message.
    """
    model, start = values.get("model") or {}, values.get("start") or {}
    if not isinstance(model, Mapping) or not isinstance(start, Mapping):
        raise ExperimentError(f"{where}: model and start are mappings")
    for setting, named in (("model.base", model.get("base")), ("start.model", start.get("model"))):
        if not isinstance(named, str | None):
            raise ExperimentError(f"{where}: {setting} is {named!r}, which names no model")
    name = str(values.get("name"))
    output = str(values.get("output", Experiment.model_fields["output"].default)).replace("{name}", name)
    complete = complete_model(model, start=start.get("model"), name=Path(output).name, experiment=name)
    try:
        return Experiment.model_validate({**values, "model": complete})
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise ExperimentError(f"{where}: {problems}") from error


def _read_file(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise ExperimentError(f"{path} is its own base")
    try:
        values = _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ExperimentError(f"{path} is not a mapping of settings")
    base = values.pop("base", None)
    if base is None:
        return values
    below = _read_file(path.parent / str(base), (*above, path.resolve()))
    # Each file is a run of its own: what it is called is not handed down.
    return merged({key: value for key, value in below.items() if key != "name"}, values)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ExperimentError(f"{where} is no YAML: {error}") from error


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _default_name(path: Path) -> str:
    whole = path.resolve().with_suffix("")
    return whole.relative_to(EXPERIMENTS).as_posix() if whole.is_relative_to(EXPERIMENTS) else whole.name


def _describe(problem: ErrorDetails) -> str:
    # The discriminator's value stands in pydantic's path behind `data`; nobody wrote it there.
    place = ".".join(str(part) for part in problem["loc"] if part not in ("clips", "hands"))
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"there is no setting {place}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    given = f" (it is {problem['input']!r})" if not isinstance(problem["input"], Mapping) else ""
    return f"{place or 'run'}: {problem['msg'].removeprefix('Value error, ')}{given}"
