"""Traces of requests, sent to an OpenTelemetry collector; an extra of its own (requirements-tracing.txt).

A span says what the line in the log says: route, status, code, model, number of items, name of the key. Nothing that a
user sent is in it. The stages of a request are spans below it. An engine in a process of its own sends those of its
queue and its forward pass itself (engine/tracing.py); of another engine the web worker knows how long they took.
"""

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from app.telemetry import RequestRecord, get_record
from processes.tracing import Traces, read_parent

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_STAGES = ("prepare", "estimate", "queue", "forward")
_NS = 1_000_000_000


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

        given = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
        route = request.url_rule.rule if request.url_rule else "none"
        g.span_started_ns = time.time_ns()
        g.span = traces.get_tracer().start_span(
            f"{request.method if request.url_rule else 'HTTP'} {route}",
            context=read_parent(given),
            kind=SpanKind.SERVER,
            start_time=g.span_started_ns,
        )
        get_record().traceparent = _write_traceparent(g.span)

    @app.after_request
    def end(response: Response) -> Response:
        if "span" in g:
            span, started_ns, record = g.span, g.span_started_ns, get_record()
            route = request.url_rule.rule if request.url_rule else "none"

            def finish() -> None:
                _describe(span, record, route=route, status=response.status_code)
                _add_stages(traces.get_tracer(), span, record, started_ns=started_ns)
                span.end()

            if response.is_streamed and not response.direct_passthrough:
                response.call_on_close(finish)
            else:
                finish()
        return response

    return traces


def _write_traceparent(span: "Span") -> str:
    """Write the position of a span for another process, as W3C Trace Context says."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


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
        if took_ms is None:
            continue
        if stage in record.traced_stages:
            begin_ns += int(took_ms / 1000 * _NS)
        else:
            span = tracer.start_span(stage, context=context, start_time=begin_ns)
            begin_ns += int(took_ms / 1000 * _NS)
            span.end(end_time=begin_ns)
