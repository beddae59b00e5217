"""The clips in samples/, so that people and pages without a clip of their own can try every route."""

import json
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response

from app.answers.schemas import SamplesAnswer
from app.answers.vectors import answer_json
from app.errors import SampleUnknownError
from app.reference.operations import Operation, describe
from models.checkpoints.folders import ROOT
from poses.headers import ReadLimits
from poses.reading import unpack_pose

SAMPLES = ROOT / "samples"
_PACKED = ".zst"
_MEDIA_TYPES = {"pose": "application/octet-stream", "video": "video/mp4"}

blueprint = Blueprint("samples", __name__, url_prefix="/samples")


@blueprint.get("")
@describe(
    Operation(
        summary="List clips to try the service with",
        answer=SamplesAnswer,
        description="Poses and a video that ship with the service, with what they show and their licences.",
    )
)
def list_samples() -> Response:
    """List the clips that ship."""
    return answer_json({"samples": list(_read_samples().values())})


@blueprint.get("/<name>")
@describe(
    Operation(
        summary="Fetch a clip to try the service with",
        answer=None,
        file=True,
        media=tuple(_MEDIA_TYPES.values()),
        statuses=(404,),
        description="A packed clip's name without its .zst gives the clip unpacked, because few browsers unpack zstd.",
    )
)
def fetch_sample(name: str) -> Response:
    """Answer the bytes of a clip.

    Raises:
        SampleUnknownError: no clip that ships has this name.
    """
    samples = _read_samples()
    # Only names of the list reach the disk.
    sample = samples.get(name) or samples.get(name + _PACKED)
    if sample is None:
        raise SampleUnknownError(f"there is no sample {name!r}; GET /samples lists them")
    content = (SAMPLES / sample["name"]).read_bytes()
    if sample["name"] != name:
        content = unpack_pose(content, limits=ReadLimits())
    return Response(content, mimetype=_MEDIA_TYPES[sample["kind"]], headers={"Cache-Control": "max-age=3600"})


@lru_cache(maxsize=1)
def _read_samples() -> dict[str, dict[str, Any]]:
    """Read what ships, by name; nothing where the folder was left out."""
    listed = SAMPLES / "samples.json"
    samples = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else []
    return {sample["name"]: {**sample, "bytes": (SAMPLES / sample["name"]).stat().st_size} for sample in samples}
