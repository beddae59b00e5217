"""Which clips a step learns from, as a function of the seed and the step's number alone.

The order of an epoch is drawn from (seed, epoch). All joint batches have the same size, so the remaining clips that do
not fill a batch are left out, and they are others in every epoch. The authors' fairseq keeps the remainder as a smaller
batch, and shuffles batches that it composed once, whereas here every epoch composes new batches.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from corpora.arrays import Int64Array
from training.errors import DataError


class Sampler(Protocol):
    """The rows of joint batches."""

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that show every clip about once."""
        ...

    def draw_rows(self, step: int) -> Int64Array:
        """Draw the clips of one step's joint batch: int64 (pairs,). Steps count from 0 and have no end."""
        ...


class ShuffledSampler:
    """All clips, each once an epoch, except the remaining ones that do not fill a batch.

    Args:
        clips: number of clips.
        batch_size: of the joint batch.
        seed: of the run.
    Raises:
        DataError: there are fewer clips than a batch takes.
    """

    def __init__(self, clips: int, batch_size: int, *, seed: int) -> None:
        if clips < batch_size:
            raise DataError(f"batches of {batch_size} pairs from {clips} clips: batch.size can be {clips} at most")
        self._clips, self._batch_size, self._seed = clips, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def steps_per_epoch(self) -> int:
        """The number of full batches."""
        return self._clips // self._batch_size

    def draw_rows(self, step: int) -> Int64Array:
        """Draw the clips of one step's joint batch: int64 (pairs,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self._seed, epoch)).permutation(self._clips)
        return self._order[place * self._batch_size : (place + 1) * self._batch_size]


class UniqueTextSampler:
    """Batches in which no text occurs twice, so that no clip's own text is among its negatives.

    As in the authors' code, an epoch consists of rounds. Each round takes one clip of every text, and there are as
    many rounds as the most frequent text has clips. Texts with fewer clips start again from their first, so their
    clips are shown more than once. All rounds of an epoch have the same order of texts, so a stretch of up to one
    round has no text twice.

    Args:
        texts: int64 (clips,), the text of each clip: 0, 1, … without gaps.
        batch_size: of the joint batch.
        seed: of the run.
    Raises:
        DataError: there are fewer texts than a batch takes.
    Source: RWTHFSMetaProcessor and ASLSignMetaProcessor, J22Melody/fairseq@a8199440, dsprocessor_sign.py. There one
        order of texts and clips is kept for all epochs; here both are drawn anew.
    """

    def __init__(self, texts: Int64Array, batch_size: int, *, seed: int) -> None:
        counts = np.bincount(texts)
        if len(counts) < batch_size:
            raise DataError(
                f"batches of {batch_size} different texts from {len(counts)}: batch.size can be {len(counts)} at most"
            )
        self._batch_size, self._seed = batch_size, seed
        self._by_text = np.argsort(texts, kind="stable")  # The clips of text 0, then those of text 1, …
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._epoch, self._texts, self._shuffled = -1, np.empty(0, np.int64), self._by_text

    @property
    def steps_per_epoch(self) -> int:
        """The number of full batches in all rounds."""
        return int(self._counts.max()) * len(self._counts) // self._batch_size

    def draw_rows(self, step: int) -> Int64Array:
        """Draw the clips of one step's joint batch: int64 (pairs,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        turns, places = np.divmod(place * self._batch_size + np.arange(self._batch_size), len(self._texts))
        texts = self._texts[places]
        rows: Int64Array = self._shuffled[self._starts[texts] + turns % self._counts[texts]]
        return rows

    def _shuffle(self, epoch: int) -> None:
        rng = np.random.default_rng((self._seed, epoch))
        self._epoch, self._texts = epoch, rng.permutation(len(self._counts))
        # Sorting by (text, random key) shuffles the clips of all texts at once.
        text_of = np.repeat(np.arange(len(self._counts)), self._counts)
        self._shuffled = self._by_text[np.lexsort((rng.random(len(text_of)), text_of))]


class ValidationSampler:
    """The same few batches in every epoch. Every clip is in one of them, and their sizes are as equal as possible.

    The loss of a batch depends on its size, so a remainder of three clips would count as much as a batch of 448.

    Args:
        clips: number of clips.
        batch_size: of the largest batch.
        seed: of the run; it mixes clips that are neighbours in the data set.
    """

    def __init__(self, clips: int, batch_size: int, *, seed: int) -> None:
        batches = -(-clips // max(1, batch_size))
        self._order = np.random.default_rng((seed, 0)).permutation(clips)
        self._ends = np.arange(batches + 1) * clips // batches

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches."""
        return len(self._ends) - 1

    def draw_rows(self, step: int) -> Int64Array:
        """Return the clips of one batch: int64 (pairs,)."""
        place = step % self.steps_per_epoch
        return self._order[self._ends[place] : self._ends[place + 1]]
