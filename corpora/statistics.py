"""What a data set holds, measured: every clip looked at once, and the figures that decide how to train on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from corpora.clip_files import read_pose
from corpora.errors import ClipError
from corpora.examples import Corpus, Example
from corpora.feature_kinds import ARRAY_KINDS
from corpora.loading import OnClip, map_clips
from poses import PoseError, report

_DEFAULT_MAX_FRAMES = 256
"""SignCLIP's, in all but its long-clip configurations."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What is measured of one clip.

    Attributes:
        frames: in the span; 0 for a clip that cannot be read.
        seconds: frames over fps; None where the file has no rate.
        left_hand: share of frames, 0 to 1, in which a point of it is seen; None where there is none to look for.
        right_hand: the same.
        face: the same.
        digest: equal for equal bytes and spans; "" for a clip that cannot be read.
        problem: why it cannot be read, or "".
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
    """A data set's figures.

    Attributes:
        corpus: what was measured.
        facts: one for each example.
        max_frames: what a model takes.
    """

    corpus: Corpus
    facts: tuple[ClipFacts, ...]
    max_frames: int

    @property
    def readable(self) -> list[tuple[Example, ClipFacts]]:
        """Examples whose clip could be read."""
        return [(e, f) for e, f in zip(self.corpus.examples, self.facts, strict=True) if not f.problem]

    def clips_by_language(self) -> Counter[tuple[str, str]]:
        """Clips by sign language and text's language."""
        return Counter((e.sign_language or "", e.spoken_language or "") for e in self.corpus.examples)

    def clips_by_label(self) -> Counter[str]:
        """Clips by concept: letter, gloss, word or sentence."""
        return Counter(example.label for example in self.corpus.examples)

    def languages_by_label(self) -> dict[str, set[str]]:
        """Sign languages in which a concept was recorded."""
        found: dict[str, set[str]] = defaultdict(set)
        for example in self.corpus.examples:
            found[example.label].add(example.sign_language or "")
        return found

    def lengths(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Frames of each readable clip."""
        return np.array([facts.frames for _, facts in self.readable], dtype=np.int64)

    def duplicates(self) -> list[list[Example]]:
        """Groups of examples with the same bytes and span, largest first."""
        groups: dict[str, list[Example]] = defaultdict(list)
        for example, facts in self.readable:
            groups[facts.digest].append(example)
        return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)

    def summary(self) -> dict[str, float | int]:
        """The figures that fit a line each."""
        lengths = self.lengths()
        duplicates = self.duplicates()
        labels = self.clips_by_label()
        counts = [len(self.corpus), len(self.corpus.skipped), len(self.facts) - len(lengths)]
        figures: dict[str, float | int] = dict(zip(("clips", "rows skipped", "clips unreadable"), counts, strict=True))
        for split, count in sorted(Counter(example.split for example in self.corpus.examples).items()):
            figures[f"clips in {split}"] = count
        figures["sign languages"] = len({example.sign_language for example in self.corpus.examples})
        figures["signers"] = len({example.signer for example in self.corpus.examples} - {None})
        figures["concepts"] = len(labels)
        figures["concepts with one clip"] = sum(count == 1 for count in labels.values())
        prompts = Counter(self.corpus.prompt(example) for example in self.corpus.examples)
        figures["prompts"] = len(prompts)
        figures["prompts of several clips"] = sum(count > 1 for count in prompts.values())
        if len(lengths):
            figures |= self._length_figures(lengths)
        for part in ("left_hand", "right_hand", "face"):
            shares = [getattr(facts, part) for _, facts in self.readable if getattr(facts, part) is not None]
            if shares:
                figures[f"share of clips without {part.replace('_', ' ')}"] = float(np.mean(np.array(shares) == 0))
                figures[f"share of frames with {part.replace('_', ' ')}, mean"] = float(np.mean(shares))
        figures["clips with another's bytes"] = sum(map(len, duplicates)) - len(duplicates)
        figures["equal bytes in different splits"] = sum(len({e.split for e in group}) > 1 for group in duplicates)
        figures["equal bytes with different texts"] = sum(len({e.text for e in group}) > 1 for group in duplicates)
        return figures

    def _length_figures(self, lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, float | int]:
        quantiles = {"shortest": 0.0, "median": 0.5, "95th percentile": 0.95, "longest": 1.0}
        figures: dict[str, float | int] = {
            f"frames, {name}": float(np.quantile(lengths, share)) for name, share in quantiles.items()
        }
        figures[f"share of clips over {self.max_frames} frames"] = float(np.mean(lengths > self.max_frames))
        seconds = [facts.seconds for _, facts in self.readable if facts.seconds is not None]
        if seconds:
            figures["hours"] = sum(seconds) / 3600
        return figures


def measure(
    corpus: Corpus, *, max_frames: int = _DEFAULT_MAX_FRAMES, workers: int = 1, on_clip: OnClip | None = None
) -> Statistics:
    """Look at every clip of a data set.

    Args:
        corpus: what to measure; clips that cannot be read are counted, not fatal.
        max_frames: what a model takes.
        workers: processes that read.
        on_clip: told of progress.
    Raises:
        WorkerLostError: a reading process died.
    """
    look = look_at_array if corpus.features in ARRAY_KINDS else look_at_pose
    facts: list[ClipFacts] = []
    for found in map_clips(look, corpus.examples, workers=workers):
        facts.append(found)
        if on_clip is not None:
            on_clip(len(facts), len(corpus))
    return Statistics(corpus, tuple(facts), max_frames)


def look_at_pose(example: Example) -> ClipFacts:
    """Measure a clip with a pose."""
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
        digest=_digest(example),
    )


def look_at_array(example: Example) -> ClipFacts:
    """Measure a clip of a video encoder's features or of Kaggle's points."""
    if example.path.suffix == ".parquet":
        return look_at_pose(example)
    try:
        # Mapped: the shape is wanted, and none of the numbers.
        frames = len(np.load(example.path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError) as error:
        return ClipFacts(0, None, None, None, None, "", f"{example.path}: {error}")
    return ClipFacts(frames, None, None, None, None, _digest(example))


def _digest(example: Example) -> str:
    hasher = blake2b(repr((example.start_s, example.end_s)).encode(), digest_size=16)
    with example.path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
