"""Origins whose pages may call the API, as browsers write them (RFC 6454), and what answers tell browsers of them."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_cors import CORS

_PRIVATE_NETWORK = "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"


def normalize_origin(origin: str) -> str:
    """Write an origin as browsers send it: lower case, without a slash at its end.

    Raises:
        ValueError: it is no origin, or has more than an origin.
    """
    if origin == "*":
        return origin
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{origin!r} is no origin; write one as https://sign.example or http://localhost:8080")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{origin!r} has more than an origin; write {parts.scheme}://{parts.netloc} alone")
    return f"{parts.scheme}://{parts.netloc}".lower()


def install(app: Flask, origins: Sequence[str], *, exposed: Sequence[str]) -> None:
    """Let pages of other origins call the API.

    Args:
        origins: as normalize_origin writes them; "*" stands for all, and none changes nothing.
        exposed: header fields that these pages may read.
    """
    if not origins:
        return
    CORS(
        app,
        origins=list(origins),
        expose_headers=list(exposed),
        send_wildcard=True,
        # A public page may reach a private address only when its origin is named.
        allow_private_network="*" not in origins,
        max_age=600,
    )
    if "*" not in origins:
        return
    fields = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", ", ".join(sorted(exposed)))]

    @app.after_request
    def allow_all(response: Response) -> Response:
        # The answer to all origins is always the same, and flask-cors, which comes after this, leaves it as it is.
        asks_more = request.method == "OPTIONS" or _PRIVATE_NETWORK in request.environ
        if not asks_more and "Access-Control-Allow-Origin" not in response.headers:
            response.headers.extend(fields)
        return response
