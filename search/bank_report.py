"""How well a bank tells its labels apart: every example is classified by the others."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.banks import Bank, leave_out
from search.probes import score_folds

# The authors' R@k.
CUTS = (1, 5, 10)
# With fewer examples a mean hardly differs from its one example, and leaving one out leaves nothing.
FEW = 3
# More pairs than a reader would look at.
_SHOWN = 20


@dataclass(frozen=True)
class Confusion:
    """How often examples of one label were taken for another."""

    label: str
    taken_for: str
    times: int


@dataclass(frozen=True)
class BankReport:
    """How well a bank tells its labels apart.

    Attributes:
        examples: in the bank.
        labels: in the bank.
        tested: examples whose label has others.
        recall: share of the tested examples, 0 to 1, whose label is among the best k, by k of CUTS; None if no example
            could be tested.
        confused: pairs of labels, the most frequent first.
        too_few: labels with fewer than FEW examples, and how many they have.
    """

    examples: int
    labels: int
    tested: int
    recall: dict[int, float | None]
    confused: tuple[Confusion, ...]
    too_few: dict[str, int]


def report(
    bank: Bank,
    method: Literal["prototype", "neighbours", "probe"],
    *,
    before_fold: Callable[[], None] | None = None,
) -> BankReport:
    """Classify every example by the others, and count.

    Args:
        method: how; a probe is fitted in folds instead of once for each example.
        before_fold: called before each of these; it may raise to end the work.
    Raises:
        BankError: a probe cannot be fitted.
    """
    scores = score_folds(bank, before_fold=before_fold) if method == "probe" else leave_out(bank, method)
    rows = np.arange(len(bank))
    own = scores[rows, bank.columns]
    tested = np.flatnonzero(~np.isnan(own))
    known = np.where(np.isnan(scores), -np.inf, scores)
    # Of equal scores the first label counts as better, as everywhere.
    earlier = np.arange(len(bank.classes)) < bank.columns[:, None]
    better = (known > own[:, None]) | ((known == own[:, None]) & earlier)
    ranks = 1 + better.sum(axis=1)[tested]
    taken_for = known[tested].argmax(axis=1) if len(tested) else np.zeros(0, dtype=np.int64)
    pairs = Counter(
        (bank.classes[right], bank.classes[taken])
        for right, taken in zip(bank.columns[tested].tolist(), taken_for.tolist(), strict=True)
        if right != taken
    )
    in_order = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]
    return BankReport(
        examples=len(bank),
        labels=len(bank.classes),
        tested=len(tested),
        recall={cut: float((ranks <= cut).mean()) if len(tested) else None for cut in CUTS},
        confused=tuple(Confusion(right, taken, times) for (right, taken), times in in_order),
        too_few={label: count for label, count in zip(bank.classes, bank.counts.tolist(), strict=True) if count < FEW},
    )
