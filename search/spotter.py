"""Gathers the scores of a recording's windows, as they come, until the finds can be chosen."""

from collections.abc import Sequence

import numpy as np

from search.annotations import Find
from search.classifiers import Classifier
from search.errors import CalibrationError
from search.null import count_needed
from search.scoring import Ints
from search.spotting import SpottingRules, find_segments
from search.vectors import Floats

# A find lets go where its score falls below the threshold by this share of it.
_RELEASE_SHARE = 0.3
# Windows of one sign whose middles are farther apart than this show a gap between two signs.
_BRIDGE_S = 0.3
# Many windows that hold nothing overlap a sign that fits better, and are suppressed: fewer finds than this are false.
# docs/search.md has precision and recall at several rates.
DEFAULT_RATE = 0.02


class Spotter:
    """The windows of one recording, scored.

    What is kept of a window is its best label and one number, so that an hour takes a few megabytes.

    Args:
        classifier: of single clips.
        threshold: a find needs this score: a z-score against unknown clips where the classifier knows any, else a
            cosine. None: the z-score that a share `rate` of unknown clips exceeds.
        rate: see threshold.
    Raises:
        CalibrationError: there is no threshold, and unknown clips are not known, or are too few to choose one.
    """

    def __init__(self, classifier: Classifier, *, threshold: float | None = None, rate: float = DEFAULT_RATE) -> None:
        self._classifier = classifier
        self._null = classifier.nulls[0][1] if classifier.nulls else None
        if threshold is None:
            if self._null is None:
                raise CalibrationError(
                    "the model has no background of clips that fit nothing, so no threshold can be chosen; send "
                    "threshold, a cosine, or make a background with `python -m dictionary calibrate`"
                )
            if len(self._null) < count_needed(rate):
                rate = 1 / (len(self._null) + 1)
            threshold = self._null.find_threshold(rate)
        self.threshold = threshold
        self._windows: list[Ints] = []
        self._labels: list[Ints] = []
        self._scores: list[Floats] = []

    @property
    def measure(self) -> str:
        """What scores are: "z" or "cosine"."""
        return "cosine" if self._null is None else "z"

    def add(self, windows: Ints, vectors: Floats) -> None:
        """Score some windows.

        Args:
            windows: int64 (windows, 2), first frame and the frame after the last.
            vectors: float (windows, dim), raw.
        """
        fits = self._classifier.fit(vectors)
        scores = fits if self._null is None else self._null.standardize(fits)
        best = scores.argmax(axis=1)
        self._windows.append(windows)
        self._labels.append(best.astype(np.int64))
        self._scores.append(scores[np.arange(len(best)), best].astype(np.float32))

    def find(self, fps: float) -> list[Find]:
        """Choose the finds among all windows, in the order of their starts.

        Args:
            fps: frames per second of the recording.
        """
        if not self._windows:
            return []
        release = self.threshold - _RELEASE_SHARE * abs(self.threshold)
        rules = SpottingRules(self.threshold, release, max(1, round(_BRIDGE_S * fps)))
        segments = find_segments(
            np.concatenate(self._windows), np.concatenate(self._labels), np.concatenate(self._scores), rules
        )
        labels: Sequence[str] = self._classifier.labels
        return [
            Find(segment.start / fps, segment.stop / fps, labels[segment.label], segment.score) for segment in segments
        ]
