"""Builds the OpenAPI 3.1 document from the routes and from the classes that check their bodies."""

import re
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.access.keys import find_scope
from app.answers.schemas import ProblemAnswer
from app.answers.vectors import NPY
from app.error_table import list_error_lines
from app.reference.operations import Operation
from app.services import EXTENSION
from app.settings import ServiceSettings
from app.telemetry import REQUEST_ID_HEADER
from processes.version import VERSION

# Flask's way to write a parameter of a path.
_PATH_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_WORD_BREAK = re.compile(r"\W+")
_SCHEMAS = "#/components/schemas/"
_ABOUT = (
    "SignCLIP puts sign language poses and texts into one vector space. Vectors may be compared when their spaces "
    "are equal. Every answer carries X-Request-ID. Errors are problem details (RFC 9457)."
)


def build(app: Flask, *, keys_needed: bool) -> dict[str, Any]:
    """Build the description of every route that carries an Operation.

    Args:
        keys_needed: whether this server needs an API key.
    """
    routes = list(_list_routes(app))
    found = (schema for _, _, about in routes for schema in (about.request, about.answer))
    wanted: list[type[BaseModel]] = [schema for schema in found if schema is not None]
    unique = dict.fromkeys([*wanted, ProblemAnswer])
    modes: list[tuple[Any, Any]] = [(schema, "validation") for schema in unique]
    _, definitions = models_json_schema(modes, ref_template=_SCHEMAS + "{model}")
    paths: dict[str, Any] = {}
    settings: ServiceSettings = app.extensions[EXTENSION].settings
    limits = {"pose": settings.max_items, "video": settings.max_videos}
    for path, methods, about in routes:
        for method in methods:
            paths.setdefault(path, {})[method] = _describe_route(about, path, method=method, limits=limits)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "SignCLIP", "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }
    if keys_needed:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
    return document


def _list_routes(app: Flask) -> list[tuple[str, list[str], Operation]]:
    found = []
    for rule in app.url_map.iter_rules():
        about = getattr(app.view_functions[rule.endpoint], "operation", None)
        if about is not None:
            methods = set(rule.methods or ()) - {"HEAD", "OPTIONS"}
            # In OpenAPI a GET has no body, so only POST is documented for routes that accept both.
            methods = {"POST"} if "POST" in methods else methods
            path = _PATH_PARAMETER.sub(r"{\1}", rule.rule)
            found.append((path, sorted(method.lower() for method in methods), about))
    return found


def _describe_route(about: Operation, path: str, *, method: str, limits: dict[str, int]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{method}{_WORD_BREAK.sub('_', path).rstrip('_')}",
        "summary": about.summary,
        "responses": _describe_responses(about, find_scope(path, method.upper())),
    }
    if about.description:
        described["description"] = about.description
    parameters: list[dict[str, Any]] = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
        for part in re.findall(r"{(\w+)}", path)
    ]
    parameters.append(
        _describe_header(
            REQUEST_ID_HEADER, "your own id for the request; the answer carries it too", {"type": "string"}
        )
    )
    if 504 in about.statuses:
        milliseconds = {"type": "integer", "minimum": 1}
        parameters.append(
            _describe_header("X-Timeout-Ms", "milliseconds after which the request is answered 504", milliseconds)
        )
    if about.options is not None:
        parameters += _describe_query(about.options)
    if about.query is not None:
        parameters += _describe_query(about.query, said="")
    described["parameters"] = parameters
    if about.takes:
        file = {about.takes: {"schema": {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": file}
    if about.request is not None:
        described["requestBody"] = {"required": True, "content": _describe_bodies(about, limits)}
    return described


def _describe_header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _describe_query(options: type[BaseModel], said: str = "only with a raw body: ") -> list[dict[str, Any]]:
    """Describe the parameters of a query: options of a raw body, which has no place for them, or those of a GET."""
    parameters = []
    for name, schema in options.model_json_schema()["properties"].items():
        description = f"{said}{schema.get('description', '')}"
        bare = {key: value for key, value in schema.items() if key not in ("description", "title")}
        parameters.append({"name": name, "in": "query", "required": False, "description": description, "schema": bare})
    return parameters


def _describe_bodies(about: Operation, limits: dict[str, int]) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    if about.request is not None:
        bodies["application/json"] = {"schema": {"$ref": _SCHEMAS + about.request.__name__}}
    files: dict[str, Any]
    if about.request is not None and about.form and about.options is None:
        fields = about.request.model_json_schema()["properties"]
        files = {key: {"type": "array", "items": {"type": "string", "format": "binary"}} for key in ("pose", "video")}
        bodies["multipart/form-data"] = {"schema": {"type": "object", "properties": {**fields, **files}}}
    if about.options is not None:
        file = {"type": "string", "format": "binary"}
        files = {about.files: {"type": "array", "items": file, "minItems": 1, "maxItems": limits[about.files]}}
        fields = about.options.model_json_schema()["properties"]
        form: dict[str, Any] = {"type": "object", "required": [about.files], "properties": {**files, **fields}}
        if about.form:  # one file, of either kind
            form = {"type": "object", "properties": {"pose": file, "video": file, **fields}}
        bodies["multipart/form-data"] = {"schema": form}
        raw = {"schema": {"type": "string", "format": "binary"}}
        takes_videos = about.form or about.files == "video"
        bodies |= {"application/octet-stream": raw} | ({"video/*": raw} if takes_videos else {})
    return bodies


def _describe_responses(about: Operation, scope: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if about.answer is not None:
        content["application/json"] = {"schema": {"$ref": _SCHEMAS + about.answer.__name__}}
    if about.text:
        content["text/plain"] = {"schema": {"type": "string"}}
    content |= {kind: {"schema": {"type": "string"}} for kind in about.others}
    for kind in about.media or (("application/octet-stream",) if about.file else ()):
        content[kind] = {"schema": {"type": "string", "format": "binary"}}
    if about.pose:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    if about.lines:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    if about.npy:
        content[NPY] = {"schema": {"type": "string", "format": "binary"}}
    responses: dict[str, Any] = {"200": {"description": "the answer", "content": content}}
    lines = list_error_lines()
    # Where a key is needed, it may be one that does not open the route.
    refusals = {403} if 401 in about.statuses else set()
    for status in sorted({*about.statuses, *refusals, 500}):
        titles = [line.title for line in lines if line.status == status]
        if status == 403:
            titles.append(f"this route needs the scope {scope}")
        problem = {"application/problem+json": {"schema": {"$ref": _SCHEMAS + ProblemAnswer.__name__}}}
        responses[str(status)] = {"description": "; ".join(titles), "content": problem}
        if status in (429, 503):
            seconds = {"description": "seconds to wait before the request is sent again", "schema": {"type": "integer"}}
            responses[str(status)]["headers"] = {"Retry-After": seconds}
    # What any request may meet, whatever its route: an unknown path, another method, a limit, a malformed head.
    others = {"application/problem+json": {"schema": {"$ref": _SCHEMAS + ProblemAnswer.__name__}}}
    responses["default"] = {"description": "any other refusal; `code` says which", "content": others}
    return responses
