"""Tables of runs with published metrics beside ours: CSV for programs, Markdown for people."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.published import DIRECTIONS, METRICS, Published, find_published_test, list_published_tests
from evaluation.results import flatten_metrics

# The columns of the Markdown table are those of the paper.
SHOWN_METRICS = tuple(
    metric for metric in METRICS if "mean_rank" not in metric and not metric.startswith("text_to_pose R@")
)
# What leaderboards of isolated signs ask for beside these: averages over classes, and two averages over ranks.
LEADERBOARD_METRICS = ("class_R@1", "class_R@5", "class_R@10", "MRR", "DCG")
# p below this is written as such, because permutation tests give no smaller one.
_SMALLEST_P = 0.0001
# Beside published metrics that were measured on other candidates than ours.
OTHER_CANDIDATES = "†"
_NOTE = (
    f"{OTHER_CANDIDATES} Not comparable: the published metric was measured on another number of clips or prompts than "
    "ours, or on a number that is not published. A rank among more candidates is harder. The columns clips and prompts "
    "have our number and, in brackets, the published one."
)


def compare_runs(runs: Sequence[dict[str, Any]], published: Published, *, every: bool = False) -> list[dict[str, Any]]:
    """Put the metrics of runs and published metrics side by side.

    Args:
        runs: their metrics.
        published: of read_published.
        every: also list what is published without a run.
    Returns:
        One row a run, with the columns of flatten_metrics and `published …` columns. A run has published metrics beside
        it only if they were measured on the same data set.
    """
    rows, seen = [], set()
    for metrics in runs:
        row = flatten_metrics(metrics)
        test = find_published_test(published, metrics["experiment"], metrics["dataset"])
        rows.append(row if test is None else row | test.list_columns())
        seen.add((metrics["experiment"], None if test is None else test.dataset))
    for name in published if every else ():
        for test in list_published_tests(published, name):
            if (name, test.dataset) not in seen:
                rows.append({"experiment": name, "published dataset": test.dataset} | test.list_columns())
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV. The table has every column that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of compare_runs as a Markdown table: `ours (published)`, and a dash for a missing number.

    Published metrics that were measured on other candidates than ours have a mark, and the table a note on it.
    """
    columns = [metric for metric in SHOWN_METRICS if any(metric in row or f"published {metric}" in row for row in rows)]
    abouts = [key for key in ("parameters_millions", "hours") if any(f"published {key}" in row for row in rows)]
    names = [*map(_format_heading, columns), *(f"published {key.replace('_', ' ')}" for key in abouts)]
    lines = [
        "| experiment | model | data | task | clips | prompts | " + " | ".join(names) + " |",
        "|---|---|---|---|--:|--:|" + "--:|" * len(names),
    ]
    for row in rows:
        about = [row.get("experiment") or "–", row.get("model", "–"), name_data(row), row.get("task", "–")]
        counts = [format_count(row, key) for key in ("clips", "prompts")]
        cells = [format_metric(row, metric) for metric in columns]
        cells += [f"({row[f'published {key}']:g})" if f"published {key}" in row else "–" for key in abouts]
        lines.append("| " + " | ".join(map(_escape, [*map(str, about), *counts, *cells])) + " |")
    if any(not compares_alike(row) for row in rows):
        lines += ["", _NOTE]
    return "\n".join(lines) + "\n"


def format_leaderboard(runs: Sequence[dict[str, Any]]) -> str:
    """Format what leaderboards ask of naming clips, with 95 % intervals, as a Markdown table; one row a run.

    Args:
        runs: their metrics. Runs of an earlier version, which lack these, are left out.
    """
    names = ("R@1", "R@5", "R@10", *LEADERBOARD_METRICS)
    lines = [
        "| model | data | task | " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "|---|---|---|" + "--:|" * len(names),
    ]
    for metrics in runs:
        ends = metrics.get("intervals", {}).get("pose_to_text")
        if ends is not None:
            values = metrics["pose_to_text"]
            cells = [
                f"{values[name]:.3f} [{ends[name][0]:.3f}, {ends[name][1]:.3f}]"
                if name in ends
                else f"{values[name]:.3f}"
                for name in names
            ]
            about = [str(metrics["model"]), name_data(metrics), str(metrics["task"])]
            lines.append("| " + " | ".join(map(_escape, [*about, *cells])) + " |")
    return "\n".join(lines) + "\n"


