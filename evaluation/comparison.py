"""Two runs on the same clips: how large their differences are, and whether chance explains them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from corpora.arrays import Int64Array
from evaluation.intervals import compare_scores, score_searches
from evaluation.results import Run

POSE_METRICS = ("R@1", "R@5", "R@10", "MRR", "DCG")
# A prompt's P@1 is whether its first result is right.
TEXT_METRICS = {"R@1": "P@1", "MRR": "MRR"}


def compare_pair(first: Run, second: Run) -> list[dict[str, Any]]:
    """Compare two runs search by search.

    Clips are paired by their ids, and prompts by their texts. Runs of the same clips may have other prompts, such as
    those without tags; then only clips are compared.

    Returns:
        One row for each metric, with "direction", "metric" and the entries of compare_scores; no row if the runs have
        different clips.
    """
    rows = []
    clips = _pair(first.vectors.ids.tolist(), second.vectors.ids.tolist())
    if clips is not None:
        before, after = (
            score_searches(run.clip_ranks[order]) for run, order in zip((first, second), clips, strict=True)
        )
        rows += [_make_row("pose_to_text", name, compare_scores(before[name], after[name])) for name in POSE_METRICS]
    prompts = _pair(first.vectors.prompts.tolist(), second.vectors.prompts.tolist())
    if clips is not None and prompts is not None:
        before, after = (
            score_searches(run.text_ranks[order]) for run, order in zip((first, second), prompts, strict=True)
        )
        rows += [
            _make_row("text_to_pose", shown, compare_scores(before[name], after[name]))
            for name, shown in TEXT_METRICS.items()
        ]
    return rows


def compare_with_first(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Compare each run with the first one that has the same clips; rows as those of compare_pair, with both names."""
    rows = []
    for number, run in enumerate(runs):
        for earlier in runs[:number]:
            if found := compare_pair(earlier, run):
                rows += [{"run": run.name, "compared with": earlier.name} | row for row in found]
                break
    return rows


def _make_row(direction: str, metric: str, comparison: dict[str, Any]) -> dict[str, Any]:
    return {"direction": direction, "metric": metric, **comparison}


def _pair(first: Sequence[str], second: Sequence[str]) -> tuple[Int64Array, Int64Array] | None:
    # Where each id of the first stands in both; None if they do not have the same ids, each once.
    places = {name: place for place, name in enumerate(second)}
    if len(places) != len(second) or len(first) != len(second) or set(first) != places.keys():
        return None
    return np.arange(len(first)), np.array([places[name] for name in first], dtype=np.int64)
