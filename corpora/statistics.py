"""The statistics of a data set that decide how to train on it; every clip is read once."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from corpora.arrays import Int64Array
from corpora.clip_files import open_array, read_pose
from corpora.errors import ClipError
from corpora.examples import Corpus, Example
from corpora.feature_kinds import ARRAY_KINDS
from corpora.loading import OnClip, map_clips
from corpora.prompts import write_prompts
from poses import PoseError, report

# SignCLIP's limit, in all configurations but those for long clips.
_DEFAULT_MAX_FRAMES = 256


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """The measurements of one clip.

    Attributes:
        frames: number of frames in the example's span; 0 for a clip that cannot be read.
        seconds: frames over frame rate; None if the file has no frame rate.
        left_hand: share of frames, 0 to 1, in which any of the hand's points is seen; None if the file has no hands.
        right_hand: the same for the right hand.
        face: the same for the face.
        digest: equal for equal bytes and spans; "" for a clip that cannot be read.
        problem: why the clip cannot be read, or "".
    """

    frames: int
    seconds: float | None
    left_hand: float | None
    right_hand: float | None
    face: float | None
    digest: str
    problem: str = ""


@dataclass(frozen=True)
class Statistics:
    """The measurements of a data set.

    Attributes:
        corpus: the data set.
        facts: the measurements of each example, in the same order.
        max_frames: the longest clip that a model takes, in frames.
    """

    corpus: Corpus
    facts: tuple[ClipFacts, ...]
    max_frames: int

    @property
    def readable(self) -> list[tuple[Example, ClipFacts]]:
        """The examples whose clip could be read, with their measurements."""
        return [(e, f) for e, f in zip(self.corpus.examples, self.facts, strict=True) if not f.problem]

    def count_clips_by_language(self) -> Counter[tuple[str, str]]:
        """Count clips by sign language and spoken language; "" stands for an unknown language."""
        return Counter((e.sign_language or "", e.spoken_language or "") for e in self.corpus.examples)

    def count_clips_by_label(self) -> Counter[str]:
        """Count clips by concept: a letter, gloss, word or sentence."""
        return Counter(example.label for example in self.corpus.examples)

    def find_languages_by_label(self) -> dict[str, set[str]]:
        """Find the sign languages in which each concept was recorded."""
        found: dict[str, set[str]] = defaultdict(set)
        for example in self.corpus.examples:
            found[example.label].add(example.sign_language or "")
        return found

    def list_lengths(self) -> Int64Array:
        """List the number of frames of each readable clip: int64 (clips,)."""
        return np.array([facts.frames for _, facts in self.readable], dtype=np.int64)

    def find_duplicates(self) -> list[list[Example]]:
        """Find the groups of examples with the same bytes and span, the largest first."""
        groups: dict[str, list[Example]] = defaultdict(list)
        for example, facts in self.readable:
            groups[facts.digest].append(example)
        return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)

    def summarize(self) -> dict[str, float | int]:
        """Summarize the data set by one number a line, each under its name."""
        lengths = self.list_lengths()
        duplicates = self.find_duplicates()
        labels = self.count_clips_by_label()
        counts = [len(self.corpus), len(self.corpus.skipped), len(self.facts) - len(lengths)]
        summary: dict[str, float | int] = dict(zip(("clips", "rows skipped", "clips unreadable"), counts, strict=True))
        for split, count in sorted(Counter(example.split for example in self.corpus.examples).items()):
            summary[f"clips in {split}"] = count
        summary["sign languages"] = len({example.sign_language for example in self.corpus.examples})
        summary["signers"] = len({example.signer for example in self.corpus.examples} - {None})
        summary["concepts"] = len(labels)
        summary["concepts with one clip"] = sum(count == 1 for count in labels.values())
        prompts = Counter(write_prompts(self.corpus.prompt_pattern, self.corpus.examples))
        summary["prompts"] = len(prompts)
        summary["prompts of several clips"] = sum(count > 1 for count in prompts.values())
        if len(lengths):
            summary |= self._summarize_lengths(lengths)
        for part in ("left_hand", "right_hand", "face"):
            shares = [getattr(facts, part) for _, facts in self.readable if getattr(facts, part) is not None]
            if shares:
                summary[f"share of clips without {part.replace('_', ' ')}"] = float(np.mean(np.array(shares) == 0))
                summary[f"share of frames with {part.replace('_', ' ')}, mean"] = float(np.mean(shares))
        summary["clips with another's bytes"] = sum(map(len, duplicates)) - len(duplicates)
        summary["equal bytes in different splits"] = sum(len({e.split for e in group}) > 1 for group in duplicates)
        summary["equal bytes with different texts"] = sum(len({e.text for e in group}) > 1 for group in duplicates)
        return summary

    def _summarize_lengths(self, lengths: Int64Array) -> dict[str, float | int]:
        quantiles = {"shortest": 0.0, "median": 0.5, "95th percentile": 0.95, "longest": 1.0}
        summary: dict[str, float | int] = {
            f"frames, {name}": float(np.quantile(lengths, share)) for name, share in quantiles.items()
        }
        summary[f"share of clips over {self.max_frames} frames"] = float(np.mean(lengths > self.max_frames))
        seconds = [facts.seconds for _, facts in self.readable if facts.seconds is not None]
        if seconds:
            summary["hours"] = sum(seconds) / 3600
        return summary


def measure_corpus(
    corpus: Corpus, *, max_frames: int = _DEFAULT_MAX_FRAMES, workers: int = 1, on_clip: OnClip | None = None
) -> Statistics:
    """Measure every clip of a data set. Clips that cannot be read are counted.

    Args:
        corpus: the data set.
        max_frames: the longest clip that a model takes, in frames.
        workers: number of reading processes.
        on_clip: called after each clip.
    Raises:
        WorkerLostError: a reading process died.
    """
    measure = measure_array if corpus.features in ARRAY_KINDS else measure_pose
    facts: list[ClipFacts] = []
    for found in map_clips(measure, corpus.examples, workers=workers):
        facts.append(found)
        if on_clip is not None:
            on_clip(len(facts), len(corpus))
    return Statistics(corpus, tuple(facts), max_frames)


def measure_pose(example: Example) -> ClipFacts:
    """Measure a clip that is a pose."""
    try:
        pose = read_pose(example)
        quality = report(pose, person=0)
    except (ClipError, PoseError) as error:
        return ClipFacts(0, None, None, None, None, "", str(error))
    return ClipFacts(
        frames=quality.frames,
        seconds=quality.duration_s,
        left_hand=quality.left_hand,
        right_hand=quality.right_hand,
        face=quality.face,
        digest=_hash_span(example),
    )


def measure_array(example: Example) -> ClipFacts:
    """Measure a clip that is an array: features of a video encoder, or Kaggle's landmarks."""
    if example.path.suffix == ".parquet":
        return measure_pose(example)
    try:
        frames = len(open_array(example.path, mapped=True))
    except ClipError as error:
        return ClipFacts(0, None, None, None, None, "", str(error))
    return ClipFacts(frames, None, None, None, None, _hash_span(example))


def _hash_span(example: Example) -> str:
    hasher = blake2b(repr((example.start_s, example.end_s)).encode(), digest_size=16)
    with example.path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
