"""Everything that classifying a request's clips needs, from texts or from a bank."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from search.banks import (
    Bank,
    Method,
    find_nearest,
    leave_out,
    score_neighbours,
    score_prototypes,
)
from search.blending import build_blend
from search.classification import Decision, NullEvidence, choose_scale, compare_with_null, decide
from search.errors import BankError, CalibrationError
from search.null import DEFAULT_RATE, Null
from search.probes import LinearProbe, fit_probe
from search.vectors import Float64s, Floats, compute_cosines, compute_softmax

# Examples of a bank whose scores for other labels stand for unknown clips; more make the answer no better and slower.
_MOST_EXAMPLES = 2000
OF_MODEL, OF_BANK = "clips of the model's background", "examples of other labels"


@dataclass(frozen=True)
class Neighbour:
    """An example near a query."""

    id: str
    label: str
    score: float


@dataclass(frozen=True)
class Classified:
    """What one clip is.

    Attributes:
        decision: the label, how sure it is, and whether nothing fits.
        candidates: the best labels with their probabilities, best first.
        nearest: the nearest examples, best first; empty without a bank.
    """

    decision: Decision
    candidates: tuple[tuple[str, float], ...]
    nearest: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class AnswerRules:
    """What an answer holds.

    Attributes:
        reject: reject what fits nothing.
        rate: the share of unknown clips that may be accepted.
        nearest: examples to list.
        candidates: labels to list.
    """

    reject: bool = True
    rate: float = DEFAULT_RATE
    nearest: int = 3
    candidates: int = 5


@dataclass(frozen=True, eq=False)
class Classifier:
    """Labels, how clips are scored for them, and what unknown clips score.

    Attributes:
        labels: what can be answered.
        score: gives scores (clips, labels) of raw vectors (clips, dim).
        scale: what these are multiplied with before the softmax.
        fit: gives the scores that are compared with those of unknown clips, of raw vectors.
        nulls: what unknown clips score, and what clips these are.
        bank: the examples, where there are any.
    """

    labels: Sequence[str]
    score: Callable[[Floats], Float64s]
    scale: float
    fit: Callable[[Floats], Float64s]
    nulls: Sequence[tuple[str, Null]] = ()
    bank: Bank | None = field(default=None, repr=False)

    def classify(self, vectors: Floats, rules: AnswerRules) -> list[Classified]:
        """Classify clips that are given as raw vectors (clips, dim)."""
        scores = self.score(vectors)
        evidence: list[NullEvidence] = []
        if rules.reject and self.nulls:
            fits = self.fit(vectors)
            evidence = [compare_with_null(null, fits, about=about) for about, null in self.nulls]
        decisions = decide(scores, self.labels, scale=self.scale, evidence=evidence, rate=rules.rate)
        probabilities = compute_softmax(scores * self.scale)
        nearest = self._find_nearest(vectors, rules.nearest)
        answers = []
        for row, decision in enumerate(decisions):
            best = np.argsort(-scores[row], kind="stable")[: rules.candidates].tolist()
            candidates = tuple((self.labels[place], float(probabilities[row, place])) for place in best)
            answers.append(Classified(decision, candidates, nearest[row]))
        return answers

    def _find_nearest(self, vectors: Floats, count: int) -> list[tuple[Neighbour, ...]]:
        bank = self.bank
        if bank is None or count == 0:
            return [()] * len(vectors)
        rows, cosines = find_nearest(vectors, bank, count)
        return [
            tuple(
                Neighbour(bank.ids[row], bank.labels[row], score)
                for row, score in zip(own_rows, own_scores, strict=True)
            )
            for own_rows, own_scores in zip(rows.tolist(), cosines.tolist(), strict=True)
        ]


def build_text_classifier(texts: Floats, labels: Sequence[str], *, background: Floats | None) -> Classifier:
    """Classify clips by texts, as the model was trained to: by the softmax of dot products.

    Args:
        texts: float (labels, dim), raw.
        labels: of the texts.
        background: float (clips, dim), raw vectors of clips that fit nothing; None: there are none.
    """

    def score(vectors: Floats) -> Float64s:
        return vectors.astype(np.float64) @ texts.astype(np.float64).T

    def fit(vectors: Floats) -> Float64s:
        return compute_cosines(vectors, texts)

    nulls = [] if background is None or not len(background) else [(OF_MODEL, Null(fit(background)))]
    return Classifier(labels, score, 1.0, fit, nulls)


def build_bank_classifier(
    bank: Bank,
    method: Method,
    *,
    background: Floats | None,
    probe: LinearProbe | None = None,
    texts: Floats | None = None,
) -> Classifier:
    """Classify clips by the examples of a bank.

    Args:
        method: prototype, blend, neighbours or probe.
        background: float (clips, dim), raw vectors of clips that fit nothing; None: there are none.
        probe: for method probe, one that was fitted before to this bank; None fits one.
        texts: for method blend, float (labels, dim), raw vectors of the bank's classes as words.
    Raises:
        BankError: no probe can be fitted, texts are missing, or the method is that of texts.
    """
    known = bank if len(bank) <= _MOST_EXAMPLES else bank.select(_spread(len(bank), _MOST_EXAMPLES))
    if method == "text":
        raise BankError("method text compares with texts, not with examples")
    build_nulls = partial(_build_nulls, bank, known, background=background)
    if method == "blend":
        if texts is None:
            raise BankError("method blend needs the texts of the labels")
        blend = build_blend(bank, texts, known=known)
        scale = choose_scale(blend.leave_out(known), np.searchsorted(bank.classes, known.labels).tolist())
        return Classifier(bank.classes, blend.score, scale, blend.score, build_nulls(blend.score), bank)
    fit = partial(score_neighbours if method == "neighbours" else score_prototypes, bank=bank)
    if method == "probe":
        fitted = fit_probe(bank) if probe is None else probe
        return Classifier(fitted.classes, fitted.score, 1.0, fit, build_nulls(fit), bank)
    scale = choose_scale(leave_out(known, method), known.columns.tolist())
    return Classifier(bank.classes, fit, scale, fit, build_nulls(fit), bank)


def _build_nulls(
    bank: Bank, known: Bank, fit: Callable[[Floats], Float64s], *, background: Floats | None
) -> list[tuple[str, Null]]:
    """Score both kinds of unknown clips: the background, and examples of the bank for all labels but their own."""
    nulls: list[tuple[str, Null]] = []
    if background is not None and len(background):
        nulls.append((OF_MODEL, Null(fit(background))))
    others = fit(known.vectors)
    others[np.arange(len(known)), np.searchsorted(bank.classes, known.labels)] = np.nan
    with suppress(CalibrationError):  # of a single label there are no examples of others
        nulls.append((OF_BANK, Null(others)))
    return nulls


def _spread(count: int, wanted: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.linspace(0, count - 1, wanted).astype(np.int64)
