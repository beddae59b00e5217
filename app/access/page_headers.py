"""Header fields by which browsers take an answer for nothing else than it is."""

from flask import Flask, Response

# Answers are data. A page of ours has a policy of its own, which names its scripts.
_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def install(app: Flask) -> None:
    """Give every answer its security headers."""

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        return response
