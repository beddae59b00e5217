"""Lays out the OpenAPI document for people: a section for each route, with its keys and an example to paste."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

BASE_URL = "http://localhost:3030"


@dataclass(frozen=True)
class KeyRow:
    """One key of a body.

    Attributes:
        kind: the type in words.
        default: as JSON; "" when there is none.
        needed: whether a request must have it.
    """

    name: str
    kind: str
    default: str
    description: str
    needed: bool


@dataclass(frozen=True)
class RouteSection:
    """One route.

    Attributes:
        anchor: id of the section in the page.
        rows: keys of the request.
        answers: keys of the answer.
        example: a JSON body; "" when the route takes none.
        takes_files: whether a clip may be sent as a file.
        clips: key of the clips in the body; "" when the route takes no clips.
        curl: a command line that works when it is pasted; it may need a clip.pose or clip.mp4 beside it.
        statuses: statuses of errors.
    """

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    rows: list[KeyRow]
    answers: list[KeyRow]
    example: str
    takes_files: bool
    clips: str
    curl: str
    statuses: list[str]


def lay_out_sections(document: Mapping[str, Any]) -> list[RouteSection]:
    """Lay out every route of an OpenAPI document, in the document's order."""
    schemas = document["components"]["schemas"]
    return [
        _lay_out(path, method, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _lay_out(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> RouteSection:
    bodies = operation.get("requestBody", {}).get("content", {})
    request = _find_schema(bodies.get("application/json", {}), schemas)
    answer = _find_schema(operation["responses"]["200"]["content"].get("application/json", {}), schemas)
    example = next(iter(request.get("examples", [])), None)
    takes_files = "multipart/form-data" in bodies
    clips = next((key for key in ("pose", "video") if key in request.get("properties", {})), "")
    return RouteSection(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        rows=_list_rows(request),
        answers=_list_rows(answer),
        example=orjson.dumps(example, option=orjson.OPT_INDENT_2).decode() if example else "",
        takes_files=takes_files,
        clips=clips,
        curl=_write_curl(path, example, clips=clips if takes_files else ""),
        statuses=[status for status in operation["responses"] if status != "200"],
    )


def _write_curl(path: str, example: Any, *, clips: str) -> str:
    """Write a command line. `clips` is the name of its file part; "" when it sends no file."""
    if clips == "video":
        return f"curl {BASE_URL}{path} -F video=@clip.mp4" + (" -o clip.pose" if path == "/api/pose" else "")
    if clips:
        return f"curl {BASE_URL}{path} -F pose=@clip.pose{_write_fields(example, clips)}"
    if example is None:
        return f"curl {BASE_URL}{path}"
    send = f"curl {BASE_URL}{path} -H 'Content-Type: application/json' -d"
    if "pose" in example:
        # Through a pipe, because a clip is longer than an argument may be.
        body = orjson.dumps({**example, "pose": ["%s"]}).decode()
        return f"printf '{body}' \"$(base64 < clip.pose | tr -d '\\n')\" | {send} @-"
    return f"{send} '{orjson.dumps(example).decode()}'"


def _write_fields(example: Mapping[str, Any] | None, clips: str) -> str:
    """Write the other keys of an example as fields of a form, a list as one field for each item."""
    fields = [
        f" -F {key}={orjson.dumps(item).decode() if not isinstance(item, str) else item}"
        for key, value in (example or {}).items()
        if key != clips
        for item in (value if isinstance(value, list) else [value])
    ]
    return "".join(fields)


def _find_schema(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = content.get("schema", {}).get("$ref", "")
    found: Mapping[str, Any] = schemas.get(reference.rpartition("/")[2], {})
    return found


def _list_rows(schema: Mapping[str, Any]) -> list[KeyRow]:
    needed = schema.get("required", [])
    rows = [
        KeyRow(
            name=name,
            kind=_describe_type(field),
            default="" if field.get("default") is None else orjson.dumps(field["default"]).decode(),
            description=field.get("description", ""),
            needed=name in needed,
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return sorted(rows, key=lambda row: not row.needed)


def _describe_type(field: Mapping[str, Any]) -> str:
    """Describe the type of a field in words."""
    if "const" in field:
        return orjson.dumps(field["const"]).decode()
    if "enum" in field:
        return " | ".join(orjson.dumps(value).decode() for value in field["enum"])
    branches = field.get("oneOf") or field.get("anyOf")
    if branches:
        return " | ".join(dict.fromkeys(_describe_type(branch) for branch in branches if branch.get("type") != "null"))
    if "$ref" in field:
        return "object"
    if field.get("type") == "array":
        inner = _describe_type(field.get("items", {}))
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    return str(field.get("type", "any"))
