"""Tables for a terminal: aligned columns, one line a run and direction. Files keep Markdown and CSV."""

from collections.abc import Sequence
from typing import Any
from unicodedata import combining, east_asian_width

from evaluation.published import DIRECTIONS
from evaluation.tables import format_count, format_metric, format_number, format_p, get_mark, name_data

_COLUMNS = {
    "pose_to_text": ("R@1", "R@5", "R@10", "median_rank", "MRR", "class_R@1"),
    "text_to_pose": ("P@1", "P@5", "P@10", "R@1", "R@5", "R@10", "median_rank"),
}


def show_results(rows: Sequence[dict[str, Any]], intervals: Sequence[dict[str, Any]] = ()) -> str:
    """Lay out rows of compare_runs.

    Args:
        rows: published metrics stand in brackets behind ours.
        intervals: of each run, as in its metrics; a further line shows them.
    """
    blocks = []
    for direction, names in _COLUMNS.items():
        shown = [name for name in names if any(_has(row, f"{direction} {name}") for row in rows)]
        heading = [DIRECTIONS[direction], "data", "clips", "prompts", *(name.replace("_", " ") for name in shown)]
        table = [heading]
        for number, row in enumerate(rows):
            cells = [format_metric(row, f"{direction} {name}") for name in shown]
            about = [str(row.get("model") or row.get("experiment")), _name_data_and_task(row)]
            table.append([*about, format_count(row, "clips"), format_count(row, "prompts"), *cells])
            if number < len(intervals) and (ends := intervals[number].get(direction)):
                table.append(["  95 %", "", "", "", *(_show_interval(name, ends.get(name)) for name in shown)])
        blocks.append(align(table))
    notes = ["† published for another number of clips or prompts, or for an unknown one"] if _any_mark(rows) else []
    return "\n\n".join([*blocks, *notes]) + "\n"


def show_probes(rows: Sequence[dict[str, Any]]) -> str:
    """Lay out rows of list_probes: means over seeds with their intervals, or with their standard deviations."""
    metrics = ("R@1", "R@5", "R@10", "median_rank")
    table = [
        ["probe", "shots", "classes", "clips", "seeds", *(name.replace("_", " ") for name in metrics), "R@1, 95 %"]
    ]
    for row in rows:
        about = [str(row[key]).replace("_", " ") for key in ("probe", "shots", "classes", "clips", "seeds")]
        cells = []
        for name in metrics:
            spread = row.get(f"{name} spread")
            cells.append(format_number(name, row[name]) + (f" ± {format_number(name, spread)}" if spread else ""))
        table.append([*about, *cells, _show_interval("R@1", (row.get("R@1 low"), row.get("R@1 high")))])
    return align(table) + "\n"


def show_protocol(result: dict[str, Any]) -> str:
    """Lay out what Protocol.measure returned."""
    rows = [["metric", "", "value", "95 %"]]
    for name, value in result["metrics"].items():
        shown = name.replace("_", " ")
        rows.append([shown, "", f"{value:.3f}", _show_interval(name, result["intervals"][name])])
    counts = f"{result['clips']:,} clips, {result['classes']:,} classes"
    return f"{result['title']}: {counts}\n{align(rows)}\nprotocol {result['name']}: {result['source']}\n"


def show_differences(rows: Sequence[dict[str, Any]]) -> str:
    """Lay out rows of compare_with_first."""
    parts = []
    for pair in dict.fromkeys((row["run"], row["compared with"]) for row in rows):
        table = [["direction", "metric", "before", "after", "difference", "95 %", "p"]]
        for row in rows:
            if (row["run"], row["compared with"]) == pair:
                values = [f"{row['first']:.3f}", f"{row['second']:.3f}", f"{row['difference']:+.3f}"]
                ends = f"{row['low']:+.3f} to {row['high']:+.3f}"
                table.append([DIRECTIONS[row["direction"]], row["metric"], *values, ends, format_p(row["p"])])
        parts.append(f"{pair[0]}\ncompared with {pair[1]}, on the same clips:\n{align(table)}")
    return "\n\n".join(parts) + "\n"


def align(table: Sequence[Sequence[str]]) -> str:
    """Pad cells so that columns stand below each other; the first two columns to the left, numbers to the right."""
    widths = [max(_measure(row[column]) for row in table) for column in range(len(table[0]))]
    left = [column < 2 for column in range(len(widths))]
    lines = [
        "  ".join(_pad(cell, width, left=to_left) for cell, width, to_left in zip(row, widths, left, strict=True))
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def _has(row: dict[str, Any], metric: str) -> bool:
    return metric in row or f"published {metric}" in row


def _any_mark(rows: Sequence[dict[str, Any]]) -> bool:
    return any(get_mark(row) for row in rows)


def _show_interval(name: str, ends: Sequence[float | None] | None) -> str:
    if ends is None or ends[0] is None or ends[1] is None:
        return ""
    return "–".join(_drop_zero(format_number(name, end)) for end in ends if end is not None)


def _drop_zero(number: str) -> str:
    # Without the zero before the point, because these columns are the widest.
    return number[1:] if number.startswith("0.") else number


def _name_data_and_task(row: dict[str, Any]) -> str:
    task = str(row.get("task", "retrieval")).removeprefix("retrieval").removeprefix(", ")
    return f"{name_data(row)}, {task}" if task else name_data(row)


def _measure(cell: str) -> int:
    # Columns of a terminal: letters of East Asia take two, combining accents none.
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in cell)


def _pad(cell: str, width: int, *, left: bool) -> str:
    space = " " * (width - _measure(cell))
    return cell + space if left else space + cell
