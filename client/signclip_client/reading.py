"""From the answers to one call, in parts where its list was long, to one result."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signclip_client.decoding import build, build_each, decode_files, decode_rows, find_common, read_spans
from signclip_client.messages import Answer
from signclip_client.results import (
    Embeddings,
    EstimatedPose,
    Estimation,
    FailedItem,
    Floats,
    Quality,
    Result,
    Similarity,
    SkippedItem,
    VideoFacts,
)


def read_one(kind: type[Result], answers: Sequence[Answer]) -> Result:
    """Read an answer that is one object."""
    return build(kind, answers[0].read_json())


def _join(key: str, contents: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [item for content in contents for item in content.get(key) or ()]


def read_embeddings(answers: Sequence[Answer]) -> Embeddings:
    """Join the vectors of all parts, and what was remarked of them.

    Raises:
        MixedModelsError: the model was replaced between the parts.
    """
    parts = [answer.read_json() for answer in answers]
    return Embeddings(
        np.concatenate([decode_rows(part["embeddings"], part["dimensions"]) for part in parts]),
        model_name=find_common("model_name", parts),
        normalized=find_common("normalized", parts),
        signature=find_common("signature", parts),
        space=find_common("space", parts),
        prompts=tuple(_join("prompts", parts)),
        quality=build_each(Quality, _join("quality", parts)),
        trimmed=read_spans(_join("trimmed", parts)),
        videos=build_each(VideoFacts, _join("video", parts)),
        poses=decode_files(_join("pose", parts)),
        warnings=tuple(_join("warnings", parts)),
        errors=tuple(build(SkippedItem, skipped) for skipped in _join("errors", parts)),
    )


def read_similarity(answers: Sequence[Answer]) -> Similarity:
    """Join the rows of all parts.

    Raises:
        MixedModelsError: another model answered between the parts.
    """
    parts = [answer.read_json() for answer in answers]

    def stack(key: str) -> Floats:
        skipped = [None] * len(parts[0]["columns"])
        return np.concatenate([np.array([row or skipped for row in part[key]], np.float32) for part in parts])

    return Similarity(
        stack("cosine"),
        stack("dot"),
        stack("probabilities") if "probabilities" in parts[0] else None,
        rows=tuple(_join("rows", parts)),
        columns=tuple(parts[0]["columns"]),
        model_name=find_common("model_name", parts),
        prompts=tuple(parts[0].get("prompts") or ()),
        # What is remarked of the texts comes with every part.
        warnings=tuple(dict.fromkeys(_join("warnings", parts))),
        none_of_these=np.array(_join("none_of_these", parts), np.float32) if "none_of_these" in parts[0] else None,
        errors=tuple({error["pointer"]: build(FailedItem, error) for error in _join("errors", parts)}.values()),
    )


def read_estimation(answers: Sequence[Answer]) -> Estimation:
    """Join the poses of all parts."""
    parts = [answer.read_json() for answer in answers]
    poses = tuple(
        None
        if pose is None
        else EstimatedPose(
            base64.b64decode(pose["pose"]),
            build(VideoFacts, pose["video"]),
            build(Quality, pose["quality"]),
        )
        for pose in _join("poses", parts)
    )
    skipped = tuple(build(SkippedItem, error) for error in _join("errors", parts))
    return Estimation(poses, tuple(_join("warnings", parts)), skipped)
