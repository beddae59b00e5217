"""SignCLIPScore: how well generated signing agrees with a reference, which is signed or written."""

from typing import Any

import numpy as np
from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers.recognition_schemas import ScoreAnswer
from app.answers.vectors import answer_json
from app.comparison import collect_failures, collect_remarks, embed_alike
from app.errors import InputError, Problem
from app.inference import RequestVectors, set_deadline
from app.intake.body import read_json
from app.intake.items import ItemRules, PoseFiles, PreparedItems, prepare_clips, prepare_texts
from app.intake.recognition_schemas import ScoreRequest
from app.intake.schemas import locate_items
from app.intake.validation import validate
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from models.catalog import ModelConfig
from search.agreement import score_pairs, summarize_scores

blueprint = Blueprint("score", __name__, url_prefix="/api")

_MEASURES = ("cosine", "dot", "l2")


@blueprint.post("/score")
@describe(
    Operation(
        summary="Score signing against references",
        request=ScoreRequest,
        answer=ScoreAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="SignCLIPScore: cosine, dot product and distance of each hypothesis and its reference, a pose or a "
        "text, and their means with bootstrap intervals of 95 % over pairs. Quote the signature with a score, because "
        "scores of different signatures are not to be compared.",
    )
)
@admit
def score_signing(shared: Services) -> Response:
    """Score the hypotheses of a request against their references.

    Raises:
        InputError: there are neither as many references as hypotheses, nor one.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
    """
    settings = shared.settings
    deadline = set_deadline(settings.timeout_s)
    document = read_json(request, max_bytes=settings.max_body_bytes)
    wanted = validate(ScoreRequest, document, max_items=settings.max_items)
    config = shared.find_model(wanted.model_name)
    prepared, pointers = _prepare(shared, config, wanted)
    record = get_record()
    record.model, record.items = config.name, sum(map(len, pointers.values()))
    vectors = embed_alike(shared, prepared, deadline=deadline, skip=wanted.on_error == "skip")
    hypotheses = vectors["pose"]
    references = vectors["text" if "text" in vectors else "reference"]
    origin = shared.describe_origin(config, prepared["pose"].options, digest=hypotheses.digest, dtype=hypotheses.dtype)
    answer = {**_score(hypotheses, references), "model_name": config.name, **origin}
    return answer_json(answer | collect_remarks(prepared) | collect_failures(vectors, pointers))


def _prepare(
    shared: Services, config: ModelConfig, wanted: ScoreRequest
) -> tuple[dict[str, PreparedItems], dict[str, list[str]]]:
    """Prepare hypotheses and references, and return the pointers to them."""
    files, pointers = locate_items("pose", wanted.pose)
    prepared = {"pose": _prepare_poses(shared, config, files, pointers=pointers, wanted=wanted)}
    found = {"pose": pointers}
    skip = wanted.on_error == "skip"
    if wanted.reference_text is not None:
        texts, found["text"] = locate_items("reference_text", wanted.reference_text)
        prepared["text"] = prepare_texts(
            config,
            shared.find_tokenizer(config),
            texts,
            prompts=wanted,
            rules=ItemRules(found["text"], wanted.truncate, skip),
            max_chars=shared.settings.max_text_chars,
        )
    elif wanted.reference_pose is not None:
        files, found["reference"] = locate_items("reference_pose", wanted.reference_pose)
        prepared["reference"] = _prepare_poses(shared, config, files, pointers=found["reference"], wanted=wanted)
    references = next(len(places) for kind, places in found.items() if kind != "pose")
    if references not in (1, len(pointers)):
        message = f"{references} references for {len(pointers)} hypotheses; send as many, or one for all"
        raise InputError(message, problems=(Problem("", message),))
    return prepared, found


def _prepare_poses(
    shared: Services, config: ModelConfig, files: Any, *, pointers: list[str], wanted: ScoreRequest
) -> PreparedItems:
    poses = PoseFiles(files, config=config, max_bytes=shared.settings.max_body_bytes)
    rules = ItemRules(pointers, wanted.truncate, wanted.on_error == "skip", needs_hands=not wanted.allow_no_hands)
    return prepare_clips(config, poses.read, clips=wanted, rules=rules)


def _score(hypotheses: RequestVectors, references: RequestVectors) -> dict[str, Any]:
    count = len(hypotheses.values)
    chosen = np.arange(count) if len(references.values) == count else np.zeros(count, dtype=np.int64)
    scores = score_pairs(hypotheses.values, references.values[chosen])
    kept = [
        row for row in range(count) if row not in hypotheses.failures and int(chosen[row]) not in references.failures
    ]
    pairs: list[dict[str, float] | None] = [None] * count
    for row in kept:
        pairs[row] = {name: float(getattr(scores, name)[row]) for name in _MEASURES}
    corpus = {name: summarize_scores(getattr(scores, name)[kept]) for name in _MEASURES} if kept else None
    return {
        "pairs": pairs,
        "corpus": None
        if corpus is None
        else {name: {"mean": one.mean, "low": one.low, "high": one.high} for name, one in corpus.items()},
    }
