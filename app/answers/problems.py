"""Turns errors into answers: problem details (RFC 9457) for our errors, for werkzeug's and for unforeseen errors."""

import math
from difflib import get_close_matches
from pathlib import Path

import orjson
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from app import telemetry
from app.answers.folders import hide_folders
from app.error_table import UNFORESEEN, ErrorAnswer, find_answer, find_code
from app.errors import MalformedRequestError, MethodNotAllowedError, RequestError, RouteUnknownError, TooLargeError
from app.refusals import compose

# Longer messages quote input or lists of names; a client reads the beginning.
_DETAIL_CHARS = 1000
_HIDDEN = "WEIGHTS_DIR"
# Where clients of OpenAI's API call, with their base URL right or without its /v1: they show `error` alone.
_OPENAI_PATHS = ("/v1/", "/embeddings", "/models", "/chat/completions")


def install(app: Flask, weights_dir: Path) -> None:
    """Answer every error of every route as a problem.

    Args:
        weights_dir: a folder whose path no client sees.
    """
    app.config[_HIDDEN] = weights_dir
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, answer_problem)


def answer_problem(error: Exception) -> Response:
    """Answer an error as the table of errors says."""
    answer = find_answer(error)
    if answer.status == 500:
        telemetry.log_failure(error)
    shown = hide_folders(str(error), current_app.config[_HIDDEN])[:_DETAIL_CHARS]
    detail = shown if answer.public else "the request id finds it in the server's log"
    problems = error.problems if isinstance(error, RequestError) else ()
    response = _write_problem(
        answer,
        code=find_code(error),
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


def _answer_http(error: HTTPException) -> Response:
    """Answer werkzeug's errors as ours, with the headers that belong to them (Allow)."""
    response = answer_problem(_translate(error))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _translate(error: HTTPException) -> Exception:
    detail = error.description or "the request is not well-formed"
    if isinstance(error, RequestEntityTooLarge):
        return TooLargeError(f"the body has more than {request.max_content_length} bytes")
    if isinstance(error, NotFound):
        return RouteUnknownError(f"there is no such route{_suggest_route()} GET /docs lists the routes")
    if isinstance(error, MethodNotAllowed):
        methods = sorted(set(error.valid_methods or ()) - {"OPTIONS"})
        return MethodNotAllowedError(f"{request.method} is not a method of this route; use {' or '.join(methods)}")
    return MalformedRequestError(detail) if error.code is not None and error.code < 500 else error


def _suggest_route() -> str:
    """Name the route that a client probably meant: with /v1 or /api before its path, or spelled alike."""
    routes = {rule.rule for rule in current_app.url_map.iter_rules() if "<" not in rule.rule}
    wanted = "/" + request.path.strip("/")
    ending = sorted(route for route in routes if wanted != "/" and route.endswith(wanted))
    near = ending or get_close_matches(wanted, sorted(routes), n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ";"


def _write_problem(answer: ErrorAnswer, *, code: str, detail: str, errors: list[dict[str, str]]) -> Response:
    record = telemetry.get_record()
    record.code = code
    body = compose(answer, code=code, detail=detail, request_id=record.request_id)
    if errors:
        body["errors"] = errors
    if request.path.startswith(_OPENAI_PATHS):
        kind = "invalid_request_error" if answer.status < 500 else "server_error"
        body["error"] = {"message": detail, "type": kind, "code": code, "param": None}
    return Response(orjson.dumps(body), status=answer.status, mimetype="application/problem+json")
