"""Score classification by few examples on new signers: `python -m training.fingerspelling.few_shots CONFIG`.

Each language of the lexicon is left out once. Its letters are classified by a model that never saw the language, from
1, 3 or 5 examples of each letter by signers of other languages; and letters that the bank lacks are to be rejected.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corpora.arrays import BoolArray, Float32Array, FloatArray
from corpora.errors import CorpusError
from corpora.prompts import tag_text
from models.errors import ModelsError
from processes.commands import print_error
from processes.version import PRODUCT
from search.banks import Bank, Method, build_bank, draw_shots
from search.classifiers import AnswerRules, Classifier, build_bank_classifier, build_text_classifier
from training.errors import TrainingError
from training.experiment import read_experiment_as
from training.fingerspelling.folds import Fold, iterate_folds
from training.fingerspelling.lexicon import LETTERS, LetterClip, read_lexicon
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.preparation import HandExperiment
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.scoring import bootstrap_interval, embed_letters

SHOTS = (1, 3, 5)
METHODS: tuple[Method, ...] = ("text", "prototype", "neighbours", "probe", "blend")
RATES = (0.05, 0.1, 0.2)
# Letters of each language that the bank lacks: one in five of 26.
UNKNOWN_LETTERS = 5
# Poses of random numbers for each language.
NOISE_CLIPS = 50
_RULES = AnswerRules(nearest=0, candidates=1)


@dataclass(frozen=True, eq=False)
class Task:
    """One language that is left out.

    Attributes:
        sign: its tag.
        queries: float32 (clips, embed_dim), raw vectors of its letters.
        letters: of the queries.
        others: the letters of all other languages, by the same model.
        unseen: those of them that the model never saw either. Only such clips show how well unknown ones fit: the model
            was taught to tell the clips that it saw apart.
        texts: float32 (26, embed_dim), raw vectors of the letters' names.
        noise: float32 (NOISE_CLIPS, embed_dim), raw vectors of random poses.
    """

    sign: str
    queries: Float32Array
    letters: Sequence[str]
    others: Bank
    unseen: Bank
    texts: Float32Array
    noise: Float32Array


def iterate_tasks(folds: Iterator[Fold], clips: Sequence[LetterClip]) -> Iterator[Task]:
    """Embed the lexicon by each fold's model, and give a task for each of its languages."""
    basic = [clip for clip in clips if clip.is_basic]
    for fold in folds:
        vectors = embed_letters(fold.model, [clip.features for clip in basic])
        texts = embed_texts(fold.model, fold.tokenizer, [tag_text(letter) for letter in LETTERS])
        noise = embed_letters(fold.model, _draw_noise(basic))
        for sign in fold.held_out:
            own = np.array([clip.sign == sign for clip in basic])
            unseen = np.array([clip.sign in fold.held_out for clip in basic]) & ~own
            if own.any():
                yield Task(
                    sign,
                    vectors[own],
                    _list_letters(basic, own),
                    build_bank(vectors[~own], _list_letters(basic, ~own)),
                    build_bank(vectors[unseen], _list_letters(basic, unseen)),
                    texts,
                    noise,
                )


def _list_letters(clips: Sequence[LetterClip], chosen: BoolArray) -> list[str]:
    return [clips[row].letter for row in np.flatnonzero(chosen).tolist()]


def _draw_noise(clips: Sequence[LetterClip]) -> list[Float32Array]:
    """Draw clips of random numbers with the mean and the spread of the lexicon's, point by point."""
    rng = np.random.default_rng(0)
    frames = np.concatenate([clip.features for clip in clips[::7]])
    mean, spread = frames.mean(axis=0), frames.std(axis=0)
    return [
        rng.normal(mean, spread, (int(rng.integers(10, 40)), len(mean))).astype(np.float32) for _ in range(NOISE_CLIPS)
    ]


def build_classifier(task: Task, bank: Bank, method: Method) -> Classifier:
    """Build the classifier of one method, without a background: the bank alone must tell what fits nothing."""
    texts = task.texts[[LETTERS.index(label) for label in bank.classes]]
    if method == "text":
        return build_text_classifier(texts, bank.classes, background=None)
    return build_bank_classifier(bank, method, background=None, texts=texts)


def measure_hits(task: Task, *, shots: int, method: Method, seed: int) -> BoolArray:
    """Classify a task's queries from some examples of each letter: bool (clips,), whether each was right."""
    found = build_classifier(task, draw_shots(task.others, shots, seed=seed), method).classify(task.queries, _RULES)
    return np.array([one.decision.label == letter for one, letter in zip(found, task.letters, strict=True)])


@dataclass(frozen=True, eq=False)
class Rejections:
    """What was accepted of one task.

    Attributes:
        known, unknown, noise: bool (clips,), whether each clip was accepted: letters of the bank, letters that it
            lacks, and random poses.
    """

    known: BoolArray
    unknown: BoolArray
    noise: BoolArray


