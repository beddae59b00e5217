"""The page that Prometheus reads: the web workers' counters, then the engine's and the estimators' own."""

from flask import Blueprint, Response

from app.counters import build_info, exposition
from app.reference.operations import Operation, operation
from app.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@operation(Operation(summary="Counters in Prometheus' text format", answer=None, text=True, statuses=(401,)))
def metrics() -> Response:
    found = services()
    page = build_info() + exposition(found.metrics_registry) + found.engine.metrics() + found.estimators.metrics()
    return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")
