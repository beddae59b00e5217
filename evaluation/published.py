"""The metrics that the authors published, with the data set and the number of candidates of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import PublishedError
from processes.yaml_text import YamlError, parse_yaml

PUBLISHED = Path(__file__).with_name("published.yaml")
DIRECTIONS = {"pose_to_text": "pose→text", "text_to_pose": "text→pose"}
METRICS = tuple(
    [f"pose_to_text {name}" for name in ("R@1", "R@5", "R@10", "median_rank", "mean_rank")]
    + [f"text_to_pose {name}" for name in ("P@1", "P@5", "P@10", "R@1", "R@5", "R@10", "median_rank", "mean_rank")]
)
_TEST_KEYS = {"clips", "prompts", *DIRECTIONS}
_ENTRY_KEYS = {"about", "dataset", "zero_shot", "hours", "parameters_millions", *_TEST_KEYS}
Published = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PublishedTest:
    """What the authors published of one experiment on one data set.

    Attributes:
        dataset: name of the data set; None: the file of published metrics does not say.
        clips, prompts: how many candidates there were; None: not published.
        metrics: by `direction metric`.
        about: training hours and millions of parameters, where they are published.
    """

    dataset: str | None
    clips: int | None
    prompts: int | None
    metrics: dict[str, float]
    about: dict[str, float]

    def list_columns(self) -> dict[str, Any]:
        """Return the columns `published …` of a table."""
        counts = {"clips": self.clips, "prompts": self.prompts}
        return {f"published {key}": value for key, value in (counts | self.about | self.metrics).items()}


def read_published(path: Path = PUBLISHED) -> Published:
    """Read the published metrics of each experiment.

    Raises:
        PublishedError: the file is not a mapping, or an entry has keys that tables do not know.
        OSError: the file cannot be read.
    """
    try:
        experiments = parse_yaml(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, YamlError) as error:
        raise PublishedError(f"{path} is not YAML: {error}") from error
    if not isinstance(experiments, dict) or not all(isinstance(entry, dict) for entry in experiments.values()):
        raise PublishedError(f"{path} is not a mapping from experiments to metrics")
    for name, entry in experiments.items():
        _check_test(f"{path}: {name}", entry, known=_ENTRY_KEYS)
        zero_shot = entry.get("zero_shot", {})
        if not isinstance(zero_shot, dict) or not all(isinstance(test, dict) for test in zero_shot.values()):
            raise PublishedError(f"{path}: zero_shot of {name} is not a mapping from data sets to metrics")
        for dataset, test in zero_shot.items():
            _check_test(f"{path}: {name} on {dataset}", test, known=_TEST_KEYS)
    return {str(name): entry for name, entry in experiments.items()}


def _check_test(where: str, test: Mapping[str, Any], *, known: set[str]) -> None:
    unknown = set(test) - known
    metrics = {f"{direction} {metric}" for direction in DIRECTIONS for metric in test.get(direction, {})}
    if unknown or not metrics or not metrics <= set(METRICS):
        problem = sorted(unknown | (metrics - set(METRICS)))
        raise PublishedError(f"{where} has {f'the unknown keys {problem}' if problem else 'no metrics'}")


def list_published_tests(published: Published, experiment: str | None) -> Iterator[PublishedTest]:
    """List what the authors published of an experiment: its own test first, then those of zero-shot."""
    entry = published.get(experiment or "")
    if entry is not None:
        about = {key: float(entry[key]) for key in ("hours", "parameters_millions") if key in entry}
        yield _make_test(entry.get("dataset"), entry, about)
        for dataset, test in entry.get("zero_shot", {}).items():
            yield _make_test(str(dataset), test, {})


def find_published_test(published: Published, experiment: str | None, dataset: str) -> PublishedTest | None:
    """Find what the authors published of an experiment on a data set; None if they published nothing of it."""
    tests = list_published_tests(published, experiment)
    return next((test for test in tests if test.dataset in (None, dataset)), None)


def _make_test(dataset: str | None, test: Mapping[str, Any], about: dict[str, float]) -> PublishedTest:
    metrics = {
        f"{direction} {metric}": float(value)
        for direction in DIRECTIONS
        for metric, value in test.get(direction, {}).items()
    }
    return PublishedTest(dataset, test.get("clips"), test.get("prompts"), metrics, about)
