"""Score the recipe on languages and signers it never saw: `python -m training.fingerspelling.crossvalidate CONFIG`.

Trains once a fold and seed, beside the nearest-neighbour baseline on the same folds, and prints the table of
weights/fingerspelling/README.md. Folds that a results folder already holds are not trained again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evaluation.command_line import parse_positive
from models.architecture import SignClip
from models.errors import ModelsError
from poses import FeatureOptions
from training.experiment import Experiment, ExperimentError, read_experiment
from training.fingerspelling.figures import record
from training.fingerspelling.lexicon import (
    LETTERS,
    SPLITS,
    Clip,
    final_partition,
    read_lexicon,
)
from training.fingerspelling.nearest import nearest_ranks, warped_distances
from training.fingerspelling.prompts import build_tokenizer, embed_texts, prompt
from training.fingerspelling.scoring import (
    add_resting_left_hand,
    embed_clips,
    letter_ranks,
    spread_over_groups,
    summarize_ranks,
)
from training.loop import train
from training.preparation import open_accelerator, prepare_letters

INTERNATIONAL = ("sgg", "ase", "gsg", "bzs", "asq", "ise", "mfs", "svk")
"""Languages that use the international alphabet."""
TWO_HANDED = ("cse", "csq", "tsm")
SETTINGS = ("no tag", "tags", "resting left hand", "mirrored")
"""Ways every fold is scored; the first is the protocol's."""


def score_fold(
    run: Experiment, clips: list[Clip], mirrored: list[Clip], held_out: Sequence[str], *, quiet: bool = False
) -> dict[str, list[int]]:
    """Train without some languages and name their letters.

    Args:
        run: the recipe.
        clips, mirrored: the whole lexicon, and the same with every picture mirrored.
        held_out: sign languages that are tested and not trained on.
    Returns:
        for each of SETTINGS the rank of each tested clip's letter, in the lexicon's order.
    """
    known = [clip for clip in clips if clip.sign not in held_out]
    tested = [row for row, clip in enumerate(clips) if clip.sign in held_out and clip.is_basic]
    tokenizer = build_tokenizer(known)
    accelerator = open_accelerator(run, cpu=True)
    prepared = prepare_letters(run, known, tokenizer, accelerator)
    bar = tqdm(total=run.steps, desc=f"without {' '.join(held_out)}", disable=quiet)
    with bar:
        model = train(run, prepared.model, prepared.sources, accelerator, report=lambda *_: bar.update())
    letters = np.array([LETTERS.index(clips[row].letter) for row in tested])
    untagged = embed_texts(model, tokenizer, [prompt(letter) for letter in LETTERS])
    tagged = _own_prompts(model, tokenizer, [clips[row] for row in tested])
    features = [clips[row].features for row in tested]
    poses = embed_clips(model, features)
    resting = embed_clips(model, add_resting_left_hand(features))
    flipped = embed_clips(model, [mirrored[row].features for row in tested])
    ranks = (
        letter_ranks(poses, untagged, letters),
        letter_ranks(poses, tagged, letters),
        letter_ranks(resting, untagged, letters),
        letter_ranks(flipped, untagged, letters),
    )
    return {setting: found.tolist() for setting, found in zip(SETTINGS, ranks, strict=True)}


def _own_prompts(model: SignClip, tokenizer: Any, clips: list[Clip]) -> np.ndarray:
    # (clips, 26, embed_dim): all letters with each clip's own tags. The held-out sign tag is an [UNK] to the model.
    languages = sorted({(clip.spoken, clip.sign) for clip in clips})
    vectors = {
        (spoken, sign): embed_texts(model, tokenizer, [prompt(letter, sign=sign, spoken=spoken) for letter in LETTERS])
        for spoken, sign in languages
    }
    return np.stack([vectors[clip.spoken, clip.sign] for clip in clips])


def score_baseline(clips: list[Clip], partition: Sequence[Sequence[str]]) -> np.ndarray:
    """Rank every A-Z clip's letter by its nearest clip outside its fold; int (clips,), in the lexicon's order."""
    basic = [clip for clip in clips if clip.is_basic]
    distances = warped_distances([clip.features for clip in basic], [clip.features for clip in basic])
    letters = np.array([LETTERS.index(clip.letter) for clip in basic])
    signs = np.array([clip.sign for clip in basic])
    ranks = np.zeros(len(basic), dtype=int)
    for held_out in partition:
        tested = np.isin(signs, held_out)
        between = distances[np.ix_(tested, ~tested)]
        ranks[tested] = nearest_ranks(between, letters[tested], letters[~tested], count=len(LETTERS))
    return ranks


