"""Tables of runs: the figures of each beside the published ones, as CSV for programs and Markdown for people."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evaluation.results import flat_row

PUBLISHED = Path(__file__).with_name("published.yaml")
DIRECTIONS = {"pose_to_text": "pose→text", "text_to_pose": "text→pose"}
FIGURES = tuple(
    [f"pose_to_text {figure}" for figure in ("R@1", "R@5", "R@10", "median_rank", "mean_rank")]
    + [f"text_to_pose {figure}" for figure in ("P@1", "P@5", "P@10", "R@1", "R@5", "R@10", "median_rank", "mean_rank")]
)
SHOWN = tuple(figure for figure in FIGURES if "mean_rank" not in figure and not figure.startswith("text_to_pose R@"))
"""Columns of the Markdown table: the paper's own."""
Published = Mapping[str, Mapping[str, Any]]


def read_published(path: Path = PUBLISHED) -> Published:
    """Read the published figures by experiment.

    Raises:
        ValueError: an experiment or a figure is not of the form that tables know.
    """
    experiments = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(experiments, dict) or not all(isinstance(entry, dict) for entry in experiments.values()):
        raise ValueError(f"{path} is no mapping from experiments to figures")
    for name, entry in experiments.items():
        unknown = set(entry) - {"about", *DIRECTIONS}
        figures = {f"{direction} {figure}" for direction in DIRECTIONS for figure in entry.get(direction, {})}
        if unknown or not figures or not figures <= set(FIGURES):
            raise ValueError(f"{path}: {name} has {sorted(unknown | (figures - set(FIGURES))) or 'no figures'}")
    return {str(name): entry for name, entry in experiments.items()}


def published_figures(published: Published, experiment: str | None) -> dict[str, float]:
    """The published figures of an experiment, by `direction figure`; none if it has none."""
    entry = published.get(experiment or "", {})
    return {
        f"{direction} {figure}": float(value)
        for direction in DIRECTIONS
        for figure, value in entry.get(direction, {}).items()
    }


def compare(runs: Sequence[dict[str, Any]], published: Published, *, every: bool = False) -> list[dict[str, Any]]:
    """Put runs and published figures side by side.

    Args:
        runs: their metrics.
        every: also list published experiments that no run is of.
    Returns:
        a row a run: flat_row's columns, and `published …` ones.
    """
    rows = [
        flat_row(metrics)
        | {f"published {key}": value for key, value in published_figures(published, metrics["experiment"]).items()}
        for metrics in runs
    ]
    seen = {metrics["experiment"] for metrics in runs}
    for name in published if every else ():
        if name not in seen:
            figures = published_figures(published, name)
            rows.append({"experiment": name} | {f"published {key}": value for key, value in figures.items()})
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows; the columns are all that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def results_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows of compare as a table: `ours (published)`, and a dash where there is no figure."""
    columns = [figure for figure in SHOWN if any(figure in row or f"published {figure}" in row for row in rows)]
    names = [_heading(figure) for figure in columns]
    lines = [
        "| experiment | model | data | task | clips | " + " | ".join(names) + " |",
        "|---|---|---|---|--:|" + "--:|" * len(names),
    ]
    for row in rows:
        data = f"{row['dataset']} {row['split']}" if "dataset" in row else "–"
        about = [row.get("experiment") or "–", row.get("model", "–"), data, row.get("task", "–"), row.get("clips", "–")]
        cells = [_cell(figure, row.get(figure), row.get(f"published {figure}")) for figure in columns]
        lines.append("| " + " | ".join(map(_escape, [*map(str, about), *cells])) + " |")
    return "\n".join(lines) + "\n"


def probe_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """A run's probes as rows: mean and spread of every figure."""
    return [
        {key: metrics[key] for key in ("experiment", "model", "dataset")}
        | {key: probe[key] for key in ("probe", "shots", "clips", "classes")}
        | {"seeds": len(probe["by_seed"])}
        | dict(probe["mean"].items())
        | {f"{figure} spread": spread for figure, spread in probe["spread"].items() if spread is not None}
        for probe in metrics.get("probes", [])
    ]


def probes_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows of probe_rows as a table: mean ± standard deviation over seeds."""
    figures = ("R@1", "R@5", "R@10", "median_rank")
    lines = [
        "| model | data | probe | shots | classes | clips | seeds | " + " | ".join(map(_heading, figures)) + " |",
        "|---|---|---|--:|--:|--:|--:|" + "--:|" * len(figures),
    ]
    for row in rows:
        about = [row[key] for key in ("model", "dataset", "probe", "shots", "classes", "clips", "seeds")]
        cells = []
        for figure in figures:
            spread = row.get(f"{figure} spread")
            cells.append(_number(figure, row[figure]) + (f" ± {_number(figure, spread)}" if spread is not None else ""))
        lines.append("| " + " | ".join(_escape(str(cell).replace("_", " ")) for cell in [*about, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _heading(figure: str) -> str:
    direction, _, name = figure.rpartition(" ")
    return f"{DIRECTIONS.get(direction, '')} {name.replace('_', ' ')}".strip()


def _cell(figure: str, ours: float | None, published: float | None) -> str:
    if ours is None:
        return "–" if published is None else f"({_number(figure, published)})"
    return _number(figure, ours) + (f" ({_number(figure, published)})" if published is not None else "")


def _number(figure: str, value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if "rank" in figure else f"{value:.3f}"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
