"""Which port answers what: counters may have an address of their own, which strangers cannot reach."""

import socket

from flask import Flask, request

from app.errors import RouteUnknownError


def is_metrics_port(metrics_address: str | None) -> bool:
    """Check whether the request came to the address of the counters."""
    if metrics_address is None:
        return False
    connection = request.environ.get("gunicorn.socket")
    if connection is not None and connection.family == socket.AF_UNIX:  # its port is what the client says as Host
        return False
    return request.environ.get("SERVER_PORT") == metrics_address.rpartition(":")[2]


def install(app: Flask, metrics_address: str | None) -> None:
    """Answer counters on their own address alone, and nothing but health checks beside them; None: everywhere."""
    if metrics_address is None:
        return

    @app.before_request
    def check_port() -> None:
        if request.blueprint == "health" or request.url_rule is None:
            return
        if is_metrics_port(metrics_address) != (request.blueprint == "metrics"):
            raise RouteUnknownError("this address does not answer that; SIGNCLIP_METRICS_ADDRESS has one of its own")