def cross_validate(
    run: Experiment, partition: Sequence[Sequence[str]], seeds: Sequence[int], results: Path
) -> list[dict[str, np.ndarray]]:
    """Score every fold with every seed, keeping each fold's ranks in a file.

    Returns:
        for each seed, for each of SETTINGS, the ranks of all A-Z clips in the lexicon's order.
    """
    clips = read_lexicon()
    mirrored = read_lexicon(options=FeatureOptions(flip="always"))
    signs = np.array([clip.sign for clip in clips if clip.is_basic])
    scored = []
    for seed in seeds:
        ranks = {setting: np.zeros(len(signs), dtype=int) for setting in SETTINGS}
        for held_out in partition:
            for setting, found in _kept_fold(run.with_seed(seed), clips, mirrored, held_out, results).items():
                ranks[setting][np.isin(signs, held_out)] = found
        scored.append(ranks)
    return scored


def _kept_fold(
    run: Experiment, clips: list[Clip], mirrored: list[Clip], held_out: Sequence[str], results: Path
) -> dict[str, list[int]]:
    path = results / f"{'-'.join(held_out)}-seed{run.seed}.json"
    if path.is_file():
        kept = json.loads(path.read_text())
        if kept["run"] == run.describe():
            return dict(kept["ranks"])
    ranks = score_fold(run, clips, mirrored, held_out)
    results.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"run": run.describe(), "ranks": ranks}))
    return ranks


def summarize(scored: list[dict[str, np.ndarray]], baseline: np.ndarray, signs: np.ndarray) -> dict[str, Any]:
    """Make the table: each row's figures as mean over seeds, with each seed's R@1.

    Args:
        scored: of cross_validate.
        baseline: of score_baseline.
        signs: each clip's language.
    """
    everything = np.ones(len(signs), dtype=bool)
    rows = {setting: _row([ranks[setting] for ranks in scored], everything) for setting in SETTINGS}
    plain = [ranks[SETTINGS[0]] for ranks in scored]
    rows["international alphabet"] = _row(plain, np.isin(signs, INTERNATIONAL))
    rows["two-handed"] = _row(plain, np.isin(signs, TWO_HANDED))
    rows["nearest neighbour"] = _row([baseline], everything)
    hits = np.mean([ranks <= 1 for ranks in plain], axis=0)
    low, high = spread_over_groups(hits, signs.tolist())
    languages = {str(sign): round(100 * float(hits[signs == sign].mean()), 1) for sign in np.unique(signs)}
    return {
        "rows": rows,
        "R@1_interval_over_languages": [round(100 * low, 1), round(100 * high, 1)],
        "R@1_by_language": languages,
    }


def _row(ranks: list[np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    by_seed = [summarize_ranks(found[chosen]) for found in ranks]
    means = {name: round(float(np.mean([row[name] for row in by_seed])), 1) for name in by_seed[0]}
    return means | {"R@1_by_seed": [round(row["R@1"], 1) for row in by_seed], "clips": int(chosen.sum())}


def print_table(title: str, summary: dict[str, Any]) -> None:
    """Print what weights/fingerspelling/README.md shows."""
    print(f"\n{title}\n{'':24}{'R@1':>7}{'R@5':>7}{'median':>8}  R@1 by seed")
    for name, row in summary["rows"].items():
        seeds = " ".join(f"{value:.1f}" for value in row["R@1_by_seed"])
        print(f"{name:24}{row['R@1']:7.1f}{row['R@5']:7.1f}{row['median_rank']:8.1f}  {seeds}")
    low, high = summary["R@1_interval_over_languages"]
    print(f"95 % over languages: {low}-{high}; {summary['R@1_by_language']}")


def main() -> None:
    """Run the protocol from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.crossvalidate", description=__doc__)
    parser.add_argument("config", type=Path, help="a file of configs/experiments")
    parser.add_argument("changes", nargs="*", help="key=value")
    parser.add_argument("--seeds", type=parse_positive, default=3, help="how many, from 0")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--final", action="store_true", help="the partition that no choice was made on")
    parser.add_argument("--results", type=Path, default=Path("runs/crossvalidation"), help="folder for folds' ranks")
    parser.add_argument("--json", type=Path, help="results file that also gets the table")
    parser.add_argument("--threads", type=parse_positive, default=1)
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(arguments.threads)
    try:
        run = read_experiment(arguments.config, arguments.changes)
    except (ExperimentError, ModelsError) as error:
        sys.exit(f"error: {error}")
    partition = final_partition() if arguments.final else SPLITS
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    scored = cross_validate(run, partition, seeds, arguments.results)
    clips = read_lexicon()
    signs = np.array([clip.sign for clip in clips if clip.is_basic])
    summary = summarize(scored, score_baseline(clips, partition), signs)
    print_table("partition kept to the end" if arguments.final else "the protocol's five splits", summary)
    if arguments.json is not None:
        record(arguments.json, "final_partition" if arguments.final else "protocol", summary)


if __name__ == "__main__":
    main()
