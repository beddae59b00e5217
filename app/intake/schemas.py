"""What a request may contain: each class checks a body, and describes it in the OpenAPI document."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetJsonSchemaHandler, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from video.estimates import LEAST_SEEN

# Names of the branches of a union.
ONE, MANY = "(one)", "(many)"
_TAG = r"^[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*$"


def _choose_branch(value: object) -> str:
    return MANY if isinstance(value, list) else ONE


Items = Annotated[
    Annotated[str, Tag(ONE)] | Annotated[list[str], Field(min_length=1), Tag(MANY)], Discriminator(_choose_branch)
]
Content = TypeVar("Content", str, bytes)
EncodingFormat = Literal["float", "base64", "base64_float16"]


def locate_items(key: str, items: str | Sequence[Content]) -> tuple[Sequence[str | Content], list[str]]:
    """List the items that stand under a key of the document, with the JSON pointer (RFC 6901) to each."""
    if isinstance(items, str):
        return [items], [f"/{key}"]
    return items, [f"/{key}/{index}" for index in range(len(items))]


def require_one(**given: object) -> None:
    """Require that one of two keys is set.

    Raises:
        ValueError: neither is set, or both are.
    """
    found = [name for name, value in given.items() if value is not None]
    if len(found) > 1:
        raise ValueError(f"{' and '.join(found)} were both sent; leave one out")
    if not found:
        raise ValueError(f"{' or '.join(given)} is needed; neither was sent")


class Request(BaseModel):
    """Root of the requests. A key that is no field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Keys whose lists count against the limit of items in one request.
    counted: ClassVar[tuple[str, ...]] = ()


class ModelChoice(Request):
    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="a model or alias of /api/models; if unset, the server's default model",
    )


class ItemOptions(ModelChoice):
    truncate: bool = Field(
        False, description="true: keep the first max_frames frames or max_tokens tokens, with a warning; false: refuse"
    )


class PromptOptions(Request):
    sign_language: str | None = Field(
        None, min_length=1, max_length=64, description="tag, alias or name of /api/languages; makes the prompt"
    )
    spoken_language: str | None = Field(
        None, min_length=2, max_length=32, pattern=_TAG, description='tag of the language of the text; "en" if unset'
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say in the schema, too, that the one option needs the other."""
        found = handler.resolve_ref_schema(handler(schema))
        found["dependentRequired"] = {"spoken_language": ["sign_language"]}
        return found

    @model_validator(mode="after")
    def _check_languages(self) -> "PromptOptions":
        if self.spoken_language is not None and self.sign_language is None:
            raise ValueError("spoken_language needs sign_language, because prompts name both")
        return self


class ClipOptions(Request):
    flip: Literal["never", "auto", "always"] = Field(
        "never", description="auto: mirror a clip in which the right hand never moves; always: mirror every clip"
    )
    anonymize: bool = Field(False, description="remove the signer's appearance first")
    trim: Literal["none", "auto"] | None = Field(
        None,
        description="auto: cut each clip to the signing, from the first frame with a wrist above its elbow to the last "
        "one, and 2 frames around; none: embed whole clips; if unset, the model's own default (GET /api/models)",
    )
    person: int | None = Field(
        None, ge=0, le=65_535, description="number of the person, from 0, when a file holds several"
    )
    extractor: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[ -~]+$",
        description="what estimated the poses, with version and settings, if it was another tool than this service's; "
        "the warnings repeat it",
    )


class EmbedOptions(ItemOptions):
    normalize: bool = Field(
        True, description="true: vectors of unit length; false: raw vectors, whose dot products are the model's logits"
    )
    encoding_format: EncodingFormat = Field(
        "float", description="base64: little-endian float32; base64_float16: little-endian float16"
    )
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: a bad item fails the request; skip: it becomes null, with an entry in errors"
    )


class TextRequest(EmbedOptions, PromptOptions):
    """Texts to embed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": ["A", "B"], "sign_language": "ase", "spoken_language": "en"}]}
    )
    counted: ClassVar[tuple[str, ...]] = ("text",)

    text: Items = Field(description="a text or a list of texts")


