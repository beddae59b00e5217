"""What each method of a client sends, and what it makes of the answers; both clients share it.

A new route is a function here, a class of results, one of options, and a method in both clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from signclip_client.chunks import Chunk, Clip, encode_clip, list_items, split
from signclip_client.configuration import Configuration
from signclip_client.messages import Call, Request
from signclip_client.reading import read_embeddings, read_estimation, read_list, read_one
from signclip_client.results import (
    Embeddings,
    Estimation,
    Inspection,
    Result,
)


def embed(
    configuration: Configuration, key: str, items: Clip | Sequence[Clip], options: Mapping[str, Any]
) -> Call[Embeddings]:
    """Embed texts, poses or videos: POST /api/embed/{key}.

    Raises:
        FileError: the size of a clip's file cannot be found.
        TypeError: an item is no text, or no clip.
        ValueError: there are no items.
    """
    body = {**name_model(configuration), **options, "encoding_format": "base64"}
    chunks = split_lists(configuration, {key: items})
    return Call([Request("POST", f"/api/embed/{key}", body, chunk) for chunk in chunks], read_embeddings)


def estimate(
    configuration: Configuration, videos: Clip | Sequence[Clip], options: Mapping[str, Any]
) -> Call[Estimation]:
    """Estimate the poses in videos: POST /api/pose.

    Raises:
        FileError: the size of a video's file cannot be found.
        TypeError: a video is no path and no bytes.
        ValueError: there are no videos.
    """
    chunks = split_lists(configuration, {"video": videos})
    return Call([Request("POST", "/api/pose", dict(options), chunk) for chunk in chunks], read_estimation)


def inspect(pose: Clip, options: Mapping[str, Any]) -> Call[Inspection]:
    """Report on a pose: POST /api/pose/inspect.

    Raises:
        FileError: the file cannot be read.
    """
    body = {**options, "pose": encode_clip(pose)}
    return Call([Request("POST", "/api/pose/inspect", body)], partial(read_one, Inspection))


def get(path: str, kind: type[Result]) -> Call[Result]:
    """Ask for what one class of results describes."""
    return Call([Request("GET", path)], partial(read_one, kind))


def list_all(path: str, key: str, kind: type[Result]) -> Call[tuple[Result, ...]]:
    """Ask for the list that stands under a key of the answer."""
    return Call([Request("GET", path)], partial(read_list, kind, key))


def fetch(path: str) -> Call[bytes]:
    """Ask for the bytes of a file."""
    return Call([Request("GET", path)], lambda answers: answers[0].body)


def name_path(template: str, *names: str) -> str:
    """Fill names into a path, whatever characters they have.

    Raises:
        ValueError: a name is empty or made of dots: the path would be that of something else.
    """
    for name in names:
        # Every HTTP client resolves /entries/.. to the path of the collection itself (RFC 3986, section 5.2.4).
        if name in ("", ".", ".."):
            raise ValueError(
                f"{name!r} names nothing in the service; give the name of a collection, an entry or a sample"
            )
    return template.format(*(quote(name, safe="") for name in names))


def read_metrics() -> Call[str]:
    """Read the counters, as Prometheus does: GET /metrics."""
    return Call([Request("GET", "/metrics")], lambda answers: answers[0].body.decode())


def name_model(configuration: Configuration) -> dict[str, str]:
    """Name the client's model, as requests do."""
    return {} if configuration.model is None else {"model_name": configuration.model}


def split_lists(configuration: Configuration, items: Mapping[str, Clip | Sequence[Clip]]) -> list[Chunk]:
    """Split the lists of a request, by their keys, into parts.

    Raises:
        FileError: the size of a clip's file cannot be found.
        TypeError: an item is no text, or no clip.
        ValueError: there are no items.
    """
    chunks = [
        chunk for key, found in items.items() for chunk in split(key, list_items(key, found), configuration.limits)
    ]
    if not chunks:
        raise ValueError(f"there is no {' and no '.join(items)} to send")
    return chunks
