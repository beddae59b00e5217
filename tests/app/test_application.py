"""Routes are bound to a request as Flask binds them, although the check of its Host is remembered."""

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from app.application import _MOST_HOSTS, Application

HOSTS = ["localhost", "localhost:8000", "Sign.Example:80", "[::1]:5000", "bücher.example", "a b", "", "x" * 70]
PLACES = [("/", ""), ("/api/a%20b/\u00fc", "a=1&b=\u00e4"), ("", ""), ("//twice", "x")]


def describe(adapter: MapAdapter | None) -> object:
    """Everything that an adapter knows of its request."""
    return adapter and {name: value for name, value in vars(adapter).items() if name != "map"}


def bind(app: Flask, host: str | None, path: str, query: str, **more: str) -> object:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query.encode().decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "wsgi.url_scheme": "http",
        **more,
    }
    if host is not None:
        environ["HTTP_HOST"] = host.encode().decode("latin-1")
    request = app.request_class(environ)
    try:
        adapter = app.create_url_adapter(request)
    except HTTPException as error:
        return type(error)
    return describe(adapter), request.host


@pytest.mark.parametrize("host", [None, *HOSTS])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"SCRIPT_NAME": "/under"},
        {"wsgi.url_scheme": "https", "REQUEST_METHOD": "GET"},
        {"HTTP_CONNECTION": "upgrade", "HTTP_UPGRADE": "websocket"},
    ],
)
def test_routes_are_bound_as_flask_binds_them(host: str | None, more: dict[str, str]) -> None:
    app = Application(__name__)
    for _ in range(2):  # the second time the host is known
        for path, query in PLACES:
            assert bind(app, host, path, query, **more) == bind(Flask(__name__), host, path, query, **more)


def test_a_client_that_sends_many_hosts_fills_no_memory() -> None:
    app = Application(__name__)
    for number in range(2 * _MOST_HOSTS):
        assert bind(app, f"h{number}", "/", "") == bind(Flask(__name__), f"h{number}", "/", "")
    assert len(app._hosts) == _MOST_HOSTS


def test_a_host_of_one_scheme_is_not_taken_for_another() -> None:
    app = Application(__name__)
    for scheme in ("http", "https", "http"):
        more = {"wsgi.url_scheme": scheme}
        assert bind(app, "localhost:443", "/", "", **more) == bind(Flask(__name__), "localhost:443", "/", "", **more)
