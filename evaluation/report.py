"""Write tables and plots of runs: `python -m evaluation.report RUN… --out FOLDER`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.comparison import compare_with_first
from evaluation.errors import EvaluationError
from evaluation.plots import plot_comparison, plot_concept, plot_confusions, plot_languages, plot_rank_curves
from evaluation.published import PUBLISHED, read_published
from evaluation.results import Run, read_run
from evaluation.tables import (
    compare_runs,
    format_differences,
    format_leaderboard,
    format_probes,
    format_results,
    list_probes,
    write_csv,
)
from evaluation.terminal import show_differences, show_probes, show_results
from processes.commands import name_command, print_error
from processes.version import PRODUCT

# Letters of a run's name in the names of its plots. The number before it tells runs apart.
SLUG_LENGTH = 40


def write_report(
    runs: Sequence[Run], out: Path, *, published: Path = PUBLISHED, every: bool = False, concept: str | None = None
) -> list[Path]:
    """Write results.csv, probes.csv, report.md and plots.

    Args:
        runs: in the order of the tables.
        out: a folder, created if need be; files of the same names are replaced.
        published: file of published metrics.
        every: also list what is published without a run.
        concept: of the heat map; None: the text that most languages have.
    Returns:
        The written files.
    Raises:
        PublishedError: the file of published metrics has another form.
        OSError: a file cannot be read or written.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = compare_runs([run.metrics for run in runs], read_published(published), every=every)
    probes = [row for run in runs for row in list_probes(run.metrics)]
    write_csv(out / "results.csv", results)
    text = f"# Results\n\nOurs, with the published metrics in brackets.\n\n{format_results(results)}"
    text += f"\n## Naming clips, with 95 % intervals\n\n{format_leaderboard([run.metrics for run in runs])}"
    written = [out / "results.csv"]
    differences = compare_with_first(runs)
    if differences:
        write_csv(out / "differences.csv", differences)
        written.append(out / "differences.csv")
        text += f"\n## Differences on the same clips\n\n{format_differences(differences)}"
    if probes:
        write_csv(out / "probes.csv", probes)
        written.append(out / "probes.csv")
        text += f"\n## Frozen embeddings\n\nMean ± standard deviation over seeds.\n\n{format_probes(probes)}"
    text += f"\n## Runs\n\n{_list_runs(runs)}"
    plot_rank_curves(runs, out / "rank_curves.png")
    pictures = [out / "rank_curves.png"]
    if len(runs) > 1:
        plot_comparison(runs, out / "comparison.png")
        pictures.append(out / "comparison.png")
    pictures += _plot_each(runs, out, concept)
    text += "\n## Plots\n\n" + "\n".join(f"![{path.stem.replace('_', ' ')}]({path.name})" for path in pictures) + "\n"
    (out / "report.md").write_text(text, encoding="utf-8")
    return [*written, out / "report.md", *pictures]


def _list_runs(runs: Sequence[Run]) -> str:
    # Where each row of the tables comes from, so that it can be audited.
    lines = []
    for run in runs:
        software, training = run.metrics.get("software", {}), run.metrics.get("training") or {}
        about = {
            "folder": run.folder.as_posix(),
            "model's digest": str(run.metrics.get("digest", "not recorded"))[:12],
            "data's digest": str(run.metrics.get("data", {}).get("sha256", "not recorded"))[:12],
            "commit": software.get("commit") or "not recorded",
            "date": run.metrics.get("date", "not recorded"),
        }
        if training:
            about |= {"trained as": training.get("experiment"), "seed": training.get("seed")}
        lines.append(f"- {run.name}: " + ", ".join(f"{key} {value}" for key, value in about.items()))
    return "\n".join(lines) + "\n"


def _plot_each(runs: Sequence[Run], out: Path, concept: str | None) -> list[Path]:
    pictures: list[Path] = []
    for number, run in enumerate(runs):
        slug = re.sub(r"[^a-z0-9]+", "_", run.name.lower()).strip("_")[:SLUG_LENGTH].strip("_")
        prefix = f"{number + 1}_{slug}" if len(runs) > 1 else slug
        languages, confusions, concepts = (
            out / f"{prefix}_{what}.png" for what in ("languages", "confusions", "concept")
        )
        plot_languages(run, languages)
        pictures.append(languages)
        pictures += [confusions] if plot_confusions(run, confusions) else []
        pictures += [concepts] if plot_concept(run, concepts, concept=concept) else []
    return pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a report.

    Returns:
        The exit status: 0 success, 1 a run or a file cannot be read, 2 usage error, 130 interrupted.
    """
    options = _build_parser().parse_args(arguments)
    try:
        runs = [read_run(folder) for folder in options.runs]
        if options.concept is not None:
            _require_text(runs, options.concept)
        written = write_report(
            runs, options.out, published=options.published, every=options.all, concept=options.concept
        )
    except (OSError, EvaluationError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    rows = compare_runs([run.metrics for run in runs], read_published(options.published), every=options.all)
    print(show_results(rows, [run.metrics.get("intervals", {}) for run in runs]))
    if differences := compare_with_first(runs):
        print(show_differences(differences))
    if probes := [row for run in runs for row in list_probes(run.metrics)]:
        print(show_probes(probes))
    for path in written:
        print(path)
    return 0


def _require_text(runs: Sequence[Run], text: str) -> None:
    if not any(text in run.vectors.texts.tolist() for run in runs):
        raise EvaluationError(f"no run has the text {text!r}; --concept must be a text of the data set")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("evaluation.report"), description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a folder that python -m evaluation wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and plots")
    parser.add_argument(
        "--published", type=Path, default=PUBLISHED, help="file of published metrics to print beside ours"
    )
    parser.add_argument("--all", action="store_true", help="also list what is published without a run")
    parser.add_argument("--concept", help="text of the heat map (default: the text that most languages have)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
