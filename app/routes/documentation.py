"""The API described: for machines, and for people on a page that needs nothing from elsewhere."""

import secrets

from flask import Blueprint, Response, current_app, redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from app.answers.vectors import json_answer
from app.errors import ANSWERS
from app.reference import openapi
from app.reference.page import sections
from app.services import services

blueprint = Blueprint("documentation", __name__, template_folder="../reference/templates")


@blueprint.get("/")
def home() -> AnyResponse:
    return redirect("docs")


@blueprint.get("/openapi.json")
def document() -> Response:
    return json_answer(_document())


@blueprint.get("/docs")
def page() -> Response:
    nonce = secrets.token_urlsafe(16)
    described = _document()
    html = render_template(
        "documentation.html",
        about=described["info"],
        sections=sections(described),
        problems=sorted(ANSWERS.items(), key=lambda line: line[1].status),
        keys_needed="security" in described,
        nonce=nonce,
    )
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response


def _document() -> dict[str, object]:
    return openapi.build(current_app, keys_needed=bool(services().settings.api_keys))
