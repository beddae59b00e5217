"""Prototypes that begin with a text: what a label's word says counts as some of its examples, if it says anything.

A text alone knows what the model learned of a word from all signers. It is worth more than a few examples for words
that the model knows, and nothing for others. How much it is worth, the bank's own examples tell.
"""

from dataclasses import dataclass

import numpy as np

from search.banks import Bank, compare_with_sums, scale_rows
from search.classification import measure_fit
from search.errors import BankError
from search.vectors import Float64s, Floats, scale_to_unit

# So many examples a text may stand for. On new signers of known letters 16 and 32 were best with 1, 3 and 5 examples;
# for texts that say nothing 0 is (docs/search.md).
WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# Where hardly any label has two examples, nothing shows how good examples are, and texts count no more than this: with
# one example 4 is nearly as good as 16 where texts are good, and costs little where examples are better.
_MOST_UNTESTED = 4.0
_LEAST_TESTED = 10
# A label's only example, left out, leaves nothing but the text, which fits better than a guess by chance already. So
# texts must beat a guess by so much, a factor of 1.6.
_CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class Blend:
    """A bank whose labels have texts.

    Attributes:
        bank: the examples.
        texts: float64 (classes, dim), of unit length, in the order of the bank's classes.
        weight: how many examples a text stands for.
    """

    bank: Bank
    texts: Float64s
    weight: float

    @property
    def sums(self) -> Float64s:
        """The sum of each class's examples and its weighted text, float64 (classes, dim)."""
        return self.bank.sums + self.weight * self.texts

    def score(self, queries: Floats) -> Float64s:
        """Compare queries (queries, dim) with the mean of each label's examples and text.

        Returns:
            Cosines, float64 (queries, classes).
        """
        return compare_with_sums(queries, self.sums)

    def leave_out(self, known: Bank) -> Float64s:
        """Score examples against the labels, as if each of them were not in the bank.

        Args:
            known: examples of the bank.
        Returns:
            float64 (examples, classes). NaN where nothing else stands for the example's own label.
        """
        sums, scores = self.sums, self.score(known.vectors)
        columns = np.searchsorted(self.bank.classes, known.labels)
        own = np.einsum("rd,rd->r", known.vectors, scale_rows(sums[columns] - known.vectors))
        is_alone = (self.bank.counts[columns] == 1) & (self.weight == 0)
        scores[np.arange(len(known)), columns] = np.where(is_alone, np.nan, own)
        return scores


def build_blend(bank: Bank, texts: Floats, *, known: Bank) -> Blend:
    """Blend examples with texts, each text with the weight under which examples that are left out fit best.

    Args:
        texts: float (classes, dim), raw vectors of the labels' words, in the order of the bank's classes.
        known: the examples to choose by, all of the bank's or some.
    Raises:
        BankError: there are not as many texts as labels.
    """
    if len(texts) != len(bank.classes):
        raise BankError(f"{len(texts)} texts for {len(bank.classes)} labels")
    directions = scale_to_unit(texts).astype(np.float64)
    columns = np.searchsorted(bank.classes, known.labels).tolist()
    most = WEIGHTS[-1] if np.count_nonzero(bank.counts[columns] > 1) >= _LEAST_TESTED else _MOST_UNTESTED
    blends = [Blend(bank, directions, weight) for weight in WEIGHTS if weight <= most]
    guess = _CHANCE - np.log(len(bank.classes))
    # Of equal ones the first: texts that change nothing do not count.
    return max(blends, key=lambda blend: measure_fit(blend.leave_out(known), columns, guess=float(guess)))
