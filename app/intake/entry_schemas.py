"""What requests about collections may contain: collections, entries and searches."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from app.intake.schemas import ClipOptions, ItemOptions, ModelChoice, PromptOptions, Request, SeenOptions

_WORD_CHARS = 1000
_MAX_TEXTS = 32
_MAX_TAGS = 32
# Of a base64 text or a list of numbers; no model has more dimensions.
_MAX_DIMENSIONS = 4096
# Hits of one query: more pages than a person reads, and little enough that a request cannot read a whole collection.
_MOST_HITS = 1000

Word = Annotated[str, Field(max_length=_WORD_CHARS)]
Numbers = Annotated[list[float], Field(min_length=1, max_length=_MAX_DIMENSIONS)]
TagValue = bool | int | float | Word
CONTENT = ("pose", "video", "text", "vector")


class CollectionRequest(ModelChoice):
    """A collection to create. Its vectors are those of a model, or of any space that is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "my dictionary"}]})

    description: str = Field("", max_length=_WORD_CHARS, description="words for people")
    space: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="what the vectors may be compared with, if they come from elsewhere; if unset, the model's space",
    )
    dimensions: int | None = Field(
        None, ge=1, le=_MAX_DIMENSIONS, description="numbers in a vector; needed with space, refused without it"
    )

    @model_validator(mode="after")
    def _check_space(self) -> "CollectionRequest":
        if (self.space is None) != (self.dimensions is None):
            raise ValueError("space and dimensions are sent together, or neither is")
        if self.space is not None and self.model_name is not None:
            raise ValueError("send model_name, or space and dimensions, because a model has its own space")
        return self


class EntryFacts(Request):
    """What is known about an entry beside its vector."""

    id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="unique in the collection; if unset, made from the content, and of a text from its languages too",
    )
    gloss: Word = Field("", description="the label by which results are grouped and classified")
    texts: list[Word] = Field([], max_length=_MAX_TEXTS, description="words or sentences with the same meaning")
    sign_language: Word | None = Field(None, description="tag of the sign language; it also makes the prompt of a text")
    spoken_language: Word | None = Field(None, description="tag of the language of gloss and texts")
    source: Word | None = Field(None, description="where the clip comes from")
    tags: dict[str, TagValue] = Field(
        {}, max_length=_MAX_TAGS, description="any facts, by name: texts, numbers or booleans"
    )


class EntryItem(EntryFacts):
    """An entry to store: one of pose, video, text and vector, and what is known about it."""

    pose: str | None = Field(None, description="a .pose file, base64")
    video: str | None = Field(None, description="a video file, base64")
    text: str | None = Field(None, description="a text to embed")
    vector: Numbers | str | None = Field(None, description="numbers, or base64 of little-endian float32")
    kind: Literal["pose", "text"] | None = Field(
        None, description='what a vector was made of; "pose" if unset, refused without a vector'
    )
    space: str | None = Field(None, max_length=128, description="of a vector; refused if it is not the collection's")
    signature: Word | None = Field(None, description="of a vector: how it was made")

    @model_validator(mode="after")
    def _check_content(self) -> "EntryItem":
        given = [name for name in CONTENT if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(CONTENT)} is needed; there are {len(given)}")
        beside = [name for name in ("kind", "space", "signature") if getattr(self, name) is not None]
        if beside and self.vector is None:
            raise ValueError(f"{beside[0]} belongs to a vector; of a {given[0]} it is found out")
        return self


class EntryOptions(ItemOptions, ClipOptions, SeenOptions):
    """Options for entries that are sent as files or as lines."""

    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: a bad entry fails the request; skip: it is left out, with an entry in errors"
    )
    keep_pose: bool = Field(True, description="keep the pose of each clip, so that previews can be drawn")


class EntriesRequest(EntryOptions):
    """Entries to store; one whose id exists is replaced."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"entries": [{"id": "house-1", "text": "house", "gloss": "HOUSE"}]}]}
    )
    counted = ("entries",)

    entries: list[EntryItem] = Field(min_length=1, description="the entries")


class FormRequest(EntryOptions):
    """The fields of a form with files."""

    entries: Annotated[list[EntryFacts], BeforeValidator(lambda value: _read_json(value))] = Field(
        [], description="what is known about each file, in their order, as JSON"
    )


class EntryChanges(Request):
    """Facts of an entry to change; what is not sent stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"gloss": "HOUSE", "tags": {"checked": True}}]})

    gloss: Word | None = Field(None, description="the new label")
    texts: list[Word] | None = Field(None, max_length=_MAX_TEXTS, description="the new texts")
    sign_language: Word | None = Field(None, description="the new sign language")
    spoken_language: Word | None = Field(None, description="the new spoken language")
    source: Word | None = Field(None, description="the new source")
    tags: dict[str, TagValue] | None = Field(None, max_length=_MAX_TAGS, description="the new tags, all of them")


class ExportOptions(Request):
    filter: Annotated[dict[str, Any], BeforeValidator(lambda value: _read_json(value))] = Field(
        {}, description="entries that are exported, as JSON"
    )
    version: int | None = Field(None, ge=1, description="of the collection; the last one if unset")
    with_pose: bool = Field(True, description="false: leave the poses out")


class SearchParameters(ItemOptions, PromptOptions, ClipOptions, SeenOptions):
    """Options of a search whose clip is sent as a file."""

    k: int = Field(10, ge=1, le=_MOST_HITS, description="most hits")
    filter: Annotated[dict[str, Any], BeforeValidator(lambda value: _read_json(value))] = Field(
        {},
        description='entries that are searched: {"sign_language": "ase", "gloss": ["A", "B"], "tags.signer": {"not": '
        '"anna"}}; in a query as JSON',
    )
    min_score: Annotated[float, Field(ge=-1, le=1)] | Literal["auto"] | None = Field(
        None,
        description="least cosine of a hit; any if unset; auto: what at most 5 % of clips that fit nothing reach, "
        "those of the model's background",
    )
    group_by: Literal["gloss"] | None = Field(None, description="gloss: only the best entry of each gloss is a hit")
    allow_no_hands: bool = Field(False, description="true: take a clip with no hand in any frame; false: refuse it")
    mode: Literal["auto", "exact", "approximate"] = Field(
        "auto", description="exact: compare every vector; approximate: use the index; auto: what is fast enough"
    )


class SearchContent(Request):
    pose: str | None = Field(None, description="a .pose file, base64")
    video: str | None = Field(None, description="a video file, base64")
    text: str | None = Field(None, description="a text; with sign_language it becomes a prompt")
    vector: Numbers | str | None = Field(None, description="numbers, or base64 of little-endian float32")
    space: str | None = Field(None, max_length=128, description="of a vector; refused if it is not the collection's")
    signature: Word | None = Field(None, description="of a vector: how it was made")

    @model_validator(mode="after")
    def _check_content(self) -> "SearchContent":
        given = [name for name in CONTENT if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(CONTENT)} is needed; there are {len(given)}")
        return self


class CollectionSearchRequest(SearchParameters, SearchContent):
    """A clip, a text or a vector to search one collection for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "A", "sign_language": "ase", "k": 3}]})


class SearchRequest(CollectionSearchRequest):
    """A clip, a text or a vector to search several collections for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "A", "sign_language": "ase", "k": 3}]})

    collections: list[str] | None = Field(
        None, min_length=1, max_length=32, description="names; if unset, all collections of the query's space"
    )


def _read_json(value: object) -> object:
    """Read JSON from a field of a form or of a query; other values are returned as they are."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError("it must be JSON") from error
