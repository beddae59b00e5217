"""What a request leaves behind: its id, its timings, one line in the log. Never what it said."""

import logging
import re
import time
import traceback
import uuid
from dataclasses import dataclass, field
from functools import partial

from flask import Flask, Response, g, request

from app.counters import RequestMetrics
from app.services import services

log = logging.getLogger("signclip.access")
failures_log = logging.getLogger("signclip.failures")

REQUEST_ID_HEADER = "X-Request-ID"
# A method may be any word a client likes; those of RFC 9110 alone become labels and lines in the log.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,64}$")


@dataclass
class Record:
    """Facts about the request being handled, filled in as they become known.

    Attributes:
        started: time.monotonic() at arrival.
        deadline: when it must be answered, by the same clock.
        stages_ms: of embed requests: prepare, queue, forward.
    """

    request_id: str
    started: float
    deadline: float
    model: str | None = None
    items: int | None = None
    code: str | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)

    def elapsed_ms(self) -> float:
        """Since arrival."""
        return 1000 * (time.monotonic() - self.started)

    def add(self, stage: str, seconds: float) -> None:
        self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + 1000 * seconds


def record() -> Record:
    """The record of the request being handled; an error may come before anything else asked for one."""
    found: Record | None = g.get("record")
    if found is None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        now = time.monotonic()
        request_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
        found = g.record = Record(request_id, now, now + services().settings.timeout_s)
    return found


def log_failure(error: BaseException) -> None:
    """Log where an unforeseen error came from. Its message stays out: it may quote what a user sent."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    causes = [type(cause).__name__ for cause in (error.__cause__, error.__context__) if cause is not None]
    failures_log.error(
        "unforeseen error",
        extra={
            "request_id": record().request_id,
            "exception": type(error).__name__,
            "causes": causes,
            "places": places[-12:],
        },
    )


def install(app: Flask) -> None:
    """Give every request a record, and every answer its id, its timings and its line in the log."""

    @app.before_request
    def begin() -> None:
        record()

    @app.after_request
    def end(response: Response) -> Response:
        facts = record()
        response.headers[REQUEST_ID_HEADER] = facts.request_id
        if facts.stages_ms:
            stages = {**facts.stages_ms, "total": facts.elapsed_ms()}
            response.headers["Server-Timing"] = ", ".join(f"{name};dur={ms:.2f}" for name, ms in stages.items())
        method = request.method if request.method in _METHODS else "other"
        route = request.url_rule.rule if request.url_rule else None
        told = partial(
            _tell, facts, response, services().metrics, method=method, route=route, bytes_in=request.content_length
        )
        if response.is_streamed:
            # What a stream comes to, and how long it takes, is known at its end only.
            response.call_on_close(told)
        else:
            told()
        return response


def _tell(
    facts: Record, response: Response, metrics: RequestMetrics, *, method: str, route: str | None, bytes_in: int | None
) -> None:
    """Count an answer, and write its line into the log."""
    total_ms = facts.elapsed_ms()
    metrics.count(
        method=method,
        route=route or "none",
        status=response.status_code,
        code=facts.code,
        seconds=total_ms / 1000,
        items=facts.items or 0,
        model=facts.model,
    )
    if log.isEnabledFor(logging.INFO):
        log.info(
            "request",
            extra={
                "request_id": facts.request_id,
                "method": method,
                "route": route,
                "status": response.status_code,
                "code": facts.code,
                "duration_ms": round(total_ms, 2),
                "model": facts.model,
                "items": facts.items,
                "bytes_in": bytes_in,
                "bytes_out": response.content_length,
            },
        )
