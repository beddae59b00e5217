"""What the methods that recognize signs send, and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from signclip_client.calls import name_model, name_path, split_lists
from signclip_client.chunks import TEXT, Chunk, Clip, list_items
from signclip_client.collection_calls import COLLECTION
from signclip_client.configuration import Configuration
from signclip_client.decoding import build
from signclip_client.messages import Answer, Call, Request
from signclip_client.reading import join, read_one
from signclip_client.recognition_results import BankReport, Classification, FittedProbe, Score, Spotted
from signclip_client.search_results import encode_content

# By what subtitles, tables and ELAN call their files.
FORMS = {"vtt": "text/vtt", "csv": "text/csv", "eaf": "text/x-eaf+xml"}


def classify(
    configuration: Configuration,
    *,
    poses: Clip | Sequence[Clip],
    videos: Clip | Sequence[Clip],
    options: Mapping[str, Any],
) -> Call[Classification]:
    """Classify clips: POST /api/classify.

    Raises:
        FileError: the size of a clip's file cannot be found.
        ValueError: there are no clips.
    """
    body = {**_choose_model(configuration, options), **options}
    chunks = split_lists(configuration, {"pose": poses, "video": videos})
    return Call([Request("POST", "/api/classify", body, chunk) for chunk in chunks], _read_classification)


def spot(
    configuration: Configuration, *, pose: Clip | None, video: Clip | None, options: Mapping[str, Any]
) -> Call[Spotted]:
    """Find signs in a recording: POST /api/spot.

    Raises:
        FileError: the recording's file cannot be read.
    """
    body = {**_choose_model(configuration, options), **options, **encode_content(pose, video, None)}
    return Call([Request("POST", "/api/spot", body)], partial(read_one, Spotted))


def annotate(
    configuration: Configuration, form: str, *, pose: Clip | None, video: Clip | None, options: Mapping[str, Any]
) -> Call[bytes]:
    """Find signs in a recording, as a file: POST /api/spot.

    Raises:
        FileError: the recording's file cannot be read.
        ValueError: there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"there is no form {form!r}; there are {', '.join(FORMS)}")
    (request,) = spot(configuration, pose=pose, video=video, options=options).requests
    return Call([replace(request, accept=FORMS[form])], lambda answers: answers[0].body)


def score(
    configuration: Configuration,
    poses: Clip | Sequence[Clip],
    *,
    references: Clip | Sequence[Clip],
    texts: str | Sequence[str],
    options: Mapping[str, Any],
) -> Call[Score]:
    """Score hypotheses against references: POST /api/score. The interval is of all pairs, so that nothing is split.

    Raises:
        FileError: a clip's file cannot be read.
        TypeError: a clip is no path and no bytes, or a text no text.
    """
    body: dict[str, Any] = {**name_model(configuration), **options, "pose": _encode_clips(poses)}
    if clips := _encode_clips(references):
        body["reference_pose"] = clips
    if words := list_items(TEXT, texts):
        body["reference_text"] = words
    return Call([Request("POST", "/api/score", body)], partial(read_one, Score))


def report_on_collection(name: str, options: Mapping[str, Any]) -> Call[BankReport]:
    """Report on a collection as a bank of examples: POST /api/collections/{name}/report."""
    path = name_path(COLLECTION + "/report", name)
    return Call([Request("POST", path, dict(options))], partial(read_one, BankReport))


def fit_collection(name: str) -> Call[FittedProbe]:
    """Fit a probe to a collection: POST /api/collections/{name}/fit."""
    return Call([Request("POST", name_path(COLLECTION + "/fit", name), {})], partial(read_one, FittedProbe))


def _encode_clips(clips: Clip | Sequence[Clip]) -> list[Any]:
    return Chunk("pose", list_items("pose", clips)).encode()


def _choose_model(configuration: Configuration, options: Mapping[str, Any]) -> dict[str, str]:
    """Name the client's model, unless a collection does."""
    return {} if "collection" in options else name_model(configuration)


def _read_classification(answers: Sequence[Answer]) -> Classification:
    parts = [answer.read_json() for answer in answers]
    whole = join(parts, ("results", "trimmed", "warnings", "errors"))
    # What is remarked of the labels comes with every part.
    return build(Classification, {**whole, "warnings": list(dict.fromkeys(whole["warnings"]))})
