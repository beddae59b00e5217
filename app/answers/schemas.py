"""The schemas of the answers, for the OpenAPI document. Answers are built by hand; tests check them against these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.error_table import list_error_lines

_WARNINGS = (
    "sentences about the items: what was cut, what the model does not know, what about a clip will not embed well; "
    "left out when there are none"
)
_SKIPPED = "index, code and detail of each item that was skipped; left out when there are none"
_SIGNATURE = "how vectors were made"
_SPACE = "what vectors may be compared with: those of the same space"
_PROMPTS = "the texts as they were embedded, when sign_language was given"


_TRIMMED = (
    "of each clip, the first frame that was embedded, from 0, and the frame after the last one; null for a clip that "
    "was skipped; left out when clips are not trimmed"
)
Span = Annotated[list[int], Field(min_length=2, max_length=2)]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SkippedItem(Answer):
    index: int = Field(description="place of the item in the request, from 0")
    code: str = Field(description="stable name of what was wrong")
    detail: str = Field(description="what was wrong")


class Quality(Answer):
    """What a clip holds. Shares are of its frames, 0-1."""

    frames: int = Field(description="frames in the clip")
    fps: float | None = Field(description="frames per second, as stored; null: not a finite number")
    duration_s: float | None = Field(description="frames over fps, in seconds; null where fps is no rate")
    people: int = Field(description="people in the file")
    left_hand: float | None = Field(description="share of frames in which the hand is seen; null: not in the layout")
    right_hand: float | None = Field(description="share of frames in which the hand is seen; null: not in the layout")
    face: float | None = Field(description="share of frames in which the face is seen; null: not in the layout")
    shoulders: float | None = Field(description="share of frames in which both are seen; null: not in the layout")
    active_hand: str | None = Field(description="the hand that signs; null when the clip does not show it")
    warnings: list[str] = Field(description="what about the clip will not embed well; empty for a good clip")


class Inspection(Quality):
    """What a clip holds, and which models can embed it."""

    layout: str = Field(description="the tool that the layout of points seems to come from")
    models: dict[str, str | None] = Field(
        description="by name of a model of /api/models: null where it takes the layout, else why it does not"
    )
    advice: str | None = Field(None, description="what to do; left out where no model lacks a point")


class VideoAnswer(Answer):
    """What was read of a video."""

    width: int = Field(description="pixels, once the picture is upright and its pixels are square, as in the pose")
    height: int = Field(description="pixels, measured as the width is")
    fps: float = Field(description="frames per second, on average")
    frames: int = Field(description="frames that were read")
    duration_s: float = Field(description="frames over fps, in seconds")
    rotation: int = Field(description="degrees counterclockwise by which the stored pictures were turned")
    codec: str = Field(description="codec of the pictures")
    extractor: str = Field(description="what estimated the pose, with version and settings")


class EmbedAnswer(Answer):
    """Vectors in the order of the input; null for an item that was skipped."""

    embeddings: list[list[float] | str | None] = Field(description="numbers, or base64 when encoding_format says so")
    model_name: str = Field(description="the model that made the vectors")
    dimensions: int = Field(description="numbers in a vector")
    normalized: bool = Field(description="whether vectors have unit length")
    signature: str | None = Field(description=_SIGNATURE)
    space: str | None = Field(description=_SPACE)
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    quality: list[Quality | None] | None = Field(
        None, description="a report on each clip; of poses, only when the request asks for it"
    )
    trimmed: list[Span | None] | None = Field(None, description=_TRIMMED)
    warnings: list[str] | None = Field(None, description=_WARNINGS)
    errors: list[SkippedItem] | None = Field(None, description=_SKIPPED)
    video: list[VideoAnswer | None] | None = Field(None, description="what was read of each video, for videos")
    pose: list[str | None] | None = Field(None, description="the estimated .pose files, base64, with return_pose")


class EstimatedPose(Answer):
    pose: str = Field(description="a .pose file, base64")
    video: VideoAnswer
    quality: Quality


class EstimationAnswer(Answer):
    """Poses in the order of the videos; null for a video that was skipped."""

    poses: list[EstimatedPose | None] = Field(description="pose, video and quality of each clip")
    warnings: list[str] | None = Field(None, description="what could not be decoded; left out when there is nothing")
    errors: list[SkippedItem] | None = Field(None, description=_SKIPPED)


class FailedItem(SkippedItem):
    pointer: str = Field(description="JSON pointer to the item")


class SimilarityAnswer(Answer):
    """Rows are the clips, columns the texts. When the request has one kind only, its items are rows and columns."""

    cosine: list[list[float | None] | None] = Field(description="cosine similarities, rows × columns")
    dot: list[list[float | None] | None] = Field(description="dot products of raw vectors, rows × columns")
    probabilities: list[list[float | None] | None] | None = Field(None, description="softmax of dot over the texts")
    none_of_these: list[float | None] | None = Field(
        None, description="probability that a clip is none of the texts; left out where the model has no background"
    )
    rows: list[str] = Field(description="JSON pointers to the items of the request")
    columns: list[str] = Field(description="JSON pointers to the items of the request")
    model_name: str = Field(description="the model that made the vectors")
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    trimmed: list[Span | None] | None = Field(None, description=_TRIMMED)
    warnings: list[str] | None = Field(None, description=_WARNINGS)
    errors: list[FailedItem] | None = Field(None, description=_SKIPPED)


class ModelAnswer(Answer):
    name: str = Field(description="the name that requests may use as model_name")
    aliases: list[str] = Field(description="other names for the same model")
    description: str = Field(description="what the model is for")
    licence: str = Field(description="licence of the weights")
    source: str = Field(description="where the weights come from")
    state: Literal["available", "loading", "loaded", "missing", "failed"] = Field(
        description="available: it loads when it is first used"
    )
    reason: str | None = Field(description="why it is missing, with the command that fetches it, or why it failed")
    dimensions: int = Field(description="numbers in a vector")
    max_frames: int = Field(description="frames that a clip may have")
    max_tokens: int = Field(description="tokens that a text may have")
    features: str = Field(description="kind of the pose features that the model takes")
    trim: Literal["none", "auto"] = Field(description="how clips are trimmed when a request does not say")
    tokenizer: str = Field(description="the tokenizer of the model")
    sign_languages: list[str] | None = Field(description="tags of the sign languages that it saw; null: not recorded")
    spoken_languages: list[str] | None = Field(description="tags of the languages of its texts; null: not recorded")
    background: bool = Field(description="whether it can reject clips that fit nothing; false until it is loaded")
    device: str | None = Field(description="where it runs; null until it is loaded")
    dtype: str | None = Field(description="number format of the forward pass; null until it is loaded")
    signature: str | None = Field(description="of vectors made with default options; null until it is loaded")
    space: str | None = Field(description="of all vectors that it makes; null until it is loaded")


class BrokenModelAnswer(Answer):
    name: str = Field(description="the folder's name")
    reason: str


class ModelsAnswer(Answer):
    default: str = Field(description="the model that answers when a request names none")
    models: list[ModelAnswer]
    broken: list[BrokenModelAnswer] = Field(description="folders whose config.yaml describes no model")


class LanguageAnswer(Answer):
    tag: str = Field(description="the tag in prompts")
    name: str
    aliases: list[str] = Field(description="other names and tags of the language")
    clips: int = Field(description="clips in the multilingual pretraining data")


class LanguagesAnswer(Answer):
    languages: list[LanguageAnswer]


class SampleAnswer(Answer):
    name: str = Field(description="the clip is at /samples/{name}")
    kind: Literal["pose", "video"]
    text: str = Field(description="what is signed")
    sign_language: str = Field(description="tag of the sign language")
    shows: str = Field(description="the same as a phrase")
    licence: str
    source: str = Field(description="where the clip comes from")
    bytes: int = Field(description="size of the file")


class SamplesAnswer(Answer):
    samples: list[SampleAnswer]


class OpenAIEmbedding(Answer):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class OpenAIUsage(Answer):
    prompt_tokens: int
    total_tokens: int


class OpenAIAnswer(Answer):
    object: Literal["list"]
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage
    signature: str | None = Field(description=_SIGNATURE)
    space: str | None = Field(description=_SPACE)
    prompts: list[str] | None = Field(None, description=_PROMPTS)
    warnings: list[str] | None = Field(None, description=_WARNINGS)


class OpenAIModel(Answer):
    id: str = Field(description="name of the model")
    object: Literal["model"]
    created: int = Field(description="0: not recorded")
    owned_by: str = Field(description="where the model comes from")


class OpenAIModelsAnswer(Answer):
    object: Literal["list"]
    data: list[OpenAIModel]


class HealthAnswer(Answer):
    status: Literal["ok"]
    version: str


class ReadyAnswer(Answer):
    status: Literal["ready"]
    model: str


class ProblemPlace(Answer):
    pointer: str
    message: str


def _list_codes(schema: dict[str, Any]) -> None:
    schema["enum"] = [code for line in list_error_lines() for code in line.codes]


class ProblemAnswer(Answer):
    """A refusal or a failure, as RFC 9457 has it."""

    type: str
    title: str = Field(description="what the code's class of errors means")
    status: int = Field(description="the HTTP status")
    code: str = Field(description="stable name of the error", json_schema_extra=_list_codes)
    detail: str = Field(description="what was wrong with this request")
    request_id: str = Field(description="the id of X-Request-ID; the server's log has it too")
    errors: list[ProblemPlace] | None = Field(None, description="JSON pointers to what is wrong with the input")
    error: dict[str, Any] | None = Field(None, description="the same in OpenAI's shape, only under /v1")
