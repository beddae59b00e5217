"""What one training run is: a YAML file of configs/experiments, with `key=value` changes from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from models.catalog import CONFIGS, ModelConfig
from processes.os_errors import describe_reason
from processes.yaml_text import YamlError, parse_yaml
from training.errors import ExperimentError
from training.sections.clips import ClipData
from training.sections.hands import HandData
from training.sections.model import complete_model, merge_settings
from training.sections.run import BatchSize, FreezeAfter, Loss, Optimizer, Start, Validation
from training.sections.section import Section

EXPERIMENTS = Path(__file__).resolve().parent.parent / "configs" / "experiments"
# Former names of settings. A file that uses one is refused with the present name.
RENAMED = {
    "rest": "freeze_after",
    "rest.after": "freeze_after.steps",
    "loss.directions": "loss.reduction",
    "data.settling": "data.annealing",
    "data.settled_strength": "data.annealed_strength",
    "data.resting": "data.after_freeze",
}
_KINDS = {kind for section in (ClipData, HandData) for kind in get_args(section.model_fields["kind"].annotation)}


class Experiment(Section):
    """One run. Each of its steps follows from these settings, the data and the step's number; see training.loop."""

    name: str = Field(min_length=1, description="default: the file's path below configs/experiments")
    output: str = Field("runs/training/{name}", description="folder of the model, in the form that the service loads")
    logs: str | None = Field(None, description="folder of logs and of the state to resume from; None: output")
    record: str | None = Field(
        None,
        description="a model file that gets logit_scale and vocab_size; None: output/config.yaml is written",
    )
    seed: int = Field(0, ge=0, description="of weights, batches, augmentation and dropout")
    model: ModelConfig
    start: Start = Start()
    freeze_after: FreezeAfter | None = None
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
        description="steps between states to resume from; None: as often as the run validates; without validation once "
        "an epoch, but not more often than every 100 steps",
    )
    precision: Literal["no", "fp16", "bf16"] = "no"
    compile: bool = Field(
        False, description="compile what each layer computes beside attention (torch.compile); the first steps are slow"
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _bare_no_is_no(cls, value: Any) -> Any:
        # YAML reads a bare `no` as false.
        return "no" if value is False else value

    @model_validator(mode="after")
    def _run_ends(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a run has either steps or epochs; set one of them, and the other to null")
        if self.steps is None and not self.data.has_epochs:
            raise ValueError(
                f"data of kind {self.data.kind} have no epochs, because they are drawn at random: set steps"
            )
        return self

    @model_validator(mode="after")
    def _folder_names_a_new_model(self) -> Self:
        if self.record is None and (CONFIGS / f"{self.model.name}.yaml").is_file():
            raise ValueError(
                f"output {self.output_folder} would be served as {self.model.name}, which is another model; "
                "give another output"
            )
        return self

    @model_validator(mode="after")
    def _one_tower_learns(self) -> Self:
        later = () if self.freeze_after is None else (self.freeze_after.tower,)
        if self.start.freeze.union(later) == {"text", "pose"}:
            raise ValueError("both towers are frozen by start.freeze and freeze_after, so nothing would learn")
        return self

    @field_validator("output", "logs")
    @classmethod
    def _folder_contains_only_the_name(cls, value: str | None) -> str | None:
        try:
            (value or "").format(name="")
        except (LookupError, ValueError, AttributeError) as error:
            raise ValueError(f"only {{name}} may be in braces ({error!r})") from error
        return value

    @property
    def output_folder(self) -> Path:
        """The folder of the model."""
        return Path(self.output.format(name=self.name))

    @property
    def logs_folder(self) -> Path:
        """The folder of logs and of the state to resume from."""
        return self.output_folder if self.logs is None else Path(self.logs.format(name=self.name))

    def count_steps(self, steps_per_epoch: int) -> int:
        """Count the steps of the whole run."""
        return self.steps if self.steps is not None else max(1, round((self.epochs or 0) * steps_per_epoch))

    def change_seed(self, seed: int) -> Self:
        """Return the same run with another seed."""
        return self.model_copy(update={"seed": seed})

    def describe(self) -> dict[str, Any]:
        """Return all settings as plain values, for a file of results or a state."""
        return self.model_dump(mode="json")


AnyExperiment = TypeVar("AnyExperiment", bound=Experiment)


def read_experiment(path: Path, changes: Sequence[str] = ()) -> Experiment:
    """Read a run's file and apply changes; see read_experiment_as."""
    return read_experiment_as(Experiment, path, changes=changes)


def read_experiment_as(form: type[AnyExperiment], path: Path, *, changes: Sequence[str] = ()) -> AnyExperiment:
    """Read a run's file as a certain form of experiment, and apply changes.

    Args:
        form: Experiment, or a subclass that takes only one kind of data.
        path: YAML mapping of the form's fields; with `base: other.yaml`, relative to the file, changes to that file.
        changes: `key=value` with YAML values; a key may have dots, as in `data.augmentation.noise=0`.
    Raises:
        ExperimentError: a file or a change cannot be read, a setting does not exist, or its value is not allowed.
        CatalogError, UnknownModelError: the model that the run starts from does not exist, or is configured wrongly.
    """
    values = _read_file(path, above=())
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise ExperimentError(f"{change!r} is no change: write key=value")
        values = merge_settings(values, _nest(key.split("."), _parse(value, change)))
    values.setdefault("name", _name_after_file(path))
    return build_experiment_as(form, values, where=path.name)


def build_experiment(values: Mapping[str, Any], *, where: str) -> Experiment:
    """Check the settings of a run; see build_experiment_as."""
    return build_experiment_as(Experiment, values, where=where)


def build_experiment_as(form: type[AnyExperiment], values: Mapping[str, Any], *, where: str) -> AnyExperiment:
    """Check the settings of a run, and fill in the fields that its model takes from another model.

    Args:
        form: Experiment or a subclass.
        values: mapping of the form's fields.
        where: the beginning of error messages, such as the file's name.
    Raises:
        ExperimentError, CatalogError, UnknownModelError: see read_experiment_as.
    """
    model, start = values.get("model") or {}, values.get("start") or {}
    if not isinstance(model, Mapping) or not isinstance(start, Mapping):
        raise ExperimentError(f"{where}: model and start must be mappings")
    for setting, named in (("model.base", model.get("base")), ("start.model", start.get("model"))):
        if not isinstance(named, str | None):
            raise ExperimentError(f"{where}: {setting} is {named!r}, which is not the name of a model")
    name = str(values.get("name"))
    output = str(values.get("output", Experiment.model_fields["output"].default)).replace("{name}", name)
    complete = complete_model(model, start=start.get("model"), name=Path(output).name, experiment=name)
    try:
        return form.model_validate({**values, "model": complete})
    except ValidationError as error:
        problems = "; ".join(_describe_problem(problem) for problem in error.errors())
        raise ExperimentError(f"{where}: {problems}") from error


def rename_setting(key: str) -> str:
    """Return the present name of a setting, whose name may be a former one."""
    for former in sorted(RENAMED, key=len, reverse=True):
        if key == former or key.startswith(f"{former}."):
            return RENAMED[former] + key.removeprefix(former)
    return key


def _read_file(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise ExperimentError(f"{path} is its own base")
    try:
        values = _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} cannot be read: {describe_reason(error)}") from error
    if not isinstance(values, dict):
        raise ExperimentError(f"{path} is not a mapping of settings")
    base = values.pop("base", None)
    if base is None:
        return values
    below = _read_file(path.parent / str(base), (*above, path.resolve()))
    # Each file is a run of its own, so it does not take over the name of its base.
    return merge_settings({key: value for key, value in below.items() if key != "name"}, values)


def _parse(text: str, where: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise ExperimentError(f"{where} is not YAML: {error}") from error


def _nest(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _name_after_file(path: Path) -> str:
    whole = path.resolve().with_suffix("")
    return whole.relative_to(EXPERIMENTS).as_posix() if whole.is_relative_to(EXPERIMENTS) else whole.name


def _describe_problem(problem: ErrorDetails) -> str:
    # pydantic adds the kind of the data to the path, where no user wrote it.
    place = ".".join(str(part) for part in problem["loc"] if part not in _KINDS)
    if problem["type"] == "extra_forbidden":
        now = [
            f"{former} is now called {RENAMED[former]}" for former in RENAMED if f"{former}.".startswith(f"{place}.")
        ]
        return ", ".join(now) or f"there is no setting {place}{_suggest(place)}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    given = f" (it is {problem['input']!r})" if not isinstance(problem["input"], Mapping) else ""
    return f"{place or 'run'}: {problem['msg'].removeprefix('Value error, ')}{given}"


def _suggest(place: str) -> str:
    """Name the setting that somebody may have meant; of those within sections only their own files know the names."""
    near = get_close_matches(place, Experiment.model_fields, n=1)
    return f"; did you mean {near[0]}?" if near else ""
