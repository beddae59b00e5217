"""One evaluation: its figures, and the folder that keeps them with all that plots and tables need."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluation.retrieval import summarize_clips, summarize_texts
from evaluation.vectors import EmbeddedCorpus
from models.embedding import unit_length
from search.ranking import Ranking, rank
from search.scoring import DotProducts, Ints

Score = Literal["dot", "cosine"]
ABOUT = ("experiment", "model", "dataset", "split", "task", "clips", "prompts")
METRICS, ROW, ERRORS, EMBEDDINGS, RANKINGS = "metrics.json", "row.csv", "errors.csv", "embeddings.npz", "rankings.npz"


@dataclass(frozen=True)
class Searched:
    """Both searches of a data set: prompts for clips, and clips for prompts."""

    text_to_pose: Ranking
    pose_to_text: Ranking

    def summarize(self, prompt_of: Ints) -> dict[str, dict[str, float]]:
        """The authors' figures of both."""
        prompts = np.arange(len(self.text_to_pose.ranks))
        return {
            "text_to_pose": summarize_texts(self.text_to_pose, prompts, prompt_of),
            "pose_to_text": summarize_clips(self.pose_to_text.ranks),
        }


@dataclass(frozen=True)
class Run:
    """A folder that an evaluation wrote; see write_run."""

    folder: Path
    metrics: dict[str, Any]
    vectors: EmbeddedCorpus
    clip_ranks: Ints
    named: Ints
    text_ranks: Ints

    @property
    def name(self) -> str:
        """What tables and plots call it."""
        about = self.metrics
        part = "" if about["split"] == "test" else f" {about['split']}"
        return f"{about['experiment'] or about['model']} on {about['dataset']}{part}, {about['task']}"


def search(vectors: EmbeddedCorpus, *, score: Score = "dot") -> Searched:
    """Search a data set in both directions.

    Args:
        score: ``dot`` products of raw vectors, what SignCLIP is trained on, or their ``cosine``.
    """
    pose, text = (vectors.pose, vectors.text) if score == "dot" else map(unit_length, (vectors.pose, vectors.text))
    prompts = np.arange(len(text))
    return Searched(
        text_to_pose=rank(DotProducts(text, pose), prompts, vectors.prompt_of),
        pose_to_text=rank(DotProducts(pose, text), vectors.prompt_of, prompts),
    )


def flat_row(metrics: dict[str, Any]) -> dict[str, Any]:
    """A run as one row of a table: who, what, and every retrieval figure as `direction figure`."""
    row = {key: metrics[key] for key in ABOUT}
    for direction in ("pose_to_text", "text_to_pose"):
        row |= {f"{direction} {figure}": value for figure, value in metrics[direction].items()}
    return row


def write_run(folder: Path, metrics: dict[str, Any], vectors: EmbeddedCorpus, searched: Searched) -> None:
    """Write an evaluation.

    metrics.json holds its figures and settings, row.csv the same figures as a row of a table, errors.csv every clip
    whose best prompt is wrong, the worst first, embeddings.npz all vectors with ids, rankings.npz every rank.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    row = flat_row(metrics)
    with (folder / ROW).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    _write_errors(folder / ERRORS, vectors, searched.pose_to_text)
    vectors.save(folder / EMBEDDINGS)
    np.savez(
        folder / RANKINGS,
        clip_ranks=searched.pose_to_text.ranks,
        named=searched.pose_to_text.top[:, 0],
        text_ranks=searched.text_to_pose.ranks,
    )


def _write_errors(path: Path, vectors: EmbeddedCorpus, ranking: Ranking) -> None:
    worst_first = np.argsort(-ranking.ranks, kind="stable")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "sign_language", "prompt", "rank", "score", "named", "named_score"])
        for clip in worst_first[ranking.ranks[worst_first] > 1]:
            named = ranking.top[clip, 0]
            writer.writerow(
                [
                    *(vectors.ids[clip], vectors.sign_languages[clip], vectors.prompts[vectors.prompt_of[clip]]),
                    *(ranking.ranks[clip], f"{ranking.right_scores[clip]:.6g}"),
                    *(vectors.prompts[named], f"{ranking.top_scores[clip, 0]:.6g}"),
                ]
            )


def read_run(folder: Path) -> Run:
    """Read what write_run wrote.

    Raises:
        FileNotFoundError: the folder holds no evaluation.
        ValueError: its files are damaged.
    """
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    missing = [key for key in (*ABOUT, "pose_to_text", "text_to_pose") if key not in metrics]
    if missing:
        raise ValueError(f"{folder / METRICS} lacks {', '.join(missing)}")
    with np.load(folder / RANKINGS, allow_pickle=False) as ranks:
        return Run(folder, metrics, EmbeddedCorpus.load(folder / EMBEDDINGS), **{name: ranks[name] for name in ranks})
