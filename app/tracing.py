"""Traces of requests, sent to an OpenTelemetry collector; an extra of its own (requirements-tracing.txt).

A span says what the line in the log says: route, status, code, model, number of items, name of the key. Nothing that a
user sent is in it. The stages of a request are spans below it, the engine's among them: the engine says how long a
request waited and ran, and the web worker knows when.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from app.telemetry import RequestRecord, get_record
from processes.settings import SettingsError
from processes.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_STAGES = ("prepare", "estimate", "queue", "forward")
_NS = 1_000_000_000


class Traces:
    """Sends spans. A thread of this process sends them, and is started after a fork.

    Args:
        endpoint: where a collector takes OTLP as JSON over HTTP, as http://localhost:4318/v1/traces.
    Raises:
        SettingsError: the packages of the extra are not installed.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            import opentelemetry.exporter.otlp.json.http.trace_exporter
            import opentelemetry.sdk.trace.export  # noqa: F401
        except ImportError as error:
            raise SettingsError(
                f"SIGNCLIP_TRACES needs packages that are not installed ({error.name}): "
                "pip install --requirement requirements-tracing.txt --constraint constraints.txt"
            ) from error
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._provider: Any = None
        self._owner_pid = 0

    def get_tracer(self) -> "Tracer":
        """Return the tracer of this process."""
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        with self._lock:
            if self._owner_pid != os.getpid():
                resource = Resource.create({"service.name": "signclip", "service.version": VERSION})
                self._provider = TracerProvider(resource=resource)
                self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(self._endpoint)))
                self._owner_pid = os.getpid()
            tracer: Tracer = self._provider.get_tracer("signclip", VERSION)
            return tracer

    def flush(self) -> None:
        """Send what waits."""
        if self._provider is not None and self._owner_pid == os.getpid():
            self._provider.force_flush()


def install(app: Flask, endpoint: str | None) -> Traces | None:
    """Trace every request; None: no request. Call it after telemetry is installed.

    Raises:
        SettingsError: the packages of the extra are not installed.
    """
    if endpoint is None:
        return None
    traces = Traces(endpoint)

    @app.before_request
    def begin() -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        given = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
        route = request.url_rule.rule if request.url_rule else "none"
        g.span_started_ns = time.time_ns()
        g.span = traces.get_tracer().start_span(
            f"{request.method if request.url_rule else 'HTTP'} {route}",
            context=TraceContextTextMapPropagator().extract(given),
            kind=SpanKind.SERVER,
            start_time=g.span_started_ns,
        )

    @app.after_request
    def end(response: Response) -> Response:
        if "span" in g:
            span, started_ns, record = g.span, g.span_started_ns, get_record()
            route = request.url_rule.rule if request.url_rule else "none"

            def finish() -> None:
                _describe(span, record, route=route, status=response.status_code)
                _add_stages(traces.get_tracer(), span, record, started_ns=started_ns)
                span.end()

            if response.is_streamed:
                response.call_on_close(finish)
            else:
                finish()
        return response

    return traces


def _describe(span: "Span", record: RequestRecord, *, route: str, status: int) -> None:
    from opentelemetry.trace import Status, StatusCode

    facts: dict[str, str | int | None] = {
        "http.route": route,
        "http.response.status_code": status,
        "signclip.request_id": record.request_id,
        "signclip.model": record.model,
        "signclip.items": record.items,
        "signclip.key": record.key,
        "error.type": record.code,
    }
    span.set_attributes({name: value for name, value in facts.items() if value is not None})
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _add_stages(tracer: "Tracer", parent: "Span", record: RequestRecord, *, started_ns: int) -> None:
    """Add a span for each stage, one after the other as they ran."""
    from opentelemetry.trace import set_span_in_context

    context, begin_ns = set_span_in_context(parent), started_ns
    for stage in _STAGES:
        took_ms = record.stages_ms.get(stage)
        if took_ms is not None:
            span = tracer.start_span(stage, context=context, start_time=begin_ns)
            begin_ns += int(took_ms / 1000 * _NS)
            span.end(end_time=begin_ns)
