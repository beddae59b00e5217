"""Score a recipe on unseen languages and signers: `python -m training.fingerspelling.crossvalidate CONFIG`.

It trains one model for each fold and seed, scores the nearest-neighbour baseline on the same folds, and prints the
table of weights/fingerspelling/README.md. A fold that the results folder already holds is not trained again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from corpora.arrays import BoolArray, Float32Array, Int64Array, StringArray
from corpora.errors import CorpusError
from corpora.prompts import tag_text
from models.architecture import SignClip
from models.errors import ModelsError
from poses import FeatureOptions
from processes.commands import parse_positive, print_error
from processes.files import write_file
from processes.version import PRODUCT
from training.distribution import open_accelerator
from training.errors import KeptFileError, TrainingError
from training.experiment import read_experiment_as
from training.fingerspelling.lexicon import (
    LETTERS,
    SPLITS,
    LetterClip,
    draw_final_partition,
    read_lexicon,
)
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.nearest import measure_warped_distances, rank_by_nearest
from training.fingerspelling.preparation import HandExperiment, prepare_letters
from training.fingerspelling.prompts import build_tokenizer, embed_texts
from training.fingerspelling.scoring import (
    add_resting_left_hand,
    bootstrap_interval,
    embed_letters,
    rank_letters,
    rank_letters_of_clips,
    summarize_ranks,
)
from training.loop import train

# Languages that use the international alphabet.
INTERNATIONAL = ("sgg", "ase", "gsg", "bzs", "asq", "ise", "mfs", "svk")
TWO_HANDED = ("cse", "csq", "tsm")
# How every fold is scored. The first is the protocol's.
SETTINGS = ("no tag", "tags", "resting left hand", "mirrored")


def score_fold(
    run: HandExperiment,
    clips: Sequence[LetterClip],
    *,
    mirrored: Sequence[LetterClip],
    held_out: Sequence[str],
    quiet: bool = False,
) -> dict[str, list[int]]:
    """Train a model without some languages, and name the letters of these.

    Args:
        run: the recipe.
        clips: the whole lexicon.
        mirrored: the same clips with every picture mirrored.
        held_out: the sign languages to test on.
        quiet: show no progress.
    Returns:
        For each of SETTINGS the rank of each tested clip's letter, in the lexicon's order.
    Raises:
        TrainingError: the recipe cannot be trained.
    """
    learned = [clip for clip in clips if clip.sign not in held_out]
    tested = [row for row, clip in enumerate(clips) if clip.sign in held_out and clip.is_basic]
    tokenizer = build_tokenizer(learned)
    model = train_fold(run, learned, tokenizer, bar_title=None if quiet else f"without {' '.join(held_out)}")
    letters = np.array([LETTERS.index(clips[row].letter) for row in tested])
    untagged = embed_texts(model, tokenizer, [tag_text(letter) for letter in LETTERS])
    tagged = _embed_own_prompts(model, tokenizer, [clips[row] for row in tested])
    features = [clips[row].features for row in tested]
    poses = embed_letters(model, features)
    resting = embed_letters(model, add_resting_left_hand(features))
    flipped = embed_letters(model, [mirrored[row].features for row in tested])
    ranks = (
        rank_letters(poses, untagged, letters),
        rank_letters_of_clips(poses, tagged, letters),
        rank_letters(resting, untagged, letters),
        rank_letters(flipped, untagged, letters),
    )
    return {setting: found.tolist() for setting, found in zip(SETTINGS, ranks, strict=True)}


def train_fold(
    run: HandExperiment, clips: Sequence[LetterClip], tokenizer: Tokenizer, *, bar_title: str | None
) -> SignClip:
    """Train a model on some clips.

    Args:
        bar_title: of a progress bar; None shows none.
    Raises:
        TrainingError: the recipe cannot be trained.
    """
    accelerator = open_accelerator(run, cpu=True)
    prepared = prepare_letters(run, run.data, clips=clips, tokenizer=tokenizer, accelerator=accelerator)
    with tqdm(total=run.steps, desc=bar_title, disable=bar_title is None) as bar:

        def advance(*_: object) -> None:
            bar.update()

        return train(run, prepared.model, sources=prepared.sources, accelerator=accelerator, report=advance)


def _embed_own_prompts(model: SignClip, tokenizer: Tokenizer, clips: Sequence[LetterClip]) -> Float32Array:
    # (clips, 26, embed_dim): all letters with each clip's own tags. To the model the held-out sign tag is an [UNK].
    languages = sorted({(clip.spoken, clip.sign) for clip in clips})
    vectors = {
        (spoken, sign): embed_texts(
            model, tokenizer, [tag_text(letter, sign=sign, spoken=spoken) for letter in LETTERS]
        )
        for spoken, sign in languages
    }
    return np.stack([vectors[clip.spoken, clip.sign] for clip in clips])


def score_baseline(clips: Sequence[LetterClip], partition: Sequence[Sequence[str]]) -> Int64Array:
    """Rank the letter of every clip from A to Z by its nearest clip outside its fold.

    Returns:
        int64 (clips,), from 1, in the lexicon's order.
    """
    basic = [clip for clip in clips if clip.is_basic]
    distances = measure_warped_distances([clip.features for clip in basic], [clip.features for clip in basic])
    letters = np.array([LETTERS.index(clip.letter) for clip in basic])
    signs = np.array([clip.sign for clip in basic])
    ranks = np.zeros(len(basic), dtype=np.int64)
    for held_out in partition:
        tested = np.isin(signs, held_out)
        between = distances[np.ix_(tested, ~tested)]
        ranks[tested] = rank_by_nearest(between, letters[tested], support_letters=letters[~tested], count=len(LETTERS))
    return ranks


def cross_validate(
    run: HandExperiment, partition: Sequence[Sequence[str]], *, seeds: Sequence[int], results: Path
) -> list[dict[str, Int64Array]]:
    """Score every fold with every seed, and keep the ranks of each fold in a file.

    Args:
        run: the recipe.
        partition: the held-out sign languages of each fold.
        seeds: of the runs.
        results: folder of the files.
    Returns:
        For each seed and each of SETTINGS the ranks of all clips from A to Z: int64 (clips,), in the lexicon's order.
    Raises:
        CorpusError: the lexicon cannot be read.
        TrainingError: the recipe cannot be trained.
    """
    clips = read_lexicon(options=FeatureOptions(trim=run.model.trim))
    mirrored = read_lexicon(options=FeatureOptions(flip="always", trim=run.model.trim))
    signs = np.array([clip.sign for clip in clips if clip.is_basic])
    scored = []
    for seed in seeds:
        ranks = {setting: np.zeros(len(signs), dtype=np.int64) for setting in SETTINGS}
        for held_out in partition:
            path = results / f"{'-'.join(held_out)}-seed{seed}.json"
            fold = _read_or_score_fold(path, run.change_seed(seed), clips, mirrored=mirrored, held_out=held_out)
            for setting, found in fold.items():
                ranks[setting][np.isin(signs, held_out)] = found
        scored.append(ranks)
    return scored


def _read_or_score_fold(
    path: Path,
    run: HandExperiment,
    clips: Sequence[LetterClip],
    *,
    mirrored: Sequence[LetterClip],
    held_out: Sequence[str],
) -> dict[str, list[int]]:
    if path.is_file():
        count = sum(clip.is_basic and clip.sign in held_out for clip in clips)
        kept = _read_fold(path, run, count)
        if kept is not None:
            return kept
    ranks = score_fold(run, clips, mirrored=mirrored, held_out=held_out)
    write_file(path, json.dumps({"run": run.describe(), "ranks": ranks}))
    return ranks


def _read_fold(path: Path, run: HandExperiment, count: int) -> dict[str, list[int]] | None:
    """Read the ranks of a fold, which has `count` clips; None: they are those of another recipe."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["run"] != run.describe():
            return None
        ranks = {setting: list(kept["ranks"][setting]) for setting in SETTINGS}
        if any(np.asarray(found).shape != (count,) or np.asarray(found).dtype.kind != "i" for found in ranks.values()):
            raise ValueError(f"it does not hold {count} ranks of each kind")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeptFileError(f"{path} is damaged ({error}); remove it, and its fold is scored again") from error
    return ranks


