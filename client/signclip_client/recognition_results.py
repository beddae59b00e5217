"""What clips are, where signs are in a recording, and how near signing is to its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signclip_client.results import FailedItem, Span


@dataclass(frozen=True)
class Candidate:
    """A label, and its probability among the labels."""

    label: str
    probability: float


@dataclass(frozen=True)
class NearExample:
    """An entry of a collection: its id, its gloss, and its cosine with a clip."""

    id: str
    label: str
    score: float


@dataclass(frozen=True)
class ClassifiedClip:
    """What a clip is.

    Attributes:
        label: the best label, also of a clip that is rejected.
        score: of this label: a cosine, or a logit with method text or probe.
        probability: of this label among the labels, if the clip is any of them.
        margin: by how much the probability exceeds that of the second label.
        p_value: how often a clip that fits nothing fits as well; None: not known.
        rejected: nothing fits, at the false-accept rate that was asked for.
        reason: why it is rejected, or why that could not be decided.
        candidates: up to five labels, best first.
        nearest: the nearest examples of a collection, best first.
    """

    label: str
    score: float
    probability: float
    margin: float
    p_value: float | None
    rejected: bool
    candidates: tuple[Candidate, ...]
    reason: str | None = None
    nearest: tuple[NearExample, ...] | None = None


@dataclass(frozen=True)
class Classification:
    """Results in the order of the clips, poses first; None for a clip that was skipped.

    Attributes:
        method: text, prototype, neighbours or probe.
        labels: how many labels there are.
        signature: how the clips' vectors were made.
        space: what they may be compared with.
        trimmed: of each clip, the first frame that was embedded, and the frame after the last one.
    """

    results: tuple[ClassifiedClip | None, ...]
    method: str
    labels: int
    model_name: str
    signature: str | None
    space: str | None
    prompts: tuple[str, ...] | None = None
    trimmed: tuple[Span | None, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[FailedItem, ...] = ()


@dataclass(frozen=True)
class ConfusedPair:
    """How many times examples of a label were taken for another."""

    label: str
    taken_for: str
    times: int


@dataclass(frozen=True)
class BankReport:
    """How well a collection tells its labels apart when each example is classified by the others.

    Attributes:
        examples: clips with a gloss.
        labels: different glosses.
        tested: examples whose label has others.
        recall: by "R@1", "R@5" and "R@10": share of the tested examples, 0-1.
        confused: pairs of labels, the most frequent first.
        too_few: labels with fewer than three examples, and how many they have.
        version: of the collection.
    """

    method: str
    examples: int
    labels: int
    tested: int
    recall: Mapping[str, float | None]
    confused: tuple[ConfusedPair, ...]
    too_few: Mapping[str, int]
    version: int


@dataclass(frozen=True)
class FittedProbe:
    """The probe that is kept beside a collection; once the collection changes, it is not used."""

    examples: int
    labels: int
    version: int
    seconds: float


@dataclass(frozen=True)
class FoundSign:
    """A sign in a recording: where, which, and how sure."""

    start_s: float
    end_s: float
    label: str
    score: float


@dataclass(frozen=True)
class Spotted:
    """What was found in a recording, in the order of time.

    Attributes:
        measure: what scores are: "z", standard deviations above clips that fit nothing, or "cosine".
        threshold: least score of a find.
        windows: windows that were looked at.
        duration_s: of the recording.
    """

    found: tuple[FoundSign, ...]
    measure: str
    threshold: float
    windows: int
    duration_s: float
    model_name: str
    prompts: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairScore:
    """Of one pair: cosine of the vectors, product of the raw vectors, and their distance."""

    cosine: float
    dot: float
    l2: float


@dataclass(frozen=True)
class CorpusMean:
    """A mean over pairs, and the ends of its bootstrap interval of 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """SignCLIPScore of each pair, in the order of the hypotheses, and of all pairs together.

    Attributes:
        pairs: None for a pair that was skipped.
        corpus: by "cosine", "dot" and "l2"; None when every pair was skipped.
        signature: how the hypotheses' vectors were made; quote it with the score.
    """

    pairs: tuple[PairScore | None, ...]
    corpus: Mapping[str, CorpusMean] | None
    model_name: str
    signature: str | None
    space: str | None
    prompts: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()
    errors: tuple[FailedItem, ...] = ()
