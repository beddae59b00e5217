"""The page that Prometheus reads: the counters of the web workers, of the engine and of the estimators."""

from flask import Blueprint, Response

from app.counters import render_counters
from app.facts import render_facts
from app.reference.operations import Operation, describe
from app.services import get_services
from models.errors import ModelsError

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@describe(Operation(summary="Counters in Prometheus' text format", answer=None, text=True, statuses=(401,)))
def show_metrics() -> Response:
    """Answer all counters. Those of an engine or of estimators that are away are left out."""
    shared = get_services()
    try:
        of_engine = shared.engine.export_metrics()
    except ModelsError:  # no engine can be built here; the web workers' counters say how many requests that costs
        of_engine = ""
    own = render_facts() + render_counters(shared.metrics_registry)
    page = own + of_engine + shared.estimators.export_metrics()
    return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")