def summarize(scored: Sequence[dict[str, Int64Array]], baseline: Int64Array, *, signs: StringArray) -> dict[str, Any]:
    """Summarize all ranks as the table: the metrics of each row as means over seeds, with the R@1 of each seed.

    Args:
        scored: of cross_validate.
        baseline: int64 (clips,), of score_baseline.
        signs: (clips,), the sign language of each clip.
    """
    everything = np.ones(len(signs), dtype=np.bool_)
    rows = {setting: _summarize_row([ranks[setting] for ranks in scored], everything) for setting in SETTINGS}
    plain = [ranks[SETTINGS[0]] for ranks in scored]
    rows["international alphabet"] = _summarize_row(plain, np.isin(signs, INTERNATIONAL))
    rows["two-handed"] = _summarize_row(plain, np.isin(signs, TWO_HANDED))
    rows["nearest neighbour"] = _summarize_row([baseline], everything)
    hits = np.mean([ranks <= 1 for ranks in plain], axis=0)
    low, high = bootstrap_interval(hits, signs.tolist())
    languages = {str(sign): round(100 * float(hits[signs == sign].mean()), 1) for sign in np.unique(signs)}
    return {
        "rows": rows,
        "R@1_interval_over_languages": [round(100 * low, 1), round(100 * high, 1)],
        "R@1_by_language": languages,
    }


