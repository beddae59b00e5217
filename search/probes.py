"""A linear probe: what logistic regression learns from the examples of a bank, as plain arrays."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from search.banks import Bank
from search.errors import BankError
from search.scoring import Ints
from search.vectors import Float32s, Float64s, Floats, scale_to_unit

# Inverse strength of the penalty on weights of unit vectors. Of 1, 10 and 100, 10 was best or within half a point of
# the best with 1, 3 and 5 shots of the lexicon's letters; docs/search.md has the figures.
STRENGTH = 10.0
# Some banks have not converged after scikit-learn's default of 100 steps.
_STEPS = 1000
# A fold more costs a fit more and gives each fit more examples; 5 is scikit-learn's own default.
FOLDS = 5


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier of unit vectors.

    Attributes:
        weights: float32 (classes, dim).
        offsets: float32 (classes,).
        classes: the labels, in alphabetical order.
        version: of the collection that it learned from; 0: none is known.
        examples: digest of the bank that it learned from; "": none is known.
    """

    weights: Float32s
    offsets: Float32s
    classes: tuple[str, ...]
    version: int = 0
    examples: str = ""

    def score(self, queries: Floats) -> Float64s:
        """Score queries (queries, dim) as logits: float64 (queries, classes)."""
        product = scale_to_unit(queries).astype(np.float64) @ self.weights.astype(np.float64).T
        scores: Float64s = product + self.offsets
        return scores

    def pack(self) -> bytes:
        """Write the probe as a safetensors file."""
        names = "\n".join(self.classes).encode()
        return save(
            {
                # safetensors writes the bytes as they lie, and scikit-learn's weights lie by columns.
                "weights": np.ascontiguousarray(self.weights),
                "offsets": np.ascontiguousarray(self.offsets),
                "classes": np.frombuffer(names, dtype=np.uint8).copy(),
                "version": np.array([self.version], dtype=np.int64),
                "examples": np.frombuffer(bytes.fromhex(self.examples), dtype=np.uint8).copy(),
            }
        )


def unpack_probe(data: bytes) -> LinearProbe:
    """Read a probe that `LinearProbe.pack` wrote.

    Raises:
        BankError: the bytes hold no probe.
    """
    try:
        arrays = load(data)
        classes = tuple(arrays["classes"].tobytes().decode().split("\n"))
        weights, offsets, version = arrays["weights"], arrays["offsets"], int(arrays["version"][0])
        examples = arrays["examples"].tobytes().hex() if "examples" in arrays else ""
    except (SafetensorError, LookupError, UnicodeDecodeError, ValueError) as error:
        raise BankError("the kept probe cannot be read; fit it again") from error
    if weights.ndim != 2 or not len(weights) == len(offsets) == len(classes):
        raise BankError("the kept probe is damaged; fit it again")
    return LinearProbe(weights, offsets, classes, version, examples)


def fit_probe(bank: Bank, *, version: int = 0) -> LinearProbe:
    """Learn the labels of a bank by logistic regression.

    Args:
        version: of the collection that the bank was read from.

    Raises:
        BankError: there are fewer than two labels, or a label holds a line break.
    """
    if len(bank.classes) < 2:
        raise BankError(f"all examples are labelled {bank.classes[0]!r}; a probe needs at least 2 labels")
    if any("\n" in label for label in bank.classes):
        raise BankError("a label holds a line break, which the kept probe cannot record")
    from sklearn.linear_model import LogisticRegression  # late, because it takes half a second to import

    learner = LogisticRegression(C=STRENGTH, max_iter=_STEPS)
    with warnings.catch_warnings():
        # scikit-learn warns of few examples of each class, which a bank of few shots always has.
        warnings.simplefilter("ignore", UserWarning)
        learner.fit(bank.vectors.astype(np.float64), bank.columns)
    weights, offsets = learner.coef_, learner.intercept_
    if len(bank.classes) == 2:  # scikit-learn then keeps the second class's logit against 0
        weights, offsets = np.concatenate([-weights, weights]) / 2, np.concatenate([-offsets, offsets]) / 2
    kept = weights.astype(np.float32), offsets.astype(np.float32)
    return LinearProbe(*kept, tuple(bank.classes), version, bank.digest)


def score_folds(bank: Bank, *, before_fold: Callable[[], None] | None = None) -> Float64s:
    """Score every example by a probe that did not learn from it.

    Examples of each label are spread over FOLDS folds, in the order of the bank.

    Args:
        before_fold: called before each fold is fitted; it may raise to end the work.
    Returns:
        Logits, float64 (examples, classes); NaN for labels that the fold's probe did not know.
    Raises:
        BankError: there are fewer than two labels.
    """
    scores = np.full((len(bank), len(bank.classes)), np.nan)
    for fold in range(FOLDS):
        tested = _number_within_classes(bank) % FOLDS == fold
        if not tested.any() or tested.all():
            continue
        learned = bank.select(np.flatnonzero(~tested))
        if len(learned.classes) < 2:
            continue
        if before_fold is not None:
            before_fold()
        columns = np.searchsorted(bank.classes, learned.classes)
        scores[np.ix_(tested, columns)] = fit_probe(learned).score(bank.vectors[tested])
    return scores


def _number_within_classes(bank: Bank) -> Ints:
    """Number the examples of each label from 0, shifted from label to label so that folds are of like size."""
    order = np.argsort(bank.columns, kind="stable")
    starts = np.cumsum(bank.counts) - bank.counts
    numbers = np.empty(len(bank), dtype=np.int64)
    numbers[order] = np.arange(len(bank)) - np.repeat(starts, bank.counts) + bank.columns[order]
    return numbers
