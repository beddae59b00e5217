"""From the answers to one call, in parts where its list was long, to one result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from signclip_client.decoding import build, decode_rows, find_common
from signclip_client.messages import Answer
from signclip_client.results import Embeddings, Estimation, Result


def read_one(kind: type[Result], answers: Sequence[Answer]) -> Result:
    """Read an answer that is one object."""
    return build(kind, answers[0].read_json())


def read_list(kind: type[Result], key: str, answers: Sequence[Answer]) -> tuple[Result, ...]:
    """Read the list that stands under a key of an answer."""
    return tuple(build(kind, item) for item in answers[0].read_json()[key])


def read_number(key: str, answers: Sequence[Answer]) -> int:
    """Read the number that stands under a key of an answer."""
    return int(answers[0].read_json()[key])


def read_embeddings(answers: Sequence[Answer]) -> Embeddings:
    """Join the vectors of all parts, and what was remarked of them.

    Raises:
        MixedModelsError: the model was replaced between the parts.
    """
    parts = [answer.read_json() for answer in answers]
    whole = join(parts, ("embeddings", "prompts", "quality", "trimmed", "video", "pose", "warnings", "errors"))
    vectors = decode_rows(whole.pop("embeddings"), whole["dimensions"])
    renamed = {"videos": whole.pop("video"), "poses": whole.pop("pose")}
    return replace(build(Embeddings, {**whole, **renamed, "vectors": ()}), vectors=vectors)


def read_estimation(answers: Sequence[Answer]) -> Estimation:
    """Join the poses of all parts."""
    return build(Estimation, join([answer.read_json() for answer in answers], ("poses", "warnings", "errors")))


def join(parts: Sequence[Mapping[str, Any]], lists: Collection[str]) -> dict[str, Any]:
    """Join the parts of an answer to one.

    Args:
        lists: keys whose lists are put one behind the other; one that is missing in a part counts as empty there. Under
            every other key, all parts have the same value.
    Raises:
        MixedModelsError: the parts differ, because the model was replaced between them.
    """
    same = {key: find_common(key, parts) for key in parts[0] if key not in lists}
    return same | {key: [item for part in parts for item in part.get(key) or ()] for key in lists}