class PoseOptions(EmbedOptions, ClipOptions):
    """Options for poses that are sent as files."""

    quality: bool = Field(False, description="add a quality report for each clip")


class PoseRequest(PoseOptions):
    """Poses to embed, as base64 in JSON."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pose": ["<base64 .pose>"], "flip": "auto"}]})
    counted: ClassVar[tuple[str, ...]] = ("pose",)

    pose: Items = Field(description="a .pose file or a list of them, base64")


class InspectOptions(Request):
    """Options for a pose that is sent as a file."""

    person: int | None = Field(
        None, ge=0, le=65_535, description="number of the person, from 0, when the file holds several"
    )


class InspectRequest(InspectOptions):
    """A pose to report on, as base64 in JSON."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pose": "<base64 .pose>"}]})

    pose: str = Field(description="a .pose file, base64")


class SeenOptions(Request):
    min_seen: float = Field(
        LEAST_SEEN,
        ge=0,
        le=1,
        description="smallest share of a video's frames, 0-1, that must show a person; a video with fewer is refused",
    )


class VideoOptions(EmbedOptions, ClipOptions, SeenOptions):
    """Options for videos that are sent as files."""

    return_pose: bool = Field(False, description="add the estimated .pose files, base64")


class VideoBody(Request):
    counted: ClassVar[tuple[str, ...]] = ("video",)

    video: Items = Field(description="a video file or a list of them, base64")


class VideoRequest(VideoOptions, VideoBody):
    """Videos to embed, as base64 in JSON."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"video": ["<base64 video>"], "flip": "auto"}]})


class EstimationOptions(SeenOptions):
    """Options for videos that are sent as files."""

    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: a bad video fails the request; skip: it becomes null, with an entry in errors"
    )


class EstimationRequest(EstimationOptions, VideoBody):
    """Videos in which poses are to be estimated, as base64 in JSON."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"video": "<base64 video>"}]})


class DocumentClips(ItemOptions, ClipOptions, SeenOptions):
    """Clips that are compared with something, in a document that may hold both poses and videos."""

    pose: Items | None = Field(None, description="a .pose file or a list of them, base64")
    video: Items | None = Field(None, description="a video file or a list of them, base64; they come after the poses")
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: a bad item fails the request; skip: it becomes null, with an entry in errors"
    )
    allow_no_hands: bool = Field(
        False, description="true: take clips without a hand in any frame, which are refused otherwise"
    )


class SimilarityRequest(DocumentClips, PromptOptions):
    """Texts and clips to compare: clips with texts, or items of one kind with each other."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": ["A", "B"], "pose": ["<base64 .pose>"], "sign_language": "ase"}]}
    )
    counted: ClassVar[tuple[str, ...]] = ("text", "pose", "video")

    text: Items | None = Field(None, description="a text or a list of texts: the columns; clips are the rows")

    @model_validator(mode="after")
    def _check_kinds(self) -> "SimilarityRequest":
        if self.text is None and self.pose is None and self.video is None:
            raise ValueError("at least one of text, pose and video is needed")
        return self


class OpenAIRequest(PromptOptions):
    """Texts to embed, as clients of OpenAI's API send them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        json_schema_extra={"examples": [{"input": ["<en> <ase> A"]}]},
    )
    counted: ClassVar[tuple[str, ...]] = ("input",)

    input: Items = Field(
        description="a text or a list of texts; token arrays are decoded where OpenAI's tokenizer is installed, else "
        "refused"
    )
    model: str | None = Field(None, min_length=1, max_length=64, description="a model or alias of /api/models")
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: little-endian float32")
    dimensions: int | None = Field(
        None, ge=1, description="refused unless it equals the model's own number of dimensions"
    )
    truncate: bool = Field(False, description="true: keep the first max_tokens tokens; false: refuse longer texts")
    user: str | None = Field(None, max_length=1024, description="accepted and not used")
