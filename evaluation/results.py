"""The results of one evaluation, and the folder that keeps them with all that plots and tables need."""

import csv
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from corpora.arrays import Float32Array, Int64Array
from evaluation.errors import EvaluationError, RunFolderError
from evaluation.intervals import Interval, average_classes, estimate_intervals, score_searches
from evaluation.retrieval import CUTOFFS, summarize_clips, summarize_texts
from evaluation.run_checks import check_arrays, check_metrics
from evaluation.vectors import EmbeddedCorpus
from models.vectors import normalize_vectors
from processes.files import write_file
from processes.os_errors import describe_error
from search.ranking import Ranking, rank
from search.scoring import DotProducts, Scores, WithinGroups

ScoreKind = Literal["dot", "cosine"]
ABOUT = ("experiment", "model", "dataset", "split", "task", "clips", "prompts")
METRICS_FILE, ROW_FILE, ERRORS_FILE, CLASSES_FILE = "metrics.json", "row.csv", "errors.csv", "classes.csv"
EMBEDDINGS_FILE, RANKINGS_FILE = "embeddings.npz", "rankings.npz"

# What reading of JSON and of arrays raises where bytes are wrong; the last for lists nested thousands deep.
_DAMAGES = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    RecursionError,
)


@dataclass(frozen=True)
class SearchResults:
    """Both searches of a data set.

    Attributes:
        text_to_pose: each prompt searches the clips.
        pose_to_text: each clip searches the prompts.
    """

    text_to_pose: Ranking
    pose_to_text: Ranking

    def summarize(self, prompt_of: Int64Array) -> dict[str, dict[str, float]]:
        """Compute the authors' metrics of both searches, and those of leaderboards.

        Args:
            prompt_of: int64 (clips,), the row of each clip's prompt.
        """
        prompts = np.arange(len(self.text_to_pose.ranks))
        scores = score_searches(self.pose_to_text.ranks)
        more = {name: float(scores[name].mean()) for name in ("MRR", "DCG")}
        more |= {f"class_R@{k}": average_classes(scores[f"R@{k}"], prompt_of) for k in CUTOFFS}
        return {
            "text_to_pose": summarize_texts(self.text_to_pose, prompts, prompt_of),
            "pose_to_text": summarize_clips(self.pose_to_text.ranks) | more,
        }

    def estimate_intervals(self, prompt_of: Int64Array) -> dict[str, dict[str, Interval]]:
        """Estimate the 95 % intervals of metrics, for each direction.

        Args:
            prompt_of: int64 (clips,), the row of each clip's prompt.
        """
        prompts = np.arange(len(self.text_to_pose.ranks))
        hits = prompt_of[self.text_to_pose.top] == prompts[:, None]
        found = {f"P@{k}": hits[:, :k].sum(axis=1) / k for k in CUTOFFS}
        of_texts = estimate_intervals(self.text_to_pose.ranks, more=found)
        return {
            # A prompt's R@k here is whether any of its clips is found, which is not the authors' R@k.
            "text_to_pose": {name: ends for name, ends in of_texts.items() if name in found or name == "median_rank"},
            "pose_to_text": estimate_intervals(self.pose_to_text.ranks, classes=prompt_of),
        }

    def count_ties(self) -> dict[str, int]:
        """Count the searches of each direction whose rank the order of equal scores decides, and not the model."""
        return {
            "text_to_pose": int(np.count_nonzero(self.text_to_pose.ties)),
            "pose_to_text": int(np.count_nonzero(self.pose_to_text.ties)),
        }

    def describe_ties(self) -> str | None:
        """Describe tied ranks as a warning; None if there are none."""
        clips, prompts = self.count_ties()["pose_to_text"], self.count_ties()["text_to_pose"]
        if not clips and not prompts:
            return None
        return (
            f"tied ranks: {clips} of {len(self.pose_to_text.ties)} clips score their prompt and a wrong one equally, "
            f"and {prompts} of {len(self.text_to_pose.ties)} prompts a right clip and a wrong one. Of equal scores the "
            "lower index comes first, which says nothing of the model"
        )


@dataclass(frozen=True)
class Run:
    """The contents of a folder that an evaluation wrote; see write_run.

    Attributes:
        metrics: settings, counts and metrics.
        vectors: the embedded data set.
        clip_ranks: int64 (clips,), the rank of each clip's prompt, from 1.
        named: int64 (clips,), the prompt of the highest score for each clip.
        text_ranks: int64 (prompts,), the rank of each prompt's first right clip, from 1.
    """

    folder: Path
    metrics: dict[str, Any]
    vectors: EmbeddedCorpus
    clip_ranks: Int64Array
    named: Int64Array
    text_ranks: Int64Array

    @property
    def name(self) -> str:
        """The run's name in tables and plots."""
        about = self.metrics
        part = "" if about["split"] == "test" else f" {about['split']}"
        return f"{about['experiment'] or about['model']} on {about['dataset']}{part}, {about['task']}"


