"""What requests to classify clips, to spot signs and to score signing may contain."""

from typing import Annotated, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from app.intake.schemas import (
    ClipOptions,
    DocumentClips,
    ItemOptions,
    Items,
    PromptOptions,
    Request,
    SeenOptions,
    require_one,
)
from search.banks import Method
from search.null import DEFAULT_RATE
from search.spotter import DEFAULT_RATE as SPOTTING_RATE

# Of a label or a query; prompts have the service's own limit.
_LABEL_CHARS = 1000
Label = Annotated[str, Field(min_length=1, max_length=_LABEL_CHARS)]
CollectionName = Annotated[str, Field(min_length=1, max_length=48)]
_RATE = "the share of clips that fit nothing which may be accepted"


def _list_queries(value: object) -> object:
    """Read what stands in the query of a raw body: a text, or a JSON list of texts."""
    if not isinstance(value, str):
        return value
    if not value.startswith("["):
        return [value]
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return [value]


class BankOptions(PromptOptions):
    """Which examples of a collection are looked at, and how."""

    collection: CollectionName | None = Field(
        None,
        description="a collection whose entries with a gloss are the examples, with sign_language without those of "
        "other languages",
    )
    shots: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        "all", description="examples of each label, drawn at random but always the same; all: every one"
    )
    method: Method | None = Field(
        None,
        description="text: compare with texts; prototype: with the mean of each label's examples; blend: the same, "
        "where each label's text counts as some examples, as many as suit the collection; neighbours: with its nearest "
        "examples; probe: logistic regression. If unset, text for labels; for a collection, prototype to spot signs, "
        "and blend to classify, or prototype if it has more than 256 labels",
    )


class ClassifyRequest(DocumentClips, BankOptions):
    """Clips to classify, by labels or by the examples of a collection."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pose": "<base64 .pose>", "labels": ["A", "B"], "sign_language": "ase"}]}
    )
    counted = ("pose", "video", "labels")

    labels: list[Label] | None = Field(None, min_length=1, description="texts of which each clip may be one")
    reject: bool = Field(True, description="reject clips that fit nothing; needs a background or enough examples")
    false_accept_rate: float = Field(DEFAULT_RATE, gt=0, lt=1, description=_RATE)
    nearest: int = Field(3, ge=0, le=100, description="nearest examples to list for each clip, of a collection")

    @model_validator(mode="after")
    def _check_choice(self) -> "ClassifyRequest":
        if self.pose is None and self.video is None:
            raise ValueError("at least one of pose and video is needed")
        require_one(labels=self.labels, collection=self.collection)
        if self.labels is not None and self.method not in (None, "text"):
            raise ValueError(f"method {self.method} needs a collection of examples")
        return self


class ReportRequest(Request):
    """How to report on a collection as a bank of examples."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"method": "neighbours"}]})

    method: Literal["prototype", "neighbours", "probe"] = Field(
        "prototype", description="how each example is classified by the others"
    )
    sign_language: str | None = Field(
        None, min_length=1, max_length=64, description="tag, alias or name; entries of other languages are left out"
    )


class FitRequest(Request):
    """How to fit a probe; there is nothing to choose."""


class SpotOptions(ItemOptions, ClipOptions, SeenOptions, BankOptions):
    """Options for a recording that is sent as a file."""

    counted = ("query",)

    query: Annotated[list[Label] | None, BeforeValidator(_list_queries)] = Field(
        None, min_length=1, description="texts to look for"
    )
    threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        description="least score of a find: a z-score against clips that fit nothing, of the model's background or "
        "else the collection's examples of other labels; a cosine where there are neither. If unset, chosen by "
        "false_accept_rate",
    )
    false_accept_rate: float = Field(
        SPOTTING_RATE, gt=0, lt=1, description="share of windows without a sign that may reach the threshold"
    )

    @model_validator(mode="after")
    def _check_queries(self) -> "SpotOptions":
        require_one(query=self.query, collection=self.collection)
        if self.query is not None and self.method not in (None, "text"):
            raise ValueError(f"method {self.method} needs a collection of examples")
        return self


class SpotRequest(SpotOptions):
    """A recording in which signs are to be found."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pose": "<base64 .pose>", "query": ["A", "B"], "sign_language": "ase"}]}
    )
    pose: str | None = Field(None, description="a .pose file, base64")
    video: str | None = Field(None, description="a video file, base64")

    @model_validator(mode="after")
    def _check_recording(self) -> "SpotRequest":
        require_one(pose=self.pose, video=self.video)
        return self


class ScoreRequest(ItemOptions, PromptOptions, ClipOptions):
    """Hypotheses to score against their references, pair by pair."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"pose": ["<base64 .pose>"], "reference_text": ["house"], "sign_language": "ase"}]
        }
    )
    counted = ("pose", "reference_pose", "reference_text")

    pose: Items = Field(description="the hypotheses: a .pose file or a list of them, base64")
    reference_pose: Items | None = Field(
        None, description="the reference of each hypothesis, or one for all: .pose files, base64"
    )
    reference_text: Items | None = Field(None, description="the reference of each hypothesis, or one for all: texts")
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: a bad item fails the request; skip: its pair becomes null, with an entry in errors"
    )
    allow_no_hands: bool = Field(
        False, description="true: take clips without a hand in any frame, which are refused otherwise"
    )

    @model_validator(mode="after")
    def _check_references(self) -> "ScoreRequest":
        require_one(reference_pose=self.reference_pose, reference_text=self.reference_text)
        return self
