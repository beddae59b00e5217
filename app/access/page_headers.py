"""Header fields by which browsers take an answer for nothing else than it is."""

from flask import Flask, Response

# Answers are data. A page of ours has a policy of its own, which names its scripts.
_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


_FIELDS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", _POLICY),
)


def install(app: Flask) -> None:
    """Give every answer its security headers."""

    @app.after_request
    def protect(response: Response) -> Response:
        # One look at all fields; `setdefault` takes three for each.
        given = {name.lower() for name, _ in response.headers}
        for name, value in _FIELDS:
            if name.lower() not in given:
                response.headers.add(name, value)
        return response