def search_corpus(vectors: EmbeddedCorpus, *, score: ScoreKind = "dot", is_text_known: bool = False) -> SearchResults:
    """Search a data set in both directions.

    Args:
        score: ``dot`` compares raw vectors by dot products, as SignCLIP is trained; ``cosine`` compares unit vectors.
        is_text_known: a clip searches the prompts of its own text alone, which differ in their languages.
    Raises:
        EvaluationError: a vector holds NaN or infinity.
    """
    pose, text = _scale(vectors.pose, score), _scale(vectors.text, score)
    prompts = np.arange(len(text))
    try:
        clip_scores: Scores = DotProducts(pose, text)
        if is_text_known:
            groups = _group_prompts(vectors)
            clip_scores = WithinGroups(clip_scores, groups[vectors.prompt_of], groups)
        return SearchResults(
            text_to_pose=rank(DotProducts(text, pose), prompts, vectors.prompt_of),
            pose_to_text=rank(clip_scores, vectors.prompt_of, prompts),
        )
    except ValueError as error:
        raise EvaluationError(f"the model's vectors cannot be searched: {error}") from error


def _group_prompts(vectors: EmbeddedCorpus) -> Int64Array:
    """Number the texts of all prompts: int64 (prompts,), equal for prompts of one text."""
    _, firsts = np.unique(vectors.prompt_of, return_index=True)
    numbers: Int64Array = np.unique(vectors.texts[firsts], return_inverse=True)[1]
    return numbers


def _scale(vectors: Float32Array, score: ScoreKind) -> Float32Array:
    return vectors if score == "dot" else normalize_vectors(vectors)


def search_prompts(
    pose: Float32Array, text: Float32Array, prompt_of: Int64Array, *, score: ScoreKind = "dot"
) -> Ranking:
    """Search prompts by clips, among more prompts than the clips have.

    Args:
        pose: float32 (clips, embed_dim), raw.
        text: float32 (prompts, embed_dim), raw.
        prompt_of: int64 (clips,), the row of each clip's prompt.
        score: see search_corpus.
    Raises:
        EvaluationError: a vector holds NaN or infinity.
    """
    try:
        return rank(DotProducts(_scale(pose, score), _scale(text, score)), prompt_of, np.arange(len(text)))
    except ValueError as error:
        raise EvaluationError(f"the model's vectors cannot be searched: {error}") from error


def flatten_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Turn a run's metrics into one row of a table: what was evaluated, and each metric as `direction metric`."""
    row = {key: metrics[key] for key in ABOUT}
    for direction in ("pose_to_text", "text_to_pose"):
        row |= {f"{direction} {name}": value for name, value in metrics[direction].items()}
    return row


def write_run(folder: Path, metrics: dict[str, Any], *, vectors: EmbeddedCorpus, results: SearchResults) -> None:
    """Write the results of an evaluation into a folder.

    metrics.json holds settings and metrics, row.csv the same metrics as a row of a table, errors.csv each clip whose
    best prompt is wrong, the worst first, classes.csv how well each prompt's clips are named, embeddings.npz all
    vectors with their ids, and rankings.npz all ranks.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A folder without this file holds no evaluation, so that a run which is cut off is not taken for one.
    (folder / METRICS_FILE).unlink(missing_ok=True)
    row = flatten_metrics(metrics)
    with (folder / ROW_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    _write_errors(folder / ERRORS_FILE, vectors, results.pose_to_text)
    _write_classes(folder / CLASSES_FILE, vectors, results.pose_to_text)
    vectors.save(folder / EMBEDDINGS_FILE)
    np.savez(
        folder / RANKINGS_FILE,
        clip_ranks=results.pose_to_text.ranks,
        named=results.pose_to_text.top[:, 0],
        text_ranks=results.text_to_pose.ranks,
    )
    write_file(folder / METRICS_FILE, json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")


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
                    *(ranking.ranks[clip], f"{ranking.relevant_scores[clip]:.6g}"),
                    *(vectors.prompts[named], f"{ranking.top_scores[clip, 0]:.6g}"),
                ]
            )


def _write_classes(path: Path, vectors: EmbeddedCorpus, ranking: Ranking) -> None:
    clips = np.bincount(vectors.prompt_of)
    shares = {
        f"R@{k}": np.bincount(vectors.prompt_of, weights=ranking.ranks <= k) / np.maximum(clips, 1) for k in CUTOFFS
    }
    ranks = np.bincount(vectors.prompt_of, weights=ranking.ranks) / np.maximum(clips, 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "clips", *shares, "mean_rank"])
        for row in np.lexsort((-ranks, shares["R@1"])):
            values = [f"{share[row]:.4f}" for share in shares.values()]
            writer.writerow([vectors.prompts[row], clips[row], *values, f"{ranks[row]:.4g}"])


def read_run(folder: Path) -> Run:
    """Read what write_run wrote.

    Raises:
        RunFolderError: the folder holds no evaluation, or its files are damaged.
    """
    try:
        text = (folder / METRICS_FILE).read_text(encoding="utf-8")
        metrics = check_metrics(folder / METRICS_FILE, json.loads(text))
        vectors = EmbeddedCorpus.load(folder / EMBEDDINGS_FILE)
        with np.load(folder / RANKINGS_FILE, allow_pickle=False) as ranks:
            found = {name: ranks[name] for name in ("clip_ranks", "named", "text_ranks")}
        check_arrays(folder, vectors, **found)
        return Run(folder, metrics, vectors, **found)
    except OSError as error:
        raise RunFolderError(f"{folder} holds no evaluation: {describe_error(error)}") from error
    except _DAMAGES as error:
        raise RunFolderError(f"{folder} holds a damaged evaluation: {error}; evaluate the model again") from error
