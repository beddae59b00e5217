"""The description of the API: a document for machines, and a page for people that loads nothing from elsewhere."""

import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template

from app.answers.vectors import answer_json
from app.error_table import list_error_lines
from app.reference import openapi
from app.reference.page import lay_out_sections
from app.services import get_services

blueprint = Blueprint("documentation", __name__, template_folder="../reference/templates")


@blueprint.get("/openapi.json")
def show_document() -> Response:
    """Answer the OpenAPI document."""
    return answer_json(_build_document())


@blueprint.get("/docs")
def show_page() -> Response:
    """Answer the page that describes the API to people."""
    nonce = secrets.token_urlsafe(16)
    document = _build_document()
    html = render_template(
        "documentation.html",
        about=document["info"],
        sections=lay_out_sections(document),
        errors=list_error_lines(),
        keys_needed="security" in document,
        nonce=nonce,
    )
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response


def _build_document() -> Mapping[str, Any]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy is another key each time
    return _build_once(app, keys_needed=get_services().settings.needs_keys)


@lru_cache(maxsize=1)
def _build_once(app: Flask, *, keys_needed: bool) -> Mapping[str, Any]:
    """Build the document for the first request. That takes 67 ms, and anybody may ask, without a key or a limit."""
    return openapi.build(app, keys_needed=keys_needed)
