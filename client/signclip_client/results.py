"""What the methods of a client return. Keys that a newer service adds to its answers are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Span = tuple[int, int]
Floats = npt.NDArray[np.float32]
Result = TypeVar("Result")


@dataclass(frozen=True)
class SkippedItem:
    """An item that on_error="skip" left out.

    Attributes:
        index: its place in the caller's list, from 0.
        code: stable name of what was wrong.
        detail: what was wrong.
    """

    index: int
    code: str
    detail: str


@dataclass(frozen=True)
class FailedItem(SkippedItem):
    """An item that on_error="skip" left out, of a request that has items of several kinds.

    Attributes:
        pointer: JSON pointer to the item, such as /pose/0.
    """

    pointer: str


@dataclass(frozen=True)
class Quality:
    """What a clip holds. Shares are of its frames, 0-1; None: the layout has no such points."""

    frames: int
    fps: float | None
    duration_s: float | None
    people: int
    left_hand: float | None
    right_hand: float | None
    face: float | None
    shoulders: float | None
    active_hand: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Inspection(Quality):
    """What a clip holds, and which models can embed it.

    Attributes:
        layout: the tool that the layout of points seems to come from.
        models: by name of a model: None where it takes the layout, else why it does not.
        advice: what to do; None where no model lacks a point.
    """

    layout: str
    models: Mapping[str, str | None]
    advice: str | None = None


@dataclass(frozen=True)
class VideoFacts:
    """What was read of a video: pixels of the upright picture, frames, and what estimated the pose."""

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    rotation: int
    codec: str
    extractor: str


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors in the order of the items, and what the service remarked.

    Attributes:
        vectors: float32 (items, dimensions); NaN for items that were skipped.
        model_name: the model that made them.
        normalized: whether they have unit length.
        signature: how they were made.
        space: what they may be compared with: vectors of the same space.
        prompts: the texts as they were embedded, when sign_language was given.
        quality: a report on each clip, when there is one.
        trimmed: of each clip, the first frame that was embedded, and the frame after the last one; None for one that
            was skipped; empty when clips are not trimmed.
        videos: what was read of each video; None for one that was skipped.
        poses: the estimated .pose files, with return_pose=True.
        warnings: sentences that begin with the place of their item.
        errors: the items that were skipped.
    """

    vectors: Floats
    model_name: str
    normalized: bool
    signature: str | None
    space: str | None = None
    prompts: tuple[str, ...] = ()
    quality: tuple[Quality | None, ...] = ()
    trimmed: tuple[Span | None, ...] = ()
    videos: tuple[VideoFacts | None, ...] = ()
    poses: tuple[bytes | None, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[SkippedItem, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, eq=False)
class Similarity:
    """Scores of every row (clip) against every column (text); of one kind only, its items are rows and columns.

    Attributes:
        cosine: float32 (rows, columns).
        dot: float32 (rows, columns), products of raw vectors.
        probabilities: float32 (rows, columns), the softmax of dot over the texts; None for one kind only.
        rows: JSON pointers to the items of the rows, such as /pose/0; videos come after poses.
        columns: JSON pointers to the items of the columns.
        model_name: the model that made the vectors.
        prompts: the texts as they were embedded, when sign_language was given.
        warnings: sentences that begin with the place of their item.
        none_of_these: float32 (rows,), how probable it is that a clip is none of the texts; None where the model has no
            background.
        errors: items that were skipped.
        trimmed: of each clip, the first frame that was embedded, and the frame after the last one, as in Embeddings.
    """

    cosine: Floats
    dot: Floats
    probabilities: Floats | None
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    model_name: str
    prompts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    none_of_these: Floats | None = None
    errors: tuple[FailedItem, ...] = ()
    trimmed: tuple[Span | None, ...] = ()


@dataclass(frozen=True)
class EstimatedPose:
    """The pose of a video: a .pose file, what was read of the video, and what the pose holds."""

    pose: bytes
    video: VideoFacts
    quality: Quality


@dataclass(frozen=True)
class Estimation:
    """Poses in the order of the videos; None for a video that was skipped."""

    poses: tuple[EstimatedPose | None, ...]
    warnings: tuple[str, ...] = ()
    errors: tuple[SkippedItem, ...] = ()


@dataclass(frozen=True)
class Model:
    """A model of the service, and whether it can be used.

    Attributes:
        sign_languages: tags that it saw; None: not recorded.
        spoken_languages: tags of the languages of its texts; None: not recorded.
        background: whether it can reject clips that fit nothing; False until it is loaded.
    """

    name: str
    aliases: tuple[str, ...]
    description: str
    licence: str
    source: str
    state: str
    reason: str | None
    dimensions: int
    max_frames: int
    max_tokens: int
    features: str
    tokenizer: str
    device: str | None
    dtype: str | None
    signature: str | None
    space: str | None = None
    trim: str = "none"
    sign_languages: tuple[str, ...] | None = None
    spoken_languages: tuple[str, ...] | None = None
    background: bool = False


@dataclass(frozen=True)
class BrokenModel:
    """A folder whose config.yaml describes no model, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Models:
    """The models of the service.

    Attributes:
        default: the model that answers when a request names none.
        broken: folders whose config.yaml describes no model.
    """

    default: str
    models: tuple[Model, ...]
    broken: tuple[BrokenModel, ...] = ()


@dataclass(frozen=True)
class Language:
    """A sign language.

    Attributes:
        tag: as prompts have it.
        clips: clips of it in the multilingual model's pretraining.
    """

    tag: str
    name: str
    aliases: tuple[str, ...]
    clips: int


@dataclass(frozen=True)
class Sample:
    """A clip that ships with the service, for trying it.

    Attributes:
        kind: "pose" or "video".
        text: what is signed.
        shows: the same as a phrase.
        bytes: size of the file.
    """

    name: str
    kind: str
    text: str
    sign_language: str
    shows: str
    licence: str
    source: str
    bytes: int


@dataclass(frozen=True)
class Health:
    """The process answers, and has this version."""

    status: str
    version: str


@dataclass(frozen=True)
class Readiness:
    """The service can serve, with this model by default."""

    status: str
    model: str
