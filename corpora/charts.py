"""The statistics of a data set as tables and as one picture of charts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.statistics import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR_COLOR, _MARK_COLOR = "#33658a", "#c8553d"
_LANGUAGES_SHOWN = 20
_LENGTH_BINS = 40
_HANDS_BINS = np.linspace(0, 1, 21)


def write_tables(statistics: Statistics, folder: Path) -> list[Path]:
    """Write a data set's statistics as CSV files: summary, languages, concepts, clips, duplicates and problems.

    Args:
        folder: created if it does not exist.
    Returns:
        The files, one a table.
    """
    corpus = statistics.corpus
    languages = statistics.find_languages_by_label()
    tables: dict[str, tuple[Sequence[str], Iterable[Sequence[Any]]]] = {
        "summary": (("statistic", "value"), statistics.summarize().items()),
        "languages": (
            ("sign_language", "spoken_language", "clips"),
            ((*pair, count) for pair, count in statistics.count_clips_by_language().most_common()),
        ),
        "concepts": (
            ("label", "clips", "sign_languages"),
            ((label, count, len(languages[label])) for label, count in statistics.count_clips_by_label().most_common()),
        ),
        "clips": (
            ("id", "split", "label", "frames", "seconds", "left_hand", "right_hand", "face"),
            (
                (e.id, e.split, e.label, f.frames, f.seconds, f.left_hand, f.right_hand, f.face)
                for e, f in statistics.readable
            ),
        ),
        "duplicates": (
            ("group", "id", "split", "sign_language", "text"),
            (
                (number, e.id, e.split, e.sign_language, e.text)
                for number, group in enumerate(statistics.find_duplicates())
                for e in group
            ),
        ),
        "problems": (
            ("id", "problem"),
            [
                *((skipped.id, skipped.reason) for skipped in corpus.skipped),
                *((e.id, f.problem) for e, f in zip(corpus.examples, statistics.facts, strict=True) if f.problem),
            ],
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_csv(folder / f"{name}.csv", header, rows) for name, (header, rows) in tables.items()]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def draw_charts(statistics: Statistics, path: Path) -> Path:
    """Draw four charts as a PNG file: lengths, languages, clips a concept, and how often hands and faces are seen.

    Returns:
        The file's path.
    """
    # matplotlib takes 0.5 s to import, and only this command draws.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _draw_lengths(statistics, axes[0, 0])
    _draw_languages(statistics, axes[0, 1])
    _draw_concepts(statistics, axes[1, 0])
    _draw_seen(statistics, axes[1, 1])
    corpus = statistics.corpus
    figure.suptitle(
        f"{corpus.name}: {len(corpus):,} clips, {len(statistics.count_clips_by_label()):,} concepts", fontsize=14
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _draw_lengths(statistics: Statistics, axes: Axes) -> None:
    lengths = statistics.list_lengths()
    axes.set(title="Length of clips", xlabel="frames", ylabel="clips")
    if not len(lengths):
        _mark_empty(axes)
        return
    # A few clips are very long. They share the last bin, so that they do not flatten the others.
    end = max(float(np.quantile(lengths, 0.995)), 1.0)
    start = int(lengths.min())
    # Each bin spans whole frames. Other bins would hold now one length, now two, and show gaps that do not exist.
    step = int(np.ceil((end + 1 - start) / _LENGTH_BINS))
    axes.hist(np.minimum(lengths, end), bins=(np.arange(start, end + 1 + step, step) - 0.5).tolist(), color=_BAR_COLOR)
    over = float(np.mean(lengths > statistics.max_frames))
    if statistics.max_frames <= end:
        axes.axvline(statistics.max_frames, color=_MARK_COLOR)
    axes.text(
        *(0.98, 0.95, f"{over:.1%} over {statistics.max_frames} frames\nmedian {np.median(lengths):.0f}"),
        transform=axes.transAxes,
        ha="right",
        va="top",
        color=_MARK_COLOR,
    )


def _draw_languages(statistics: Statistics, axes: Axes) -> None:
    counts: dict[str, int] = {}
    for (sign_language, _), count in statistics.count_clips_by_language().items():
        counts[sign_language or "none"] = counts.get(sign_language or "none", 0) + count
    shown = sorted(counts.items(), key=lambda item: item[1])[-_LANGUAGES_SHOWN:]
    more = f", {_LANGUAGES_SHOWN} of {len(counts)}" if len(counts) > _LANGUAGES_SHOWN else ""
    axes.set(title=f"Clips by sign language{more}", xlabel="clips")
    if not shown:
        _mark_empty(axes)
        return
    bars = axes.barh([name for name, _ in shown], [count for _, count in shown], color=_BAR_COLOR)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.margins(x=0.12, y=0.02)


def _draw_concepts(statistics: Statistics, axes: Axes) -> None:
    counts = sorted(statistics.count_clips_by_label().values(), reverse=True)
    axes.set(title="Clips of each concept", xlabel="concepts, the most frequent first", ylabel="clips")
    if not counts:
        _mark_empty(axes)
        return
    axes.step(range(1, len(counts) + 1), counts, where="mid", color=_BAR_COLOR)
    axes.fill_between(range(1, len(counts) + 1), counts, step="mid", color=_BAR_COLOR, alpha=0.25)
    axes.set_ylim(0)


def _draw_seen(statistics: Statistics, axes: Axes) -> None:
    axes.set(title="How often hands and faces are seen", xlabel="share of a clip's frames", ylabel="clips")
    styles = {"right_hand": ("right hand", "-"), "left_hand": ("left hand", "--"), "face": ("face", ":")}
    drawn = False
    for part, (label, style) in styles.items():
        shares = [getattr(facts, part) for _, facts in statistics.readable if getattr(facts, part) is not None]
        if shares:
            never = float(np.mean(np.array(shares) == 0))
            counts, edges = np.histogram(shares, bins=_HANDS_BINS)
            axes.stairs(counts, edges, label=f"{label}, not seen in {never:.1%} of clips", linestyle=style, linewidth=2)
            drawn = True
    if drawn:
        axes.legend(loc="upper center", fontsize=9)
        axes.margins(y=0.25)
    else:
        _mark_empty(axes)


def _mark_empty(axes: Axes) -> None:
    axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", va="center", color="gray")
