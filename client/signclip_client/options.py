"""The options of each method, by the names that the service gives them; the service's /docs describes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Flip = Literal["never", "auto", "always"]
OnError = Literal["fail", "skip"]


class ItemOptions(TypedDict, total=False):
    """Of routes that ask a model.

    Attributes:
        model_name: a name of list_models(); without it the client's model, else the service's default.
        truncate: keep the beginning of what is too long for the model, with a warning.
    """

    model_name: str
    truncate: bool


class PromptOptions(TypedDict, total=False):
    """Of texts.

    Attributes:
        sign_language: tag, alias or name of list_languages(); makes the prompt.
        spoken_language: tag of the language of the text; "en" without it.
    """

    sign_language: str
    spoken_language: str


class ClipOptions(TypedDict, total=False):
    """Of poses and videos.

    Attributes:
        flip: auto: mirror a clip in which the right hand never moves.
        anonymize: remove the signer's appearance first.
        trim: auto: cut each clip to the signing; none: embed whole clips; without it, the model's own default.
        person: number of the person, from 0, when a clip holds several.
        extractor: what estimated the poses, with version and settings, if it was another tool than the service's.
    """

    flip: Flip
    anonymize: bool
    trim: Literal["none", "auto"]
    person: int
    extractor: str


class SeenOptions(TypedDict, total=False):
    """Of videos.

    Attributes:
        min_seen: smallest share of the frames, 0-1, that must show a person.
    """

    min_seen: float


class EmbedOptions(ItemOptions, total=False):
    """Of vectors.

    Attributes:
        normalize: False: raw vectors, whose dot products are the model's logits.
        on_error: skip: a bad item becomes a row of NaN, with an entry in `errors`.
    """

    normalize: bool
    on_error: OnError


class TextOptions(EmbedOptions, PromptOptions, total=False):
    """Of embed_text."""


class PoseOptions(EmbedOptions, ClipOptions, total=False):
    """Of embed_pose.

    Attributes:
        quality: add a report on each clip.
    """

    quality: bool


class VideoOptions(EmbedOptions, ClipOptions, SeenOptions, total=False):
    """Of embed_video.

    Attributes:
        return_pose: add the estimated .pose files.
    """

    return_pose: bool


class DocumentClipOptions(ItemOptions, ClipOptions, SeenOptions, total=False):
    """Of clips that are compared with something.

    Attributes:
        on_error: skip: a bad item is left out, with an entry in `errors`.
        allow_no_hands: take clips without a hand in any frame, which are refused otherwise.
    """

    on_error: OnError
    allow_no_hands: bool


class SimilarityOptions(DocumentClipOptions, PromptOptions, total=False):
    """Of similarity; the scores of items that are skipped are NaN."""


class EstimationOptions(SeenOptions, total=False):
    """Of estimate_pose.

    Attributes:
        on_error: skip: a bad video becomes None, with an entry in `errors`.
    """

    on_error: OnError


class CollectionOptions(TypedDict, total=False):
    """Of create_collection.

    Attributes:
        description: words for people.
        model_name: the model whose vectors it holds; without it the service's default.
        space: what the vectors may be compared with, if they come from elsewhere.
        dimensions: numbers in a vector; needed with space.
    """

    description: str
    model_name: str
    space: str
    dimensions: int


class EntryOptions(ItemOptions, ClipOptions, SeenOptions, total=False):
    """Of store_entries.

    Attributes:
        on_error: skip: a bad entry is left out, with an entry in `errors`.
        keep_pose: keep the pose of each clip, so that previews can be drawn.
    """

    on_error: OnError
    keep_pose: bool


class EntryChanges(TypedDict, total=False):
    """Of change_entry: facts that replace those of the entry."""

    gloss: str
    texts: Sequence[str]
    sign_language: str
    spoken_language: str
    source: str
    tags: Mapping[str, Any]


class CollectionSearchOptions(ItemOptions, PromptOptions, ClipOptions, SeenOptions, total=False):
    """Of search_collection.

    Attributes:
        k: most hits.
        filter: entries that are searched, such as {"sign_language": "ase", "gloss": ["A", "B"]}.
        min_score: least cosine of a hit; auto: what at most 5 % of the model's background reach.
        group_by: gloss: only the best entry of each gloss is a hit.
        allow_no_hands: take a clip with no hand in any frame, which is refused otherwise.
        mode: exact: compare every vector; approximate: use the index.
        space: of a vector.
        signature: of a vector: how it was made.
    """

    k: int
    filter: Mapping[str, Any]
    min_score: float | Literal["auto"]
    group_by: Literal["gloss"]
    allow_no_hands: bool
    mode: Literal["auto", "exact", "approximate"]
    space: str
    signature: str


class SearchOptions(CollectionSearchOptions, total=False):
    """Of search_collections.

    Attributes:
        collections: names; without them, all collections of the query's space are searched.
    """

    collections: Sequence[str]


class ExportOptions(TypedDict, total=False):
    """Of export_entries.

    Attributes:
        filter: entries that are exported, such as {"sign_language": "ase"}.
        version: of the collection; without it the newest.
        with_pose: also export the poses.
    """

    filter: Mapping[str, Any]
    version: int
    with_pose: bool


class BankOptions(PromptOptions, total=False):
    """Of methods that look at the examples of a collection.

    Attributes:
        collection: a collection whose entries with a gloss are the examples.
        shots: examples of each label; "all": every one.
        method: text: compare with texts; prototype: with the mean of each label's examples; blend: the same, where each
            label's text counts as some examples; neighbours: with its nearest examples; probe: logistic regression.
    """

    collection: str
    shots: int | Literal["all"]
    method: Literal["text", "prototype", "blend", "neighbours", "probe"]


class ClassifyOptions(ItemOptions, ClipOptions, SeenOptions, BankOptions, total=False):
    """Of classify.

    Attributes:
        on_error: skip: a bad clip becomes None, with an entry in `errors`.
        allow_no_hands: take clips without a hand in any frame, which are refused otherwise.
        labels: texts of which each clip may be one; or give a collection.
        reject: reject clips that fit nothing.
        false_accept_rate: the share of clips that fit nothing which may be accepted.
        nearest: nearest examples to list for each clip, of a collection.
    """

    on_error: OnError
    allow_no_hands: bool
    labels: Sequence[str]
    reject: bool
    false_accept_rate: float
    nearest: int


class SpotOptions(ItemOptions, ClipOptions, SeenOptions, BankOptions, total=False):
    """Of spot.

    Attributes:
        query: texts to look for; or give a collection.
        threshold: least score of a find.
        false_accept_rate: share of windows without a sign that may reach the threshold.
    """

    query: Sequence[str]
    threshold: float
    false_accept_rate: float


class ScoreOptions(ItemOptions, PromptOptions, ClipOptions, total=False):
    """Of score.

    Attributes:
        on_error: skip: a bad pair becomes None, with an entry in `errors`.
        allow_no_hands: take clips without a hand in any frame, which are refused otherwise.
    """

    on_error: OnError
    allow_no_hands: bool


class ReportOptions(TypedDict, total=False):
    """Of report_on_collection.

    Attributes:
        method: how each example is classified by the others.
        sign_language: tag, alias or name; entries of other languages are left out.
    """

    method: Literal["prototype", "neighbours", "probe"]
    sign_language: str


class InspectOptions(TypedDict, total=False):
    """Of inspect_pose.

    Attributes:
        person: number of the person, from 0, when the file holds several.
    """

    person: int
