"""Clips compared with texts: long lists of either in parts, and the scores of all parts as one matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from signclip_client.calls import name_model
from signclip_client.chunks import TEXT, Chunk, Clip, list_items, split
from signclip_client.configuration import MAX_ITEMS, MOST_TOGETHER, Configuration, Limits
from signclip_client.decoding import build
from signclip_client.messages import Answer, Call, Request
from signclip_client.reading import join
from signclip_client.results import Floats, Similarity

_MATRICES = ("cosine", "dot", "probabilities")
# In the order of the rows.
_CLIPS = ("pose", "video")


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
        TypeError: an item is no text, or no clip.
        ValueError: there are no items.
    """
    body = {**name_model(configuration), **options}
    columns = list_items(TEXT, texts)
    clips = {"pose": list_items("pose", poses), "video": list_items("video", videos)}
    if columns and any(clips.values()):
        limits = configuration.limits
        most_clips, most_texts = _share(limits, texts=len(columns))
        parts = list(split(TEXT, columns, replace(limits, max_items=most_texts)))
        chunks = [
            chunk
            for key, items in clips.items()
            for chunk in split(
                key, items, replace(limits, max_items=min(most_clips, limits.max_items or MAX_ITEMS[key]))
            )
        ]
        requests = [Request("POST", "/api/similarity", body, chunk, columns=part) for chunk in chunks for part in parts]
        return Call(requests, read_similarity)
    # Items of one kind: every row meets every column, so that nothing can be split.
    named = {key: items for key, items in {TEXT: columns, **clips}.items() if items}
    if not named:
        raise ValueError("there is nothing to compare: give texts, poses or videos")
    body |= {key: Chunk(key, items).encode() for key, items in named.items()}
    return Call([Request("POST", "/api/similarity", body)], read_similarity)


def read_similarity(answers: Sequence[Answer]) -> Similarity:
    """Join the rows and the columns of all parts.

    Raises:
        MixedModelsError: another model answered between the parts.
    """
    parts = [answer.read_json() for answer in answers]
    rows = _order(pointer for part in parts for pointer in part["rows"])
    columns = _order(pointer for part in parts for pointer in part["columns"])
    whole = join(parts, (*_MATRICES, "rows", "columns", "none_of_these", "trimmed", "prompts", "warnings", "errors"))
    whole |= {"rows": rows, "columns": columns}
    whole |= {name: _place(name, parts, rows, columns) for name in _MATRICES if name in parts[0]}
    whole["trimmed"] = _line_up(parts, "trimmed", "rows", rows)
    whole["prompts"] = _line_up(parts, "prompts", "columns", columns)
    # What is remarked of an item comes with every part that it is in.
    whole["warnings"] = list(dict.fromkeys(whole["warnings"]))
    whole["errors"] = list({error["pointer"]: error for error in whole["errors"]}.values())
    whole["none_of_these"] = _line_up(parts, "none_of_these", "rows", rows) or None
    if "probabilities" not in parts[0]:
        whole["probabilities"] = None
    elif any(len(part["columns"]) < len(columns) for part in parts):
        whole["probabilities"] = _compute_softmax(whole["dot"])
        if whole["none_of_these"] is not None:
            whole["none_of_these"] = None
            whole["warnings"].append(
                "none_of_these is left out: it is of all texts at once, but they were sent in several requests"
            )
    return build(Similarity, whole)


def _share(limits: Limits, *, texts: int) -> tuple[int, int]:
    """Share the places of one request between clips and texts.

    Texts stay together if they can, because "none of these" is of all texts at once.

    Returns:
        How many clips one request has at most, and how many texts.
    """
    together = max(MOST_TOGETHER, limits.max_items or 0)
    if texts < together:
        return together - texts, texts
    clips = min(limits.max_items or MAX_ITEMS["pose"], together // 4)
    return clips, together - clips


def _order(pointers: Iterable[str]) -> list[str]:
    """Put JSON pointers to items, such as /pose/0, in the order of the caller's lists, each once."""

    def rank(pointer: str) -> tuple[int, int]:
        _, key, index = pointer.split("/")
        return (_CLIPS.index(key) if key in _CLIPS else -1), int(index)

    return sorted(set(pointers), key=rank)


def _place(name: str, parts: Sequence[Mapping[str, Any]], rows: Sequence[str], columns: Sequence[str]) -> Floats:
    """Put the scores of all parts into one matrix, float32 (rows, columns); NaN where an item was skipped."""
    row_of, column_of = ({pointer: place for place, pointer in enumerate(one)} for one in (rows, columns))
    matrix = np.full((len(rows), len(columns)), np.nan, np.float32)
    for part in parts:
        skipped = [None] * len(part["columns"])
        places = np.ix_([row_of[row] for row in part["rows"]], [column_of[column] for column in part["columns"]])
        matrix[places] = np.array([line or skipped for line in part[name]], np.float32)
    return matrix


def _line_up(parts: Sequence[Mapping[str, Any]], key: str, axis: str, pointers: Sequence[str]) -> list[Any]:
    """List what the parts say of each row or column; empty if a part says nothing."""
    if any(part.get(key) is None for part in parts):
        return []
    found = {pointer: value for part in parts for pointer, value in zip(part[axis], part[key], strict=True)}
    return [found[pointer] for pointer in pointers]


def _compute_softmax(dot: Floats) -> Floats:
    """Compute the probabilities of the texts, float32 (rows, columns), as the service does; NaN for skipped items."""
    wide = dot.astype(np.float64)
    powers = np.exp(wide - np.fmax.reduce(wide, axis=1, keepdims=True))
    shares: Floats = (powers / np.nansum(powers, axis=1, keepdims=True)).astype(np.float32)
    return shares
