"""The schemas of answers about clips that are classified, found or scored, for the OpenAPI document."""

from typing import Literal

from pydantic import Field

from app.answers.schemas import Answer, FailedItem

_WARNINGS = "sentences about the items; left out when there are none"
_SKIPPED = "the items that were skipped; left out when there are none"
_PROMPTS = "the texts as they were embedded, when sign_language was given"
_REASON = "why a clip is rejected, or why that could not be decided; left out otherwise"


class Candidate(Answer):
    label: str
    probability: float = Field(description="of this label among the labels")


class NearExample(Answer):
    id: str = Field(description="of the entry")
    label: str = Field(description="its gloss")
    score: float = Field(description="cosine of the clip and the entry")


class ClassifiedClip(Answer):
    """What a clip is."""

    label: str = Field(description="the best label, also of a clip that is rejected")
    score: float = Field(description="of this label: a cosine, or a logit with method text or probe")
    probability: float = Field(description="of this label among the labels, if the clip is any of them")
    margin: float = Field(description="by how much the probability exceeds that of the second label")
    p_value: float | None = Field(description="how often a clip that fits nothing fits as well; null: not known")
    rejected: bool = Field(description="true: nothing fits, at the false-accept rate that was asked for")
    reason: str | None = Field(None, description=_REASON)
    candidates: list[Candidate] = Field(description="up to five labels, best first")
    nearest: list[NearExample] | None = Field(None, description="the nearest examples of a collection, best first")


class ClassifyAnswer(Answer):
    """Results in the order of the clips, poses first; null for a clip that was skipped."""

    results: list[ClassifiedClip | None]
    method: Literal["text", "prototype", "blend", "neighbours", "probe"]
    labels: int = Field(description="how many labels there are")
    model_name: str = Field(description="the model that made the vectors")
    signature: str | None = Field(description="how the clips' vectors were made")
    space: str | None = Field(description="what the clips' vectors may be compared with")
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    trimmed: list[tuple[int, int] | None] | None = Field(
        None, description="first frame of each clip and the frame after its last one; left out when none is trimmed"
    )
    warnings: list[str] | None = Field(None, description=_WARNINGS)
    errors: list[FailedItem] | None = Field(None, description=_SKIPPED)


class ConfusedPair(Answer):
    label: str = Field(description="what the examples are")
    taken_for: str = Field(description="what they were taken for")
    times: int


class ReportAnswer(Answer):
    """How well a collection tells its labels apart when each example is classified by the others."""

    method: Literal["prototype", "neighbours", "probe"]
    examples: int = Field(description="clips with a gloss")
    labels: int = Field(description="different glosses")
    tested: int = Field(description="examples whose label has others")
    recall: dict[str, float | None] = Field(
        description="R@1, R@5 and R@10: share of the tested examples, 0-1, whose label is among the best k; null: "
        "none could be tested"
    )
    confused: list[ConfusedPair] = Field(description="pairs of labels, the most frequent first")
    too_few: dict[str, int] = Field(description="labels with fewer than three examples, and how many they have")
    version: int = Field(description="of the collection")


class FitAnswer(Answer):
    """The probe that is kept beside the collection."""

    examples: int = Field(description="clips with a gloss that it learned from")
    labels: int = Field(description="different glosses")
    version: int = Field(description="of the collection; once the collection changes, the probe is not used")
    seconds: float = Field(description="that the fit took")


class FoundSign(Answer):
    start_s: float = Field(description="seconds from the recording's start")
    end_s: float = Field(description="seconds from the recording's start")
    label: str
    score: float = Field(description="higher is better; measure says what it is")


class SpotAnswer(Answer):
    """What was found, in the order of time."""

    found: list[FoundSign]
    measure: Literal["z", "cosine"] = Field(
        description="z: by how many standard deviations a window exceeds clips that fit nothing"
    )
    threshold: float = Field(description="least score of a find")
    windows: int = Field(description="windows that were looked at")
    duration_s: float = Field(description="of the recording")
    model_name: str = Field(description="the model that made the vectors")
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    warnings: list[str] | None = Field(None, description=_WARNINGS)


class PairScore(Answer):
    cosine: float = Field(description="of the vectors, from -1 to 1")
    dot: float = Field(description="of the raw vectors: the model's logit")
    l2: float = Field(description="distance of the raw vectors; 0 for the same")


class CorpusMean(Answer):
    mean: float
    low: float = Field(description="lower end of the bootstrap interval of 95 % over pairs")
    high: float = Field(description="upper end")


class ScoreAnswer(Answer):
    """SignCLIPScore of each pair and of all pairs together."""

    pairs: list[PairScore | None] = Field(description="in the order of the hypotheses; null: skipped")
    corpus: dict[str, CorpusMean] | None = Field(description="by measure; null when every pair was skipped")
    model_name: str = Field(description="the model that made the vectors")
    signature: str | None = Field(description="how the hypotheses' vectors were made; quote it with the score")
    space: str | None = Field(description="what the vectors may be compared with")
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    warnings: list[str] | None = Field(None, description=_WARNINGS)
    errors: list[FailedItem] | None = Field(None, description=_SKIPPED)