def measure_rejections(task: Task, *, shots: int, method: Method, rate: float, seed: int) -> Rejections:
    """Hide some letters from the bank, and see which clips are accepted.

    Args:
        rate: the stated share of false accepts.
        seed: of the hidden letters and of the examples.
    """
    hidden = set(np.random.default_rng(seed).choice(LETTERS, UNKNOWN_LETTERS, replace=False).tolist())
    kept = np.flatnonzero([label not in hidden for label in task.unseen.labels])
    bank = draw_shots(task.unseen.select(kept), shots, seed=seed)
    classifier = build_classifier(task, bank, method)
    rules = AnswerRules(rate=rate, nearest=0, candidates=1)

    def accept(vectors: FloatArray) -> BoolArray:
        return np.array([not one.decision.rejected for one in classifier.classify(vectors, rules)], dtype=np.bool_)

    unknown = np.array([letter in hidden for letter in task.letters])
    accepted = accept(task.queries)
    return Rejections(accepted[~unknown], accepted[unknown], accept(task.noise))


def score_methods(tasks: Sequence[Task], *, seeds: Sequence[int], shots: Sequence[int] = SHOTS) -> dict[str, Any]:
    """Score every method with every number of examples.

    Args:
        seeds: of the draws of examples.
        shots: examples of each letter; there are no more than the lexicon has.
    Returns:
        By method and shots the accuracy in percent, its standard deviation over the draws, and the interval of 95 %
        over languages.
    """
    rows: dict[str, Any] = {}
    signs = [task.sign for task in tasks for _ in task.letters]
    for method in METHODS:
        for count in shots:
            drawn = [
                np.concatenate([measure_hits(task, shots=count, method=method, seed=seed) for task in tasks])
                for seed in (seeds[:1] if method == "text" else seeds)
            ]
            low, high = bootstrap_interval(np.mean(drawn, axis=0), signs)
            means = [100 * float(hits.mean()) for hits in drawn]
            rows[f"{method}, {count}"] = {
                "accuracy": round(float(np.mean(means)), 1),
                "spread": round(float(np.std(means, ddof=1)), 1) if len(means) > 1 else 0.0,
                "interval": [round(100 * low, 1), round(100 * high, 1)],
                "clips": len(signs),
            }
    return rows


def score_rejections(tasks: Sequence[Task], *, seeds: Sequence[int]) -> dict[str, Any]:
    """Score how often letters that the bank lacks, and random poses, are accepted, in percent, by method and rate."""
    rows: dict[str, Any] = {}
    for method in METHODS[1:]:
        for rate in RATES:
            parts: dict[str, list[BoolArray]] = defaultdict(list)
            for seed in seeds:
                for task in tasks:
                    found = measure_rejections(task, shots=SHOTS[-1], method=method, rate=rate, seed=seed)
                    for name in ("known", "unknown", "noise"):
                        parts[name].append(getattr(found, name))
            shares = {name: 100 * float(np.concatenate(hits).mean()) for name, hits in parts.items()}
            rows[f"{method}, {100 * rate:g} %"] = {name: round(share, 1) for name, share in shares.items()}
    return rows


def format_tables(accuracy: dict[str, Any], rejections: dict[str, Any]) -> str:
    """Format both tables for a terminal."""
    lines = [f"{'method, shots':18}{'accuracy':>10}{'over draws':>12}  95 % over languages"]
    for name, row in accuracy.items():
        low, high = row["interval"]
        lines.append(f"{name:18}{row['accuracy']:10.1f}{'± ' + format(row['spread'], '.1f'):>12}  {low}-{high}")
    lines += ["", f"{'method, rate':18}{'unknown':>10}{'noise':>8}{'known':>8}  accepted, in percent"]
    for name, row in rejections.items():
        lines.append(f"{name:18}{row['unknown']:10.1f}{row['noise']:8.1f}{row['known']:8.1f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train or read the models of the folds, and score few-shot classification on them.

    Returns:
        The exit status: 0 success, 1 the recipe cannot be trained, 2 usage error.
    """
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.few_shots", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("config", type=Path, help="the experiment file, configs/experiments/fingerspelling.yaml")
    parser.add_argument("--models", type=Path, default=Path("runs/fingerspelling_folds"), help="folder of the models")
    parser.add_argument("--draws", type=int, default=5, help="how often examples are drawn (default: 5)")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOTS, help="examples of each letter (default: 1 3 5)")
    parser.add_argument("--json", type=Path, help="metrics file to record the metrics in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        check_metrics_file(options.json)
        run = read_experiment_as(HandExperiment, options.config, changes=[])
        clips = read_lexicon()
        tasks = list(iterate_tasks(iterate_folds(run, clips, folder=options.models), clips))
        accuracy = score_methods(tasks, seeds=range(options.draws), shots=options.shots)
        rejections = score_rejections(tasks, seeds=range(options.draws))
        print(format_tables(accuracy, rejections))
        if options.json is not None:
            record_metrics(options.json, "few_shots", {"accuracy": accuracy, "rejections": rejections})
    except (TrainingError, CorpusError, ModelsError, OSError) as error:
        print_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