def _summarize_row(ranks: Sequence[Int64Array], chosen: BoolArray) -> dict[str, Any]:
    by_seed = [summarize_ranks(found[chosen]) for found in ranks]
    means = {name: round(float(np.mean([row[name] for row in by_seed])), 1) for name in by_seed[0]}
    return means | {"R@1_by_seed": [round(row["R@1"], 1) for row in by_seed], "clips": int(chosen.sum())}


def format_table(title: str, summary: dict[str, Any]) -> str:
    """Format the table of weights/fingerspelling/README.md."""
    lines = [title, f"{'':24}{'R@1':>7}{'R@5':>7}{'median':>8}  R@1 by seed"]
    for name, row in summary["rows"].items():
        seeds = " ".join(f"{value:.1f}" for value in row["R@1_by_seed"])
        lines.append(f"{name:24}{row['R@1']:7.1f}{row['R@5']:7.1f}{row['median_rank']:8.1f}  {seeds}")
    low, high = summary["R@1_interval_over_languages"]
    return "\n".join([*lines, f"95 % over languages: {low}-{high}; {summary['R@1_by_language']}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the protocol.

    Returns:
        The exit status: 0 success, 1 the recipe cannot be trained, 2 usage error.
    """
    options = _build_parser().parse_intermixed_args(arguments)
    torch.set_num_threads(options.threads)
    partition = draw_final_partition() if options.final else SPLITS
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    try:
        check_metrics_file(options.json)
        run = read_experiment_as(HandExperiment, options.config, changes=options.changes)
        scored = cross_validate(run, partition, seeds=seeds, results=options.results)
        clips = read_lexicon(options=FeatureOptions(trim=run.model.trim))
        signs = np.array([clip.sign for clip in clips if clip.is_basic])
        summary = summarize(scored, score_baseline(clips, partition), signs=signs)
        print(format_table("the final partition" if options.final else "the protocol's five splits", summary))
        if options.json is not None:
            record_metrics(options.json, "final_partition" if options.final else "protocol", summary)
    except (TrainingError, CorpusError, ModelsError, OSError) as error:
        print_error(error)
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.crossvalidate", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("config", type=Path, help="a file of configs/experiments with data of kind hands")
    parser.add_argument("changes", nargs="*", help="key=value")
    parser.add_argument("--seeds", type=parse_positive, default=3, help="number of seeds (default: 3)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--final", action="store_true", help="use the partition that no choice was made on")
    parser.add_argument(
        "--results", type=Path, default=Path("runs/crossvalidation"), help="folder of the ranks of finished folds"
    )
    parser.add_argument("--json", type=Path, help="metrics file to record the table in")
    parser.add_argument("--threads", type=parse_positive, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
