"""The schemas of answers about collections, entries and searches, for the OpenAPI document."""

from typing import Any

from pydantic import Field

from app.answers.schemas import Answer, SkippedItem

_WARNINGS = "sentences about the items and the vectors; left out when there are none"


class CollectionAnswer(Answer):
    name: str
    space: str = Field(description="what its vectors may be compared with")
    dimensions: int = Field(description="numbers in a vector")
    description: str = Field(description="words for people")
    created: str = Field(description="time of its creation, ISO 8601")
    entries: int = Field(description="how many there are")
    version: int = Field(description="number that grows with every change")


class CollectionsAnswer(Answer):
    collections: list[CollectionAnswer]


class DeletedAnswer(Answer):
    deleted: int = Field(description="how many were deleted")


class StoredAnswer(Answer):
    """What was stored. With Accept: application/x-ndjson, lines with done, failed and total come first."""

    stored: int = Field(description="entries that were stored")
    ids: list[str] | None = Field(None, description="their ids, in the order of the request; left out of imports")
    space: str = Field(description="what the vectors may be compared with")
    errors: list[SkippedItem] | None = Field(
        None, description="index, code and detail of each entry that was skipped; left out when there are none"
    )
    warnings: list[str] | None = Field(None, description=_WARNINGS)


class EntryAnswer(Answer):
    id: str
    kind: str = Field(description="pose or text: what the vector was made of")
    gloss: str
    texts: list[str]
    sign_language: str | None
    spoken_language: str | None
    source: str | None
    tags: dict[str, Any]
    space: str = Field(description="what the vector may be compared with")
    signature: str | None = Field(description="how the vector was made; null: not known")
    created: str = Field(description="time of the last change, ISO 8601")
    quality: dict[str, Any] | None = Field(description="the report on the clip; null: there is none")
    preview: str | None = Field(description="path of a picture of the clip; null: its pose is not kept")
    vector: list[float] = Field(description="the vector, of length 1")


class HitAnswer(Answer):
    id: str
    rank: int = Field(description="from 1")
    score: float = Field(description="cosine of query and entry")
    gloss: str
    kind: str = Field(description="pose or text: what the entry's vector was made of")
    sign_language: str | None
    tags: dict[str, Any]
    preview: str | None = Field(description="path of a picture of the clip; null: its pose is not kept")
    collection: str = Field(description="name of the entry's collection")


class SearchAnswer(Answer):
    """Entries, best first. Of equal scores the lower id comes first."""

    hits: list[HitAnswer]
    space: str = Field(description="what the query's vector may be compared with")
    signature: str | None = Field(description="how the query's vector was made; null: not known")
    warnings: list[str] | None = Field(None, description=_WARNINGS)
