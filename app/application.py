"""The Flask application, without what Flask does anew for each request and what never changes here."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.routing import MapAdapter

# Hosts whose check is remembered. A service has a few names; a client may send any.
_MOST_HOSTS = 64


class Application(Flask):
    """Flask that asks no function of ours whether it is a coroutine, and checks the same Host once."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        # By scheme, Host field and address: the host as it was checked, and the name to which routes are bound.
        self._hosts: dict[tuple[Any, ...], tuple[str, str]] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is. No view and no hook is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to a request."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        environ = request.environ
        asked = environ["wsgi.url_scheme"], environ.get("HTTP_HOST"), environ["SERVER_NAME"], environ["SERVER_PORT"]
        known = self._hosts.get(asked)
        if known is None:
            adapter = super().create_url_adapter(request)
            if adapter is not None and len(self._hosts) < _MOST_HOSTS:
                self._hosts[asked] = request.host, adapter.server_name
            return adapter
        request.host, server_name = known
        return MapAdapter(
            self.url_map,
            server_name,
            _decode(environ.get("SCRIPT_NAME", "")),
            "",
            asked[0],
            _decode(environ.get("PATH_INFO", "")),
            environ["REQUEST_METHOD"],
            _decode(environ.get("QUERY_STRING", "")),
        )


def _decode(value: str) -> str:
    """Decode a part of an address, whose bytes WSGI hands on as latin-1."""
    return value.encode("latin-1").decode(errors="replace")
