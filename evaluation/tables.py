"""Tables of runs with published metrics beside ours: CSV for programs, Markdown for people."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evaluation.errors import PublishedError
from evaluation.results import flatten_metrics

PUBLISHED = Path(__file__).with_name("published.yaml")
DIRECTIONS = {"pose_to_text": "pose→text", "text_to_pose": "text→pose"}
METRICS = tuple(
    [f"pose_to_text {name}" for name in ("R@1", "R@5", "R@10", "median_rank", "mean_rank")]
    + [f"text_to_pose {name}" for name in ("P@1", "P@5", "P@10", "R@1", "R@5", "R@10", "median_rank", "mean_rank")]
)
# The columns of the Markdown table are those of the paper.
SHOWN_METRICS = tuple(
    metric for metric in METRICS if "mean_rank" not in metric and not metric.startswith("text_to_pose R@")
)
Published = Mapping[str, Mapping[str, Any]]


def read_published(path: Path = PUBLISHED) -> Published:
    """Read the published metrics of each experiment.

    Raises:
        PublishedError: the file is not a mapping, or an entry has keys that tables do not know.
        OSError: the file cannot be read.
    """
    try:
        experiments = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise PublishedError(f"{path} is not YAML: {error}") from error
    if not isinstance(experiments, dict) or not all(isinstance(entry, dict) for entry in experiments.values()):
        raise PublishedError(f"{path} is not a mapping from experiments to metrics")
    for name, entry in experiments.items():
        unknown = set(entry) - {"about", *DIRECTIONS}
        metrics = {f"{direction} {metric}" for direction in DIRECTIONS for metric in entry.get(direction, {})}
        if unknown or not metrics or not metrics <= set(METRICS):
            problem = sorted(unknown | (metrics - set(METRICS)))
            raise PublishedError(f"{path}: {name} has {f'the unknown keys {problem}' if problem else 'no metrics'}")
    return {str(name): entry for name, entry in experiments.items()}


def find_published_metrics(published: Published, experiment: str | None) -> dict[str, float]:
    """Find the published metrics of an experiment, by `direction metric`; empty if it has none."""
    entry = published.get(experiment or "", {})
    return {
        f"{direction} {metric}": float(value)
        for direction in DIRECTIONS
        for metric, value in entry.get(direction, {}).items()
    }


def compare_runs(runs: Sequence[dict[str, Any]], published: Published, *, every: bool = False) -> list[dict[str, Any]]:
    """Put the metrics of runs and published metrics side by side.

    Args:
        runs: their metrics.
        published: of read_published.
        every: also list published experiments that have no run.
    Returns:
        One row a run, with the columns of flatten_metrics and `published …` columns.
    """
    rows = [
        flatten_metrics(metrics)
        | {f"published {key}": value for key, value in find_published_metrics(published, metrics["experiment"]).items()}
        for metrics in runs
    ]
    seen = {metrics["experiment"] for metrics in runs}
    for name in published if every else ():
        if name not in seen:
            metrics = find_published_metrics(published, name)
            rows.append({"experiment": name} | {f"published {key}": value for key, value in metrics.items()})
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV. The table has every column that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of compare_runs as a Markdown table: `ours (published)`, and a dash for a missing number."""
    columns = [metric for metric in SHOWN_METRICS if any(metric in row or f"published {metric}" in row for row in rows)]
    names = [_format_heading(metric) for metric in columns]
    lines = [
        "| experiment | model | data | task | clips | " + " | ".join(names) + " |",
        "|---|---|---|---|--:|" + "--:|" * len(names),
    ]
    for row in rows:
        data = f"{row['dataset']} {row['split']}" if "dataset" in row else "–"
        about = [row.get("experiment") or "–", row.get("model", "–"), data, row.get("task", "–"), row.get("clips", "–")]
        cells = [_format_cell(metric, row.get(metric), row.get(f"published {metric}")) for metric in columns]
        lines.append("| " + " | ".join(map(_escape, [*map(str, about), *cells])) + " |")
    return "\n".join(lines) + "\n"


def list_probes(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """List the probes of a run as rows: the mean and the standard deviation ("spread") of each metric."""
    return [
        {key: metrics[key] for key in ("experiment", "model", "dataset")}
        | {key: probe[key] for key in ("probe", "shots", "clips", "classes")}
        | {"seeds": len(probe["by_seed"])}
        | dict(probe["mean"].items())
        | {f"{metric} spread": spread for metric, spread in probe["spread"].items() if spread is not None}
        for probe in metrics.get("probes", [])
    ]


def format_probes(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of list_probes as a Markdown table: mean ± standard deviation over seeds."""
    metrics = ("R@1", "R@5", "R@10", "median_rank")
    lines = [
        "| model | data | probe | shots | classes | clips | seeds | "
        + " | ".join(map(_format_heading, metrics))
        + " |",
        "|---|---|---|--:|--:|--:|--:|" + "--:|" * len(metrics),
    ]
    for row in rows:
        about = [row[key] for key in ("model", "dataset", "probe", "shots", "classes", "clips", "seeds")]
        cells = []
        for metric in metrics:
            spread = row.get(f"{metric} spread")
            mean = _format_number(metric, row[metric])
            cells.append(mean if spread is None else f"{mean} ± {_format_number(metric, spread)}")
        lines.append("| " + " | ".join(_escape(str(cell).replace("_", " ")) for cell in [*about, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _format_heading(metric: str) -> str:
    direction, _, name = metric.rpartition(" ")
    return f"{DIRECTIONS.get(direction, '')} {name.replace('_', ' ')}".strip()


def _format_cell(metric: str, ours: float | None, published: float | None) -> str:
    if ours is None:
        return "–" if published is None else f"({_format_number(metric, published)})"
    return _format_number(metric, ours) + (f" ({_format_number(metric, published)})" if published is not None else "")


def _format_number(metric: str, value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if "rank" in metric else f"{value:.3f}"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
