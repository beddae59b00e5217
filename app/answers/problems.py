"""Errors into answers: RFC 9457 problem details, the same for our errors, werkzeug's and the unforeseen."""

import math
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import telemetry
from app.errors import UNFORESEEN, Answer, RequestError, TooLargeError, answer_to, code_of

_DETAIL_CHARS = 1000
# What werkzeug raises before or beside the views.
_CODES = {400: "request_malformed", 404: "route_unknown", 405: "method_not_allowed"}


def install(app: Flask) -> None:
    """Answer every error of every route as a problem."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, problem_response)


def _http(error: HTTPException) -> Response:
    """Translate werkzeug's errors, with the headers that belong to them (Allow)."""
    if isinstance(error, RequestEntityTooLarge):
        return problem_response(TooLargeError(f"the body has more than {request.max_content_length} bytes"))
    if error.code is None or error.response is not None:
        return problem_response(error)
    detail = {404: "there is no such route; GET /docs shows those there are"}.get(error.code, error.description or "")
    code = _CODES.get(error.code, "http_error")
    response = _problem(Answer(error.code, error.name), code=code, detail=detail)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def problem_response(error: Exception) -> Response:
    """Answer an error of ours as the table says, and anything else as our bug."""
    answer = answer_to(error)
    if answer.status == 500:
        telemetry.log_failure(error)
    detail = str(error)[:_DETAIL_CHARS] if answer.public else "the request id finds it in the server's log"
    problems = error.problems if isinstance(error, RequestError) else ()
    response = _problem(
        answer,
        code=code_of(error),
        detail=detail,
        errors=[{"pointer": problem.pointer, "message": problem.message[:_DETAIL_CHARS]} for problem in problems],
    )
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None and answer is not UNFORESEEN:
        response.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    if answer.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="signclip"'
    if answer.status == 415:
        response.headers["Accept-Encoding"] = "gzip, zstd"
    return response


def _problem(answer: Answer, *, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    facts = telemetry.record()
    facts.code = code
    body: dict[str, Any] = {
        "type": f"urn:signclip:{code}",
        "title": answer.title,
        "status": answer.status,
        "code": code,
        "detail": detail,
        "request_id": facts.request_id,
    }
    if errors:
        body["errors"] = errors
    if request.path.startswith("/v1/"):
        kind = "invalid_request_error" if answer.status < 500 else "server_error"
        body["error"] = {"message": detail, "type": kind, "code": code, "param": None}
    return Response(orjson.dumps(body), status=answer.status, mimetype="application/problem+json")
