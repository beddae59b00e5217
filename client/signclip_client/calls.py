"""What each method of a client sends, and what it makes of the answers; both clients share it.

A new route is a function here, a class of results, one of options, and a method in both clients.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic
from urllib.parse import quote

import numpy as np

from signclip_client.chunks import TEXT, Chunk, Clip, encode_clip, list_items, split
from signclip_client.configuration import Configuration
from signclip_client.errors import ServiceFaultError
from signclip_client.results import (
    Embeddings,
    EstimatedPose,
    Estimation,
    FailedItem,
    Floats,
    Inspection,
    Language,
    Model,
    Models,
    Quality,
    Result,
    Sample,
    Similarity,
    SkippedItem,
    VideoFacts,
    build,
    build_each,
    decode_files,
    decode_rows,
    find_common,
)


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        path: below the service's URL.
        body: keys of the JSON body, beside those of the chunk; None for no body.
        chunk: the items that it sends, if it sends a list.
        is_repeatable: whether sending it twice does no harm. All requests that only read or compute are.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    chunk: Chunk | None = None
    is_repeatable: bool = True

    def encode_body(self) -> bytes | None:
        """Write the JSON body; None for no body.

        Raises:
            FileError: a clip's file cannot be read.
        """
        if self.body is None:
            return None
        items = {} if self.chunk is None else {self.chunk.key: self.chunk.encode()}
        return json.dumps({**self.body, **items}).encode()

    def halve(self) -> tuple[Request, Request] | None:
        """Split the request in two; None when it has fewer than two items."""
        halves = None if self.chunk is None else self.chunk.halve()
        return None if halves is None else (replace(self, chunk=halves[0]), replace(self, chunk=halves[1]))


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and the items that it is about."""

    body: bytes
    chunk: Chunk | None = None

    def read_json(self) -> dict[str, Any]:
        """Read the object, with places that count in the caller's list.

        Raises:
            ServiceFaultError: the answer is no JSON object.
        """
        try:
            content: dict[str, Any] = json.loads(self.body)
        except ValueError as error:
            detail = f"the answer is no JSON, but begins with {self.body[:60]!r}; is this the address of the service?"
            raise ServiceFaultError({"title": "answer unreadable", "detail": detail}, status=200) from error
        if self.chunk is not None:
            for key in ("warnings", "rows"):
                if key in content:
                    content[key] = [self.chunk.locate(text) for text in content[key]]
            for skipped in content.get("errors", ()):
                if skipped.get("pointer", f"/{self.chunk.key}").split("/")[1] == self.chunk.key:
                    skipped["index"] += self.chunk.first
                if "pointer" in skipped:
                    skipped["pointer"] = self.chunk.locate(skipped["pointer"])
        return content


@dataclass(frozen=True)
class Call(Generic[Result]):
    """What to send for one method of a client, and how to read the answers, which come in the order of the requests."""

    requests: Sequence[Request]
    read: Callable[[Sequence[Answer]], Result]


def embed(
    configuration: Configuration, key: str, items: Clip | Sequence[Clip], options: Mapping[str, Any]
) -> Call[Embeddings]:
    """Embed texts, poses or videos: POST /api/embed/{key}.

    Raises:
        FileError: the size of a clip's file cannot be found.
        ValueError: there are no items.
    """
    body = {**_name_model(configuration), **options, "encoding_format": "base64"}
    chunks = _split(configuration, {key: items})
    return Call([Request("POST", f"/api/embed/{key}", body, chunk) for chunk in chunks], _read_embeddings)


def compare(
    configuration: Configuration,
    *,
    texts: Clip | Sequence[Clip],
    poses: Clip | Sequence[Clip],
    videos: Clip | Sequence[Clip],
    options: Mapping[str, Any],
) -> Call[Similarity]:
    """Compare clips with texts, or items of one kind with each other: POST /api/similarity.

    Raises:
        FileError: the size of a clip's file cannot be found.
        ValueError: there are no items.
    """
    body = {**_name_model(configuration), **options}
    columns = list_items(texts)
    if columns:
        body[TEXT] = [str(text) for text in columns]
        clips = {"pose": poses, "video": videos}
        chunks: list[Chunk | None] = list(_split(configuration, clips, may_be_empty=True)) or [None]
    else:
        # Clips against each other: every row meets every column, so that nothing can be split.
        named = {"pose": list_items(poses), "video": list_items(videos)}
        if not any(named.values()):
            raise ValueError("there is nothing to compare: give texts, poses or videos")
        body |= {key: Chunk(key, items).encode() for key, items in named.items() if items}
        chunks = [None]
    return Call([Request("POST", "/api/similarity", body, chunk) for chunk in chunks], _read_similarity)


