"""Score spotting on recordings that are drawn from the lexicon: `python -m training.fingerspelling.spotting MODEL`.

A recording is a few spelled words by one signer, with pauses, ways between letters, and hands that move about without a
letter. The same seeds draw the same recordings.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pose_format import Pose

from corpora.arrays import Float32Array, Int64Array
from corpora.errors import CorpusError
from models.errors import ModelsError
from poses import PoseError, read
from poses.recordings import HeldRecording
from poses.windows import extract_windows, plan_windows
from processes.commands import print_error
from processes.version import PRODUCT
from search.banks import build_bank
from search.classifiers import build_bank_classifier
from search.spotter import Spotter
from search.spotting import measure_iou
from training.errors import TrainingError
from training.fingerspelling.lexicon import FEATURE_KIND, LetterClip, read_lexicon
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.recordings import DrawnRecording, LetterSpan, draw_recording
from training.fingerspelling.scoring import embed_letters
from training.fingerspelling.trained import load_trained

RATES = (0.05, 0.02, 0.01, 0.005)
# A find is right when it overlaps a letter of its label by this much, as in temporal action localization.
LEAST_IOU = 0.5
WORDS, LETTERS_A_WORD = 4, 5
# Windows that share less than this with every letter show what lies between letters.
_MOST_SHARED = 0.15
# Languages of the first part draw the background, those of the second are searched.
_BACKGROUND_SEED, _SEED = 100, 1000


@dataclass(frozen=True, eq=False)
class WindowVectors:
    """The windows of one recording: int64 (windows, 2) and float32 (windows, embed_dim), raw."""

    places: Int64Array
    vectors: Float32Array


@dataclass
class Counts:
    """What was found in some recordings.

    Attributes:
        right: finds of a letter where it is.
        found: all finds.
        letters: that there are.
        words: words of which every letter was found.
    """

    right: int = 0
    found: int = 0
    letters: int = 0
    words: int = 0


def draw_words(clips: Sequence[LetterClip], *, seed: int) -> DrawnRecording:
    """Draw a recording of WORDS words from clips of one signer; no letter comes twice in a word."""
    rng = np.random.default_rng(seed)
    count = min(LETTERS_A_WORD, len(clips))
    words = [[clips[row] for row in rng.choice(len(clips), count, replace=False)] for _ in range(WORDS)]
    return draw_recording([[(_read(clip), clip.letter) for clip in word] for word in words], seed=seed)


def _read(clip: LetterClip) -> Pose:
    return read(clip.path.read_bytes())


def embed_windows(model: Any, recording: DrawnRecording, *, max_frames: int) -> WindowVectors:
    """Embed the windows of a recording, as the service does."""
    held = HeldRecording(recording.pose)
    plan = plan_windows(held.frames, held.fps, max_frames=max_frames)
    places, features = [], []
    for window in extract_windows(held, plan, FEATURE_KIND):
        if window.features is not None:
            places.append((window.start, window.stop))
            features.append(window.features)
    return WindowVectors(np.array(places, dtype=np.int64), embed_letters(model, features))


def choose_between(windows: WindowVectors, spans: Sequence[LetterSpan]) -> Float32Array:
    """Choose the windows that show no letter: float32 (chosen, embed_dim)."""
    shared = [
        max(measure_iou((start, stop), (span.start, span.stop)) for span in spans)
        for start, stop in windows.places.tolist()
    ]
    return windows.vectors[np.array(shared) < _MOST_SHARED]


def count_finds(recording: DrawnRecording, spotter: Spotter) -> Counts:
    """Compare what a spotter found in a recording with what is there. Each letter counts once."""
    fps = float(recording.pose.body.fps)
    finds = spotter.find(fps)
    taken: set[int] = set()
    for find in sorted(finds, key=lambda one: -one.score):
        for number, span in enumerate(recording.spans):
            place = (span.start / fps, span.stop / fps)
            fits = span.letter == find.label and measure_iou((find.start_s, find.end_s), place) >= LEAST_IOU
            if fits and number not in taken:
                taken.add(number)
                break
    per_word = len(recording.spans) // WORDS
    whole = sum(all(number in taken for number in range(w * per_word, (w + 1) * per_word)) for w in range(WORDS))
    return Counts(len(taken), len(finds), len(recording.spans), whole)


def iterate_scores(
    model: Any, clips: Sequence[LetterClip], *, recordings: int, max_frames: int
) -> Iterator[tuple[str, float, Counts]]:
    """Search recordings of some languages for the language's own letters, with a background of other languages.

    Yields:
        The language, the rate of false windows, and what was found.
    """
    by_sign: dict[str, list[LetterClip]] = defaultdict(list)
    for clip in clips:
        if clip.is_basic:
            by_sign[clip.sign].append(clip)
    signs = sorted(by_sign)
    between = []
    for number, sign in enumerate(signs[: len(signs) // 2]):
        drawn = draw_words(by_sign[sign], seed=_BACKGROUND_SEED + number)
        between.append(choose_between(embed_windows(model, drawn, max_frames=max_frames), drawn.spans))
    background = np.concatenate(between)
    for sign in signs[len(signs) // 2 :]:
        own = by_sign[sign]
        bank = build_bank(embed_letters(model, [clip.features for clip in own]), [clip.letter for clip in own])
        classifier = build_bank_classifier(bank, "prototype", background=background)
        for number in range(recordings):
            drawn = draw_words(own, seed=_SEED + number)
            windows = embed_windows(model, drawn, max_frames=max_frames)
            for rate in RATES:
                spotter = Spotter(classifier, rate=rate)
                spotter.add(windows.places, windows.vectors)
                yield sign, rate, count_finds(drawn, spotter)


def summarize_counts(scores: Sequence[tuple[str, float, Counts]]) -> dict[str, dict[str, float]]:
    """Summarize by rate: precision, recall and whole words in percent."""
    rows = {}
    for rate in RATES:
        own = [counts for _, found_rate, counts in scores if found_rate == rate]
        right, found = sum(one.right for one in own), sum(one.found for one in own)
        rows[f"{100 * rate:g} %"] = {
            "precision": round(100 * right / max(found, 1), 1),
            "recall": round(100 * right / sum(one.letters for one in own), 1),
            "words": round(100 * sum(one.words for one in own) / (WORDS * len(own)), 1),
            "letters": sum(one.letters for one in own),
        }
    return rows


def format_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format the table of summarize_counts."""
    lines = [f"{'rate':8}{'precision':>11}{'recall':>8}{'words':>8}{'letters':>9}"]
    lines += [
        f"{name:8}{row['precision']:11.1f}{row['recall']:8.1f}{row['words']:8.1f}{row['letters']:9}"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Score a model of letters.

    Returns:
        The exit status: 0 success, 1 the model or the lexicon cannot be read, 2 usage error.
    """
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.spotting", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", nargs="?", default="fingerspelling", help="a name of the catalog")
    parser.add_argument("--recordings", type=int, default=3, help="of each language (default: 3)")
    parser.add_argument("--json", type=Path, help="metrics file to record the metrics in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        check_metrics_file(options.json)
        trained, clips = load_trained(options.model), read_lexicon()
        max_frames = trained.config.max_frames
        scores = list(iterate_scores(trained.model, clips, recordings=options.recordings, max_frames=max_frames))
        rows = summarize_counts(scores)
        print(format_table(rows))
        if options.json is not None:
            record_metrics(options.json, "spotting", rows)
    except (TrainingError, CorpusError, ModelsError, PoseError, OSError) as error:
        print_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
