"""How well generated signing agrees with a reference: SignCLIPScore of pairs and of a corpus.

Source: SignCLIPScore is the similarity of SignCLIP's vectors, as BERTScore is that of BERT's; Jiang et al., 2024.
"""

from dataclasses import dataclass

import numpy as np

from search.vectors import Float64s, Floats

# Percentile intervals of 95 % do not move by more than a thousandth of a cosine with ten times as many.
_RESAMPLES_AT_ONCE, _TIMES = 100, 20
_INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of each hypothesis against its reference.

    Attributes:
        cosine: float64 (pairs,), 1 for the same direction.
        dot: float64 (pairs,), of raw vectors: the model's logits.
        l2: float64 (pairs,), the distance of the raw vectors, 0 for the same.
    """

    cosine: Float64s
    dot: Float64s
    l2: Float64s


@dataclass(frozen=True)
class CorpusScore:
    """A mean over pairs, and between which values it lies in 95 of 100 draws of as many pairs."""

    mean: float
    low: float
    high: float


def score_pairs(hypotheses: Floats, references: Floats) -> PairScores:
    """Score hypotheses against references, row by row.

    Args:
        hypotheses: float (pairs, dim), raw.
        references: float (pairs, dim), raw, of the same space.
    """
    first, second = hypotheses.astype(np.float64), references.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    dot = np.einsum("pd,pd->p", first, second)
    cosine = np.clip(dot / np.where(lengths == 0, 1.0, lengths), -1.0, 1.0)
    return PairScores(cosine, dot, np.linalg.norm(first - second, axis=1))


def summarize_scores(scores: Float64s, *, seed: int = 0) -> CorpusScore:
    """Average the scores of pairs (pairs,), with a bootstrap interval over pairs.

    Args:
        seed: of the draws; the same scores and seed give the same interval.
    """
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(scores), (_RESAMPLES_AT_ONCE, len(scores))) for _ in range(_TIMES))
    means = np.concatenate([scores[rows].mean(axis=1) for rows in draws])
    low, high = np.percentile(means, _INTERVAL_PERCENT)
    return CorpusScore(float(scores.mean()), float(low), float(high))