def format_differences(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of compare_with_first as a Markdown table."""
    lines = [
        "| run | compared with | metric | before | after | difference, 95 % interval | p |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        ends = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        metric = f"{DIRECTIONS[row['direction']]} {row['metric']}"
        cells = [row["run"], row["compared with"], metric, f"{row['first']:.3f}", f"{row['second']:.3f}", ends]
        lines.append("| " + " | ".join(map(_escape, [*cells, format_p(row["p"])])) + " |")
    return "\n".join(lines) + "\n"


def format_p(value: float) -> str:
    """Format a p-value."""
    return f"{value:.4f}" if value > _SMALLEST_P else f"≤ {_SMALLEST_P}"


def compares_alike(row: dict[str, Any]) -> bool:
    """Tell whether the published metrics of a row were measured on as many clips and prompts as ours.

    Returns:
        False if a published number of clips or prompts is another one or is not known; True if the row has no metrics
        of ours or no published ones.
    """
    if "clips" not in row or "published clips" not in row:
        return True
    return all(row[f"published {key}"] == row[key] for key in ("clips", "prompts"))


def name_data(row: dict[str, Any]) -> str:
    """Name the data set and the part of a row."""
    if "dataset" in row:
        return f"{row['dataset']} {row['split']}"
    return str(row.get("published dataset") or "–")


def format_count(row: dict[str, Any], key: str) -> str:
    """Format our number of candidates and, in brackets, the published one; key is "clips" or "prompts"."""
    ours = str(row.get(key, "–"))
    if f"published {key}" not in row:
        return ours
    published = row[f"published {key}"]
    return f"{ours} ({'?' if published is None else published})".removeprefix("– ")


def list_probes(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """List the probes of a run as rows: the mean and the standard deviation ("spread") of each metric."""
    return [
        {key: metrics[key] for key in ("experiment", "model", "dataset")}
        | {key: probe[key] for key in ("probe", "shots", "clips", "classes")}
        | ({"probe": f"{probe['probe']}, {probe['neighbours']} neighbours"} if _is_unusual(probe) else {})
        | {"seeds": len(probe["by_seed"])}
        | dict(probe["mean"].items())
        | {f"{metric} spread": spread for metric, spread in probe["spread"].items() if spread is not None}
        | {
            f"{metric} {end}": value
            for metric, ends in probe.get("interval", {}).items()
            for end, value in zip(("low", "high"), ends, strict=True)
        }
        for probe in metrics.get("probes", [])
    ]


def _is_unusual(probe: dict[str, Any]) -> bool:
    return probe.get("neighbours") not in (None, "shots")


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
            mean = format_number(metric, row[metric])
            cells.append(mean if spread is None else f"{mean} ± {format_number(metric, spread)}")
        lines.append("| " + " | ".join(_escape(str(cell).replace("_", " ")) for cell in [*about, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _format_heading(metric: str) -> str:
    direction, _, name = metric.rpartition(" ")
    return f"{DIRECTIONS.get(direction, '')} {name.replace('_', ' ')}".strip()


def format_metric(row: dict[str, Any], metric: str) -> str:
    """Format a metric of a row as `ours (published)`, with a mark if they were measured on other candidates."""
    ours, published = row.get(metric), row.get(f"published {metric}")
    if ours is None:
        return "–" if published is None else f"({format_number(metric, published)})"
    return format_number(metric, ours) + (
        f" ({format_number(metric, published)}){get_mark(row)}" if published is not None else ""
    )


def get_mark(row: dict[str, Any]) -> str:
    """Return the mark of a row whose published metrics were measured on other candidates, else an empty string."""
    return "" if compares_alike(row) else OTHER_CANDIDATES


def format_number(metric: str, value: float) -> str:
    """Format a rank with at most one digit behind the point, anything else with three."""
    return f"{value:.1f}".removesuffix(".0") if "rank" in metric else f"{value:.3f}"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