def estimate(
    configuration: Configuration, videos: Clip | Sequence[Clip], options: Mapping[str, Any]
) -> Call[Estimation]:
    """Estimate the poses in videos: POST /api/pose.

    Raises:
        FileError: the size of a video's file cannot be found.
        ValueError: there are no videos.
    """
    chunks = _split(configuration, {"video": videos})
    return Call([Request("POST", "/api/pose", dict(options), chunk) for chunk in chunks], _read_estimation)


def inspect(pose: Clip, options: Mapping[str, Any]) -> Call[Inspection]:
    """Report on a pose: POST /api/pose/inspect.

    Raises:
        FileError: the file cannot be read.
    """
    body = {**options, "pose": encode_clip(pose)}
    return Call([Request("POST", "/api/pose/inspect", body)], partial(_read_one, Inspection))


def get(path: str, kind: type[Result]) -> Call[Result]:
    """Ask for what one class of results describes."""
    return Call([Request("GET", path)], partial(_read_one, kind))


def list_models() -> Call[Models]:
    """List the models: GET /api/models."""

    def read(answers: Sequence[Answer]) -> Models:
        content = answers[0].read_json()
        return Models(content["default"], tuple(build(Model, model) for model in content["models"]))

    return Call([Request("GET", "/api/models")], read)


def list_languages() -> Call[tuple[Language, ...]]:
    """List the sign languages: GET /api/languages."""

    def read(answers: Sequence[Answer]) -> tuple[Language, ...]:
        return tuple(build(Language, language) for language in answers[0].read_json()["languages"])

    return Call([Request("GET", "/api/languages")], read)


def list_samples() -> Call[tuple[Sample, ...]]:
    """List the clips that ship: GET /samples."""

    def read(answers: Sequence[Answer]) -> tuple[Sample, ...]:
        return tuple(build(Sample, sample) for sample in answers[0].read_json()["samples"])

    return Call([Request("GET", "/samples")], read)


def fetch_sample(name: str) -> Call[bytes]:
    """Fetch the bytes of a clip that ships: GET /samples/{name}."""
    return Call([Request("GET", f"/samples/{quote(name, safe='')}")], lambda answers: answers[0].body)


def read_metrics() -> Call[str]:
    """Read the counters, as Prometheus does: GET /metrics."""
    return Call([Request("GET", "/metrics")], lambda answers: answers[0].body.decode())


def _name_model(configuration: Configuration) -> dict[str, str]:
    return {} if configuration.model is None else {"model_name": configuration.model}


def _split(
    configuration: Configuration, items: Mapping[str, Clip | Sequence[Clip]], *, may_be_empty: bool = False
) -> list[Chunk]:
    chunks = [chunk for key, found in items.items() for chunk in split(key, list_items(found), configuration.limits)]
    if not chunks and not may_be_empty:
        raise ValueError(f"there is no {' and no '.join(items)} to send")
    return chunks


def _read_one(kind: type[Result], answers: Sequence[Answer]) -> Result:
    return build(kind, answers[0].read_json())


def _join(key: str, contents: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [item for content in contents for item in content.get(key) or ()]


def _read_embeddings(answers: Sequence[Answer]) -> Embeddings:
    parts = [answer.read_json() for answer in answers]
    return Embeddings(
        np.concatenate([decode_rows(part["embeddings"], part["dimensions"]) for part in parts]),
        model_name=find_common("model_name", parts),
        normalized=find_common("normalized", parts),
        signature=find_common("signature", parts),
        space=find_common("space", parts),
        prompts=tuple(_join("prompts", parts)),
        quality=build_each(Quality, _join("quality", parts)),
        videos=build_each(VideoFacts, _join("video", parts)),
        poses=decode_files(_join("pose", parts)),
        warnings=tuple(_join("warnings", parts)),
        errors=tuple(build(SkippedItem, skipped) for skipped in _join("errors", parts)),
    )


def _read_similarity(answers: Sequence[Answer]) -> Similarity:
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


def _read_estimation(answers: Sequence[Answer]) -> Estimation:
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
