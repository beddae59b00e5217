"""What the service answers: the shapes of the OpenAPI document. Answers are built by hand and tested against these."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SkippedItem(_Answer):
    index: int
    code: str
    detail: str


class Quality(_Answer):
    """Shares are of frames, in 0–1."""

    frames: int
    fps: float
    duration_s: float
    people: int
    left_hand: float | None = Field(description="null: the layout has none; so for the other parts")
    right_hand: float | None
    face: float | None
    shoulders: float | None
    active_hand: str | None
    warnings: list[str]


class EmbedAnswer(_Answer):
    """Vectors in the order of the input; null where an item was skipped."""

    embeddings: list[list[float] | str | None]
    model_name: str
    dimensions: int
    normalized: bool
    signature: str | None = Field(description="what made the vectors; equal signatures can be compared")
    prompts: list[str] | None = Field(None, description="what was embedded, when sign_language was given")
    quality: list[Quality | None] | None = None
    warnings: list[str] | None = None
    errors: list[SkippedItem] | None = None


class SimilarityAnswer(_Answer):
    """Rows are the clips, columns the texts; both are the same when only one kind was given."""

    cosine: list[list[float]]
    dot: list[list[float]]
    probabilities: list[list[float]] | None = Field(None, description="softmax of dot over the texts")
    rows: list[str] = Field(description="JSON pointers to the items of the request")
    columns: list[str] = Field(description="JSON pointers to the items of the request")
    model_name: str
    prompts: list[str] | None = None
    warnings: list[str] | None = None


class ModelAnswer(_Answer):
    name: str
    aliases: list[str]
    description: str
    licence: str
    source: str
    state: Literal["available", "loading", "loaded", "missing", "failed"]
    reason: str | None = Field(description="why it is missing, with the command that fetches it, or why it failed")
    dimensions: int
    max_frames: int
    max_tokens: int
    features: str
    tokenizer: str
    device: str | None
    dtype: str | None
    signature: str | None = Field(description="of vectors made with default options, once the checkpoint is known")


class ModelsAnswer(_Answer):
    default: str
    models: list[ModelAnswer]


class LanguageAnswer(_Answer):
    tag: str
    name: str
    aliases: list[str]
    clips: int = Field(description="clips in the multilingual pretraining data")


class LanguagesAnswer(_Answer):
    languages: list[LanguageAnswer]


class OpenAIEmbedding(_Answer):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class OpenAIUsage(_Answer):
    prompt_tokens: int
    total_tokens: int


class OpenAIAnswer(_Answer):
    object: Literal["list"]
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage


class HealthAnswer(_Answer):
    status: Literal["ok"]


class ReadyAnswer(_Answer):
    status: Literal["ready"]
    model: str


class ProblemPlace(_Answer):
    pointer: str
    message: str


class ProblemAnswer(_Answer):
    """A refusal or a failure, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[ProblemPlace] | None = Field(None, description="JSON pointers to what is wrong with the input")
    error: dict[str, Any] | None = Field(None, description="the same in OpenAI's shape, under /v1 only")
