"""Which clips a step learns from: a function of the seed and the step's number alone.

An epoch's order is drawn from (seed, epoch). Joint batches all have the same size, so a rest that fills none is left
out; it is another one in every epoch. The authors' fairseq keeps such a rest as a smaller batch, and shuffles batches
that it composed once; here every epoch composes new ones.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Indexes = npt.NDArray[np.int64]


class Sampler(Protocol):
    """Rows of joint batches."""

    @property
    def steps_per_epoch(self) -> int: ...

    def rows(self, step: int) -> Indexes:
        """Give the clips of one step's joint batch: int64 (pairs,); step counts from 0 and never ends."""
        ...


class Shuffled:
    """All clips, each once an epoch, but for a rest smaller than a batch."""

    def __init__(self, clips: int, batch_size: int, seed: int) -> None:
        """
        Raises:
            ValueError: fewer clips than a batch takes.
        """
        if clips < batch_size:
            raise ValueError(f"batches of {batch_size} pairs from {clips} clips; batch.size can be {clips} at most")
        self._clips, self._batch_size, self._seed = clips, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def steps_per_epoch(self) -> int:
        return self._clips // self._batch_size

    def rows(self, step: int) -> Indexes:
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self._seed, epoch)).permutation(self._clips)
        return self._order[place * self._batch_size : (place + 1) * self._batch_size]


class UniqueTexts:
    """Batches in which no text stands twice, so that no clip's own text is among its negatives.

    As the authors do, an epoch goes in rounds: each takes one clip of every text, and there are as many as the
    commonest text has clips; texts with fewer start again from their first, so rare ones are shown more often than
    once. Any stretch of up to one round has no text twice, because all rounds have the texts in one order.

    Source: RWTHFSMetaProcessor and ASLSignMetaProcessor, J22Melody/fairseq@a8199440, dsprocessor_sign.py. Theirs keeps
    one order of texts and clips for all epochs; here both are drawn anew.
    """

    def __init__(self, texts: Indexes, batch_size: int, seed: int) -> None:
        """
        Args:
            texts: int64 (clips,), which text each clip has: 0, 1, … without gaps.
            batch_size: of the joint batch.
            seed: of the run.
        Raises:
            ValueError: fewer texts than a batch takes.
        """
        counts = np.bincount(texts)
        if len(counts) < batch_size:
            raise ValueError(
                f"batches of {batch_size} different texts from {len(counts)}; batch.size can be {len(counts)} at most"
            )
        self._batch_size, self._seed = batch_size, seed
        self._by_text = np.argsort(texts, kind="stable")  # clips of text 0, then of text 1, …
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._epoch, self._texts, self._shuffled = -1, np.empty(0, np.int64), self._by_text

    @property
    def steps_per_epoch(self) -> int:
        return int(self._counts.max()) * len(self._counts) // self._batch_size

    def rows(self, step: int) -> Indexes:
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        turns, places = np.divmod(place * self._batch_size + np.arange(self._batch_size), len(self._texts))
        texts = self._texts[places]
        rows: Indexes = self._shuffled[self._starts[texts] + turns % self._counts[texts]]
        return rows

    def _shuffle(self, epoch: int) -> None:
        chance = np.random.default_rng((self._seed, epoch))
        self._epoch, self._texts = epoch, chance.permutation(len(self._counts))
        # Random keys within each text: sorting by (text, key) shuffles every text's clips at once.
        text_of = np.repeat(np.arange(len(self._counts)), self._counts)
        self._shuffled = self._by_text[np.lexsort((chance.random(len(text_of)), text_of))]


class EachOnce:
    """The same few batches again and again, for validation: every clip is in one, and their sizes differ least.

    A loss over a batch depends on its size, so a rest of three clips would count as much as a batch of 448.
    """

    def __init__(self, clips: int, batch_size: int, seed: int, *, multiple: int = 1) -> None:
        """
        Args:
            clips: how many there are.
            batch_size: the largest.
            seed: of the run; mixes what lies together in the data set.
            multiple: every batch is one of this, so that processes share it evenly; a rest smaller than it is left out.
        Raises:
            ValueError: fewer clips than processes.
        """
        if clips < multiple:
            raise ValueError(f"{clips} clips for {multiple} processes to validate on")
        shares = clips // multiple
        batches = -(-shares // max(1, batch_size // multiple))
        self._order = np.random.default_rng((seed, 0)).permutation(clips)
        self._ends = np.arange(batches + 1) * shares // batches * multiple

    @property
    def steps_per_epoch(self) -> int:
        return len(self._ends) - 1

    def rows(self, step: int) -> Indexes:
        place = step % self.steps_per_epoch
        return self._order[self._ends[place] : self._ends[place + 1]]
