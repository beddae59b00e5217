"""A bank of examples, and how well a query fits each of its labels."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.errors import BankError
from search.scoring import Ints
from search.vectors import Float32s, Float64s, Floats, scale_to_unit

Method = Literal["text", "prototype", "blend", "neighbours", "probe"]
# Examples of a label that a query is compared with, as many as vote in nearest-neighbour probes of few shots.
NEIGHBOURS = 3
# Examples that are compared with a whole bank at once: 512 × 100,000 cosines take 400 MB.
ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Bank:
    """Examples with their labels.

    Attributes:
        vectors: float32 (examples, dim), of unit length.
        labels: of each example.
        ids: of each example.
    Raises:
        BankError: there are no examples, or the three differ in length.
    """

    vectors: Float32s
    labels: Sequence[str]
    ids: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise BankError("the bank is empty; add examples to it first")
        if not len(self.vectors) == len(self.labels) == len(self.ids):
            raise BankError(
                f"{len(self.vectors)} vectors, {len(self.labels)} labels and {len(self.ids)} ids do not fit together"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def classes(self) -> list[str]:
        """The labels, each once, in alphabetical order."""
        return sorted(set(self.labels))

    @cached_property
    def columns(self) -> Ints:
        """The place of each example's label among the classes, int64 (examples,)."""
        places = {label: place for place, label in enumerate(self.classes)}
        return np.array([places[label] for label in self.labels], dtype=np.int64)

    @cached_property
    def counts(self) -> Ints:
        """How many examples each class has, int64 (classes,)."""
        return np.bincount(self.columns, minlength=len(self.classes)).astype(np.int64)

    @cached_property
    def sums(self) -> Float64s:
        """The sum of each class's vectors, float64 (classes, dim)."""
        sums = np.zeros((len(self.classes), self.vectors.shape[1]))
        np.add.at(sums, self.columns, self.vectors.astype(np.float64))
        return sums

    @cached_property
    def digest(self) -> str:
        """What differs between banks of other vectors or labels, hex."""
        content = hashlib.blake2b(np.ascontiguousarray(self.vectors).ravel().view(np.uint8).data, digest_size=16)
        content.update(json.dumps(list(self.labels)).encode())
        return content.hexdigest()

    def select(self, rows: Ints) -> "Bank":
        """Return a bank of the examples in these rows, int64 (rows,)."""
        chosen = rows.tolist()
        return Bank(self.vectors[rows], [self.labels[row] for row in chosen], [self.ids[row] for row in chosen])


def build_bank(vectors: Floats, labels: Sequence[str], ids: Sequence[str] | None = None) -> Bank:
    """Build a bank from vectors of any length.

    Args:
        vectors: float (examples, dim).
        labels: of each example.
        ids: of each example; None numbers them.
    Raises:
        BankError: there are no examples, or they do not fit together.
    """
    return Bank(scale_to_unit(vectors), labels, [str(row) for row in range(len(labels))] if ids is None else ids)


def draw_shots(bank: Bank, shots: int, *, seed: int = 0) -> Bank:
    """Draw examples of each label at random, all of a label that has no more of them.

    Args:
        shots: examples of each label.
        seed: of the draw. The same bank and seed give the same examples.
    """
    shuffled = np.random.default_rng(seed).permutation(len(bank))
    by_class = shuffled[np.argsort(bank.columns[shuffled], kind="stable")]
    starts = np.cumsum(bank.counts) - bank.counts
    place = np.arange(len(bank)) - np.repeat(starts, bank.counts)
    return bank.select(np.sort(by_class[place < shots]).astype(np.int64))


def score_prototypes(queries: Floats, bank: Bank) -> Float64s:
    """Compare queries with the mean of each label's examples.

    Args:
        queries: float (queries, dim).
    Returns:
        Cosines, float64 (queries, classes).
    """
    return compare_with_sums(queries, bank.sums)


def compare_with_sums(queries: Floats, sums: Float64s) -> Float64s:
    """Compare queries (queries, dim) with sums of vectors (classes, dim), as cosines, float64 (queries, classes)."""
    return scale_to_unit(queries).astype(np.float64) @ scale_rows(sums).T


def score_neighbours(queries: Floats, bank: Bank, *, neighbours: int = NEIGHBOURS) -> Float64s:
    """Compare queries with the nearest examples of each label.

    Args:
        queries: float (queries, dim).
        neighbours: examples of a label whose cosines are averaged; fewer where the label has fewer.
    Returns:
        Mean cosines, float64 (queries, classes).
    """
    cosines = scale_to_unit(queries).astype(np.float64) @ bank.vectors.astype(np.float64).T
    return _average_best(cosines, bank, neighbours)


def leave_out(bank: Bank, method: Literal["prototype", "neighbours"]) -> Float64s:
    """Score every example against the labels, as if it were not in the bank.

    Returns:
        float64 (examples, classes). NaN where a label has no other example than this one.
    """
    if method == "neighbours":
        return np.concatenate([_leave_out_neighbours(bank, rows) for rows in split(len(bank))])
    scores = score_prototypes(bank.vectors, bank)
    rows = np.arange(len(bank))
    others = bank.sums[bank.columns] - bank.vectors  # the sum of the label's other examples
    own = np.einsum("rd,rd->r", bank.vectors, scale_rows(others))
    scores[rows, bank.columns] = np.where(bank.counts[bank.columns] > 1, own, np.nan)
    return scores


def find_nearest(queries: Floats, bank: Bank, count: int) -> tuple[npt.NDArray[np.int64], Float64s]:
    """Find the nearest examples of each query.

    Args:
        queries: float (queries, dim).
        count: of examples; fewer if the bank has fewer.
    Returns:
        Their rows in the bank, int64 (queries, count), and their cosines, float64 (queries, count), best first. Of
        equal cosines the lower row comes first.
    """
    cosines = np.clip(scale_to_unit(queries).astype(np.float64) @ bank.vectors.astype(np.float64).T, -1, 1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count].astype(np.int64)
    return order, np.take_along_axis(cosines, order, axis=1)


def scale_rows(rows: Float64s) -> Float64s:
    """Scale each row of float64 (rows, dim) to length 1. A row of zeros stays as it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Float64s = rows / np.where(lengths == 0, 1.0, lengths)
    return scaled


def _leave_out_neighbours(bank: Bank, rows: slice) -> Float64s:
    cosines = bank.vectors[rows].astype(np.float64) @ bank.vectors.astype(np.float64).T
    own = np.arange(rows.start, rows.stop)
    cosines[own - rows.start, own] = -np.inf
    return _average_best(cosines, bank, NEIGHBOURS)


def split(count: int) -> Iterator[slice]:
    """Split rows into parts whose cosines with a whole bank fit into memory."""
    for start in range(0, count, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, count))


def _average_best(cosines: Float64s, bank: Bank, neighbours: int) -> Float64s:
    """Average the best cosines of each label; -inf stands for an example that is left out."""
    scores = np.empty((len(cosines), len(bank.classes)))
    by_class = np.argsort(bank.columns, kind="stable")
    ends = np.cumsum(bank.counts)
    for column, (end, count) in enumerate(zip(ends.tolist(), bank.counts.tolist(), strict=True)):
        own = cosines[:, by_class[end - count : end]]
        best = -np.sort(-own, axis=1)[:, :neighbours]
        present = np.isfinite(best)
        counts = present.sum(axis=1)
        sums = np.where(present, best, 0.0).sum(axis=1)
        scores[:, column] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return scores
