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

    frames: int = Field(description="frames in the clip")
    fps: float | None = Field(description="frames per second, as stored; null: not a finite number")
    duration_s: float | None = Field(description="frames over fps, in seconds; null where fps is no rate")
    people: int = Field(description="people in the file")
    left_hand: float | None = Field(description="share of frames in which it is seen; null: not in the layout")
    right_hand: float | None = Field(description="as left_hand")
    face: float | None = Field(description="as left_hand")
    shoulders: float | None = Field(description="share of frames in which both are seen; null: not in the layout")
    active_hand: str | None = Field(description="which hand signs; null when it cannot be told")
    warnings: list[str] = Field(description="what about the clip will not embed well; empty for a good one")


class VideoAnswer(_Answer):
    """What was read of a video."""

    width: int = Field(description="pixels, upright and square, as the pose has them")
    height: int = Field(description="pixels, as width")
    fps: float = Field(description="frames per second, on average")
    frames: int = Field(description="frames that were looked at")
    duration_s: float = Field(description="frames over fps, in seconds")
    rotation: int = Field(description="degrees counterclockwise by which the stored pictures were turned")
    codec: str = Field(description="how the pictures were coded")
    extractor: str = Field(description="what estimated the pose, with version and settings")


class EmbedAnswer(_Answer):
    """Vectors in the order of the input; null where an item was skipped."""

    embeddings: list[list[float] | str | None] = Field(description="numbers, or base64 where encoding_format says so")
    model_name: str = Field(description="the model that made them")
    dimensions: int = Field(description="numbers in a vector")
    normalized: bool = Field(description="whether vectors have unit length")
    signature: str | None = Field(description="what made the vectors; equal signatures can be compared")
    prompts: list[str] | None = Field(None, description="what was embedded, when sign_language was given")
    quality: list[Quality | None] | None = Field(None, description="a report for each clip, when asked for")
    warnings: list[str] | None = Field(None, description="what was cut, and tags the model has not seen; if any")
    errors: list[SkippedItem] | None = Field(None, description="index, code and detail of skipped items; if any")
    video: list[VideoAnswer | None] | None = Field(None, description="what was read of each video, where videos came")
    pose: list[str | None] | None = Field(None, description="the estimated .pose files, base64, with return_pose")


class EstimatedPose(_Answer):
    pose: str = Field(description="a .pose file, base64")
    video: VideoAnswer
    quality: Quality


class EstimateAnswer(_Answer):
    """Poses in the order of the videos; null where one was skipped."""

    poses: list[EstimatedPose | None] = Field(description="pose, video and quality of each clip")
    warnings: list[str] | None = Field(None, description="what did not decode; if anything")
    errors: list[SkippedItem] | None = Field(None, description="index, code and detail of skipped items; if any")


class SimilarityAnswer(_Answer):
    """Rows are the clips, columns the texts; both are the same when only one kind was given."""

    cosine: list[list[float]] = Field(description="cosine similarities, rows × columns")
    dot: list[list[float]] = Field(description="dot products of raw vectors, rows × columns")
    probabilities: list[list[float]] | None = Field(None, description="softmax of dot over the texts")
    rows: list[str] = Field(description="JSON pointers to the items of the request")
    columns: list[str] = Field(description="JSON pointers to the items of the request")
    model_name: str = Field(description="the model that made the vectors")
    prompts: list[str] | None = Field(None, description="what was embedded, when sign_language was given")
    warnings: list[str] | None = Field(None, description="what was cut, and tags the model has not seen; if any")


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
    version: str


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
