"""Whether the process answers, and whether it can serve."""

from flask import Blueprint, Response

from app.answers.schemas import HealthAnswer, ReadyAnswer
from app.answers.vectors import answer_json
from app.errors import NotReadyError
from app.reference.operations import Operation, describe
from app.services import get_services
from processes.version import VERSION

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@describe(Operation(summary="Whether the process answers", answer=HealthAnswer))
def check_health() -> Response:
    """Answer that the process is alive."""
    return answer_json({"status": "ok", "version": VERSION})


@blueprint.get("/readyz")
@describe(
    Operation(
        summary="Whether the default model's probe went through the queue and came back right",
        answer=ReadyAnswer,
        statuses=(503,),
    )
)
def check_readiness() -> Response:
    """Answer which model is ready.

    Raises:
        NotReadyError: the default model has not passed its probe yet.
        ModelsError: no engine can be built on this machine.
    """
    engine = get_services().engine
    readiness = engine.get_readiness()
    if not readiness.ready:
        raise NotReadyError(readiness.reason or "the engine is starting")
    return answer_json({"status": "ready", "model": engine.get_default_model()})
