"""What is recorded about a request: its id, its timings and one line in the log. What it contains is never recorded."""

import logging
import random
import re
import time
import traceback
from dataclasses import dataclass, field
from functools import partial

from flask import Flask, Response, g, request

from app.counters import AnsweredRequest, RequestMetrics

log = logging.getLogger("signclip.access")
failures_log = logging.getLogger("signclip.failures")

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID_VARIABLE = "HTTP_X_REQUEST_ID"
# A client may send any word as the method. Only those of RFC 9110 become labels of metrics and appear in the log.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
# Asked by orchestrators and at the start, to learn whether the service answers and is ready.
_PROBES = frozenset({"/healthz", "/readyz"})
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,64}$")


@dataclass
class RequestRecord:
    """What is known about the request that is being handled; fields are filled in as they become known.

    Attributes:
        request_id: the client's own id, or one that was made here.
        started: time of arrival, in seconds of time.monotonic().
        deadline: time by which the request must be answered, by the same clock.
        model: name of the model.
        items: number of texts and clips.
        key: name of the API key; None without one.
        code: code of the problem that was answered; None when there was no problem.
        stages_ms: milliseconds of each stage: prepare, estimate, queue, forward.
        traceparent: position of the request's span, for other processes; None without traces.
        traced_stages: stages whose spans another process sends.
    """

    request_id: str
    started: float
    deadline: float
    model: str | None = None
    items: int | None = None
    key: str | None = None
    code: str | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)
    traceparent: str | None = None
    traced_stages: frozenset[str] = frozenset()

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since arrival."""
        return 1000 * (time.monotonic() - self.started)

    def add_stage(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken."""
        self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + 1000 * seconds


def make_request_id() -> str:
    """Make an id that no other request has: 32 hexadecimal digits."""
    # The id is no secret. Asking the kernel for it would let another thread take the interpreter's lock. After a fork,
    # Python seeds this generator again.
    return f"{random.getrandbits(128):032x}"


def get_record() -> RequestRecord:
    """Return the record of the request that is being handled."""
    found: RequestRecord = g.record
    return found


def log_failure(error: BaseException) -> None:
    """Log where an unforeseen error came from. Its message is not logged, because it may quote what a user sent."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    causes = [type(cause).__name__ for cause in (error.__cause__, error.__context__) if cause is not None]
    failures_log.error(
        "unforeseen error",
        extra={
            "request_id": get_record().request_id,
            "exception": type(error).__name__,
            "causes": causes,
            "places": places[-12:],
        },
    )


def install(app: Flask, metrics: RequestMetrics, *, timeout_s: float) -> None:
    """Give every request a record, and every answer its id, its timings and its line in the log.

    Args:
        metrics: counters that every answer is added to.
        timeout_s: seconds until a request is late, unless its route sets another deadline.
    """

    @app.before_request
    def begin() -> None:
        given = request.environ.get(_REQUEST_ID_VARIABLE, "")
        request_id = given if _REQUEST_ID.match(given) else make_request_id()
        now = time.monotonic()
        g.record = RequestRecord(request_id, now, now + timeout_s)

    @app.after_request
    def end(response: Response) -> Response:
        record, headers = get_record(), response.headers
        headers.add(REQUEST_ID_HEADER, record.request_id)
        if record.stages_ms:
            stages = {**record.stages_ms, "total": record.elapsed_ms}
            headers.add("Server-Timing", ", ".join([f"{name};dur={ms:.2f}" for name, ms in stages.items()]))
        method, rule = request.method, request.url_rule
        report = partial(
            _report,
            record,
            response,
            metrics=metrics,
            method=method if method in _METHODS else "other",
            route=rule.rule if rule else None,
            bytes_in=request.content_length,
        )
        # A file is handed to the server, which tells nobody when it is sent.
        if response.is_streamed and not response.direct_passthrough:
            # The result of a stream, and the time it takes, are known only at its end.
            response.call_on_close(report)
        else:
            report()
        return response


def _report(
    record: RequestRecord,
    response: Response,
    *,
    metrics: RequestMetrics,
    method: str,
    route: str | None,
    bytes_in: int | None,
) -> None:
    """Count an answer, and write its line into the log."""
    total_ms = record.elapsed_ms
    metrics.count(
        AnsweredRequest(
            method,
            route or "none",
            response.status_code,
            seconds=total_ms / 1000,
            code=record.code,
            model=record.model,
            items=record.items or 0,
            key=record.key,
        )
    )
    # Every few seconds a probe asks the same, and nobody reads its lines.
    is_quiet = route in _PROBES and (response.status_code == 200 or record.code == "not_ready")
    level = logging.DEBUG if is_quiet else logging.INFO
    if log.isEnabledFor(level):
        log.log(
            level,
            "request",
            extra={
                "request_id": record.request_id,
                "method": method,
                "route": route,
                "status": response.status_code,
                "code": record.code,
                "duration_ms": round(total_ms, 2),
                "model": record.model,
                "items": record.items,
                "key": record.key,
                "bytes_in": bytes_in,
                "bytes_out": response.content_length,
            },
        )
