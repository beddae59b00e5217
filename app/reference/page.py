"""The OpenAPI document as a person reads it: one section a route, one row a key, an example that works as pasted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

BASE_URL = "http://localhost:3030"


@dataclass(frozen=True)
class Row:
    """One key of a body."""

    name: str
    kind: str
    default: str
    description: str
    needed: bool


@dataclass(frozen=True)
class Section:
    """One route.

    Attributes:
        example: a JSON body, or "".
        takes_files: whether a clip may come as a file.
        clips: key of the body that clips stand under, "" where there are none.
        curl: a command line that works as pasted, beside a clip.pose where a clip is needed.
    """

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    rows: list[Row]
    answers: list[Row]
    example: str
    takes_files: bool
    clips: str
    curl: str
    statuses: list[str]


def sections(document: Mapping[str, Any]) -> list[Section]:
    """Lay out an OpenAPI document, in its own order."""
    schemas = document["components"]["schemas"]
    return [
        _section(path, method, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _section(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Section:
    bodies = operation.get("requestBody", {}).get("content", {})
    request = _resolve(bodies.get("application/json", {}), schemas)
    answer = _resolve(operation["responses"]["200"]["content"].get("application/json", {}), schemas)
    example = next(iter(request.get("examples", [])), None)
    takes_files = "multipart/form-data" in bodies
    clips = next((key for key in ("pose", "video") if key in request.get("properties", {})), "")
    return Section(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        rows=_rows(request),
        answers=_rows(answer),
        example=orjson.dumps(example, option=orjson.OPT_INDENT_2).decode() if example else "",
        takes_files=takes_files,
        clips=clips,
        curl=_curl(path, example, clips=clips if takes_files else ""),
        statuses=[status for status in operation["responses"] if status != "200"],
    )


def _curl(path: str, example: Any, *, clips: str) -> str:
    """A command line; clips is the name of its file part, "" where it sends none."""
    if clips == "video":
        return f"curl {BASE_URL}{path} -F video=@clip.mp4" + (" -o clip.pose" if path == "/api/pose" else "")
    if clips:
        return f"curl {BASE_URL}{path} -F pose=@clip.pose"
    if example is None:
        return f"curl {BASE_URL}{path}"
    send = f"curl {BASE_URL}{path} -H 'Content-Type: application/json' -d"
    if "pose" in example:
        # Through a pipe: a clip is longer than an argument may be.
        body = orjson.dumps({**example, "pose": ["%s"]}).decode()
        return f"printf '{body}' \"$(base64 < clip.pose | tr -d '\\n')\" | {send} @-"
    return f"{send} '{orjson.dumps(example).decode()}'"


def _resolve(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = content.get("schema", {}).get("$ref", "")
    found: Mapping[str, Any] = schemas.get(reference.rpartition("/")[2], {})
    return found


def _rows(schema: Mapping[str, Any]) -> list[Row]:
    needed = schema.get("required", [])
    rows = [
        Row(
            name=name,
            kind=_kind(field),
            default="" if field.get("default") is None else orjson.dumps(field["default"]).decode(),
            description=field.get("description", ""),
            needed=name in needed,
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return sorted(rows, key=lambda row: not row.needed)


def _kind(field: Mapping[str, Any]) -> str:
    """A field's type in words."""
    if "const" in field:
        return orjson.dumps(field["const"]).decode()
    if "enum" in field:
        return " | ".join(orjson.dumps(value).decode() for value in field["enum"])
    branches = field.get("oneOf") or field.get("anyOf")
    if branches:
        return " | ".join(dict.fromkeys(_kind(branch) for branch in branches if branch.get("type") != "null"))
    if "$ref" in field:
        return "object"
    if field.get("type") == "array":
        inner = _kind(field.get("items", {}))
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    return str(field.get("type", "any"))
