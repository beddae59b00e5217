"""Write the measured tables into a model's page: `python -m training.fingerspelling.card weights/fingerspelling`.

The page is README.md in the model's folder. What stands there between `<!-- name -->` and `<!-- /name -->` is replaced
by the table of that name, made from results.json beside it.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from processes.commands import print_error
from processes.files import write_file
from processes.version import PRODUCT
from training.errors import KeptFileError, TrainingError
from training.fingerspelling.metrics_file import read_metrics
from training.fingerspelling.robustness import format_changes

PAGE, METRICS = "README.md", "results.json"
_MEASURE = "measure it again with --json, by the command that the page names"
_SPOKEN = {"own": "`<de> <gsg> A`", "english": "`<en> <gsg> A`", "none": "`<gsg> A`"}
_ROWS = {
    "no tag": "no tags (the metric to compare)",
    "tags": "with tags",
    "resting left hand": "no tags, a resting left hand added",
    "mirrored": "no tags, the picture mirrored",
    "international alphabet": "no tags, the eight languages of the international alphabet",
    "two-handed": "no tags, the three two-handed alphabets",
    "nearest neighbour": "nearest neighbour",
}


def render_dictionary(metrics: Mapping[str, Any]) -> str:
    """Render how well the model finds the clips that it learned again, as they are and with lowered hands."""
    lines = [
        "| prompts | text → its clip | clip → its prompt | with hands lowered for 2 s: text → clip | clip → prompt |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, shown in _SPOKEN.items():
        rows = (metrics["dictionary"][name], metrics["webcam"]["lowered_dictionary"][name])
        cells = [f"{row[direction]:.1f}" for row in rows for direction in ("text_to_pose", "pose_to_text")]
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def render_protocol(summary: Mapping[str, Any]) -> str:
    """Render the metrics on unseen languages of one partition; a row that was not measured is left out."""
    lines = ["| | R@1 | R@5 | median rank |", "|---|--:|--:|--:|"]
    for name, shown in _ROWS.items():
        row = summary["rows"].get(name)
        if row is not None:
            lines.append(f"| {shown} | {row['R@1']:.1f} | {row['R@5']:.1f} | {row['median_rank']:g} |")
    seeds = ", ".join(f"{value:.1f}" for value in summary["rows"]["no tag"]["R@1_by_seed"])
    low, high = summary["R@1_interval_over_languages"]
    languages = sorted(summary["R@1_by_language"].items(), key=lambda item: -item[1])
    return "\n".join(
        [
            *lines,
            "",
            f"R@1 without tags by seed: {seeds}; {low:.0f} to {high:.0f} in 95 of 100 draws of languages.",
            f"By language: {', '.join(f'{tag} {value:.0f}' for tag, value in languages)}.",
        ]
    )


def render_nothing(metrics: Mapping[str, Any]) -> str:
    """Render how often clips without a letter are taken for one, and letters for none."""
    nothing = metrics["nothing"]
    stricter = nothing["accepted_where_95_%_are_kept"]
    accepted = [f"| {kind} | {share:.1f} | {stricter[kind]:.1f} |" for kind, share in nothing["accepted"].items()]
    kept = [f"| {change.replace('none', 'as they are')} | {share:.1f} |" for change, share in nothing["kept"].items()]
    return "\n".join(
        [
            "| clips without a letter | taken for one, % | where 95 % of letters are kept, % |",
            "|---|--:|--:|",
            *accepted,
            "",
            "| letters of the lexicon | taken for a letter, % |",
            "|---|--:|",
            *kept,
        ]
    )


BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "dictionary": render_dictionary,
    "protocol": lambda metrics: render_protocol(metrics["protocol"]),
    "final": lambda metrics: render_protocol(metrics["final_partition"]),
    "webcam": lambda metrics: format_changes(metrics["webcam"]["changes"]),
    "nothing": render_nothing,
}


def fill_page(text: str, metrics: Mapping[str, Any]) -> str:
    """Replace every block of a page by what its metrics say; text without a block stays as it is.

    Raises:
        KeyError: the page has a block whose metrics were not measured.
        KeptFileError: the metrics of a block have another form.
    """
    for name, render in BLOCKS.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if block.search(text):
            try:
                rendered = render(metrics)
            except (TypeError, AttributeError, ValueError) as error:
                raise KeptFileError(f"the metrics of its table {name} have another form ({error})") from error
            text = block.sub(lambda match, rendered=rendered: f"{match[1]}{rendered}\n{match[2]}", text)  # type: ignore[misc]
    return text


def write_page(page: Path, kept: Path) -> None:
    """Write the tables of a metrics file into a page.

    Raises:
        OSError: a file cannot be read or written.
        KeptFileError: the metrics file is damaged, or lacks what the page shows.
    """
    metrics = read_metrics(kept)
    try:
        write_file(page, fill_page(page.read_text(encoding="utf-8"), metrics))
    except UnicodeDecodeError as error:
        raise KeptFileError(f"{page} is not UTF-8 ({error}); save it in UTF-8") from error
    except KeyError as error:
        raise KeptFileError(f"{kept} has no {error}, which {page} shows; {_MEASURE}") from error
    except KeptFileError as error:
        raise KeptFileError(f"{kept} does not fit {page}: {error}; {_MEASURE}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables into a page.

    Returns:
        The exit status: 0 success, 1 a file cannot be read or lacks metrics, 2 usage error.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.fingerspelling.card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("folder", type=Path, help="of the model")
    options = parser.parse_args(arguments)
    page = options.folder / PAGE
    try:
        write_page(page, options.folder / METRICS)
    except (TrainingError, OSError) as error:
        print_error(error)
        return 1
    print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
