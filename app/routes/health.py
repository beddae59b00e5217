"""Whether the process answers, and whether it can serve."""

from flask import Blueprint, Response

from app.answers.schemas import HealthAnswer, ReadyAnswer
from app.answers.vectors import json_answer
from app.errors import NotReadyError
from app.reference.operations import Operation, operation
from app.services import services
from processes.version import VERSION

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation(Operation(summary="Whether the process answers", answer=HealthAnswer))
def healthz() -> Response:
    return json_answer({"status": "ok", "version": VERSION})


@blueprint.get("/readyz")
@operation(
    Operation(
        summary="Whether the default model's probe went through the queue and came back right",
        answer=ReadyAnswer,
        statuses=(503,),
    )
)
def readyz() -> Response:
    engine = services().engine
    readiness = engine.readiness()
    if not readiness.ready:
        raise NotReadyError(readiness.reason or "the engine is starting")
    return json_answer({"status": "ready", "model": engine.default_model()})
