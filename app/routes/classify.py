"""Clips classified by labels or by the examples of a collection, and what such a collection is worth."""

import time
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers.recognition_schemas import ClassifyAnswer, FitAnswer, ReportAnswer
from app.answers.vectors import answer_json
from app.comparison import collect_failures, collect_remarks
from app.inference import check_deadline, set_deadline
from app.intake.body import read_json
from app.intake.document_clips import hold_place, prepare_document_clips, read_document, set_document_deadline
from app.intake.recognition_schemas import ClassifyRequest, FitRequest, ReportRequest
from app.intake.validation import validate
from app.recognition import PROBE, Question, build_classifier, embed_question, read_bank, read_question
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from search.bank_report import report
from search.classifiers import AnswerRules, Classified
from search.null import count_needed
from search.probes import fit_probe

blueprint = Blueprint("classify", __name__, url_prefix="/api")

_BEFORE_REPORT = "before the report was made; send the request again, with a later deadline or a quicker method"
_STATUSES = (400, 401, 404, 409, 413, 415, 422, 429, 499, 503, 504)


@blueprint.post("/classify")
@describe(
    Operation(
        summary="Classify clips",
        request=ClassifyRequest,
        answer=ClassifyAnswer,
        form=True,
        statuses=_STATUSES,
        description="With labels, each clip is compared with texts, by the softmax that the model was trained with. "
        "With a collection, it is compared with the clips of each gloss. A clip is rejected when more than the share "
        "false_accept_rate of clips that fit nothing would fit as well: those of the model's background, and the "
        "collection's examples of other labels.",
    )
)
@admit
def classify_clips(shared: Services) -> Response:
    """Classify the clips of a request.

    Raises:
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        SearchError: the collection cannot be used.
        EstimatorError: the estimation of a video failed.
    """
    wanted = read_document(request, shared.settings, ClassifyRequest)
    deadline = set_document_deadline(shared.settings, wanted)
    with hold_place(shared, wanted):
        question = read_question(
            shared,
            wanted,
            labels=wanted.labels,
            pointer="/labels",
            model_name=wanted.model_name,
            default="blend",
        )
        clips, pointers = prepare_document_clips(shared, question.config, wanted=wanted, deadline=deadline)
        record = get_record()
        record.model, record.items = question.config.name, len(pointers) + len(question.labels)
        vectors = embed_question(shared, question, {"pose": clips}, deadline=deadline, skip=wanted.on_error == "skip")
    found = vectors["pose"]
    rules = AnswerRules(wanted.reject, wanted.false_accept_rate, wanted.nearest)
    classifier = build_classifier(shared, question, vectors)
    classified = classifier.classify(found.values, rules)
    results = [
        None if row in found.failures else _describe(one, with_nearest=question.bank is not None)
        for row, one in enumerate(classified)
    ]
    origin = shared.describe_origin(question.config, clips.options, digest=found.digest, dtype=found.dtype)
    warnings = question.warnings + clips.warnings
    largest = max((len(null) for _, null in classifier.nulls), default=0)
    if wanted.reject and largest < count_needed(wanted.false_accept_rate):
        warnings.append(_warn_of_no_null(question, wanted.false_accept_rate, largest))
    answer = {
        "results": results,
        "method": question.method,
        "labels": len(classifier.labels),
        "model_name": question.config.name,
        **origin,
        **collect_remarks({"pose": clips} | ({"text": question.texts} if question.texts is not None else {})),
        **collect_failures({"pose": found}, {"pose": pointers}),
    }
    return answer_json(answer | ({"warnings": warnings} if warnings else {}))


def _describe(one: Classified, *, with_nearest: bool) -> dict[str, Any]:
    decision = one.decision
    described: dict[str, Any] = {
        "label": decision.label,
        "score": decision.score,
        "probability": decision.probability,
        "margin": decision.margin,
        "p_value": decision.p_value,
        "rejected": decision.rejected,
        "candidates": [{"label": label, "probability": probability} for label, probability in one.candidates],
    }
    if decision.reason is not None:
        described["reason"] = decision.reason
    if with_nearest:
        described["nearest"] = [{"id": near.id, "label": near.label, "score": near.score} for near in one.nearest]
    return described


def _warn_of_no_null(question: Question, rate: float, largest: int) -> str:
    needed = count_needed(rate)
    ways = f"make a background of model {question.config.name!r} with `python -m dictionary calibrate`"
    if question.bank is not None:
        ways += f", add examples until there are {needed}"
    return f"nothing was rejected: {largest} clips that fit nothing are known, {needed} are needed; {ways}"


def _read_options(shared: Services) -> Mapping[str, Any]:
    """Read a JSON object, or take a body of no bytes as one without keys: every key has a default."""
    if request.content_length == 0 or (request.content_length is None and not request.is_json):
        return {}
    return read_json(request, max_bytes=shared.settings.max_body_bytes)


@blueprint.post("/collections/<name>/report")
@describe(
    Operation(
        summary="Report how well a collection tells its labels apart",
        request=ReportRequest,
        answer=ReportAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Every clip with a gloss is classified by the others. Read it before you trust a collection: pairs "
        "that are confused, and labels with too few examples, are where more examples help.",
    )
)
@admit
def report_on_collection(shared: Services, name: str) -> Response:
    """Report how well the examples of a collection find their labels.

    Raises:
        RequestError: the request is refused.
        SearchError: there is no such collection, or it has no examples.
        DeadlineExceededError: the deadline passed before the report was made.
    """
    set_deadline(shared.settings.timeout_s)
    wanted = validate(ReportRequest, _read_options(shared), max_items=0)
    version = shared.store.describe_collection(name).version
    bank = read_bank(shared, name, sign_language=wanted.sign_language)
    get_record().items = len(bank)
    check_deadline(_BEFORE_REPORT)
    found = report(bank, wanted.method, before_fold=lambda: check_deadline(_BEFORE_REPORT))
    answer = {
        "method": wanted.method,
        "examples": found.examples,
        "labels": found.labels,
        "tested": found.tested,
        "recall": {f"R@{cut}": share for cut, share in found.recall.items()},
        "confused": [
            {"label": pair.label, "taken_for": pair.taken_for, "times": pair.times} for pair in found.confused
        ],
        "too_few": found.too_few,
        "version": version,
    }
    return answer_json(answer)


@blueprint.post("/collections/<name>/fit")
@describe(
    Operation(
        summary="Fit a probe to a collection",
        request=FitRequest,
        answer=FitAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504, 507),
        description="Logistic regression on the clips with a gloss, kept beside the collection for method probe, until "
        "the collection changes. A fit that has begun is finished and kept, even if the deadline passes.",
    )
)
@admit
def fit_collection(shared: Services, name: str) -> Response:
    """Fit a probe to the examples of a collection, and keep it.

    Raises:
        RequestError: the request is refused.
        SearchError: there is no such collection, it has fewer than two labels, or the store cannot be written.
        DeadlineExceededError: the deadline passed before the fit began.
    """
    set_deadline(shared.settings.timeout_s)
    validate(FitRequest, _read_options(shared), max_items=0)
    version = shared.store.describe_collection(name).version
    bank = read_bank(shared, name)
    get_record().items = len(bank)
    # Nothing can end a fit that has begun.
    check_deadline("before the fit began; send the request again, with a later deadline")
    started = time.monotonic()
    probe = fit_probe(bank, version=version)
    seconds = time.monotonic() - started
    shared.store.write_attachment(name, PROBE, probe.pack())
    return answer_json(
        {"examples": len(bank), "labels": len(bank.classes), "version": version, "seconds": round(seconds, 3)}
    )
