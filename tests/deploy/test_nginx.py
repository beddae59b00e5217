"""The shipped configuration of nginx, run before a stand-in of the service."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from app.intake.entries import MAX_IMPORT_BYTES
from tests.deploy.programs import needs
from tests.engine.fakes import until
from tests.running import ROOT, free_port

DEPLOY = ROOT / "deploy"


# What the stand-in reads of a body, before it answers.
_READ_BYTES = 5


class _Upstream(http.server.BaseHTTPRequestHandler):
    """Says what reached it, and when it had the whole body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        started = time.monotonic()
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(min(length, _READ_BYTES))
        if length > _READ_BYTES:
            self.close_connection = True
        self._answer({"bytes": len(body), "reading_s": time.monotonic() - started})

    def do_GET(self) -> None:
        self._answer({"path": self.path})

    def _answer(self, facts: dict[str, Any]) -> None:
        body = json.dumps({**facts, "headers": {name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", params=["signclip.conf", "compose.conf"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The shipped configuration of nginx with the ports and folders of a test; its ports for http and https."""
    nginx, openssl = needs("nginx"), needs("openssl")
    folder = tmp_path_factory.mktemp("nginx")
    plain, secure = free_port(), free_port()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        request_text = "req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout privkey.pem -out fullchain.pem"
        subprocess.run([openssl, *request_text.split()], cwd=folder, check=True, capture_output=True)
        text = (DEPLOY / "nginx" / request.param).read_text()
        for old, new in (
            ("127.0.0.1:3030", f"127.0.0.1:{upstream.server_port}"),
            ("signclip:3030", f"127.0.0.1:{upstream.server_port}"),
            ("/etc/ssl/signclip", str(folder)),
            ("/run/signclip-nginx", str(folder / "bodies")),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ", f"listen 127.0.0.1:{secure} "),
        ):
            text = text.replace(old, new)
        text = re.sub(r"\n *listen \[::\][^;]*;", "", text)
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\nproxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n"
            f"uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{text}\n}}\n"
        )
        command = [nginx, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
        assert tested.returncode == 0, tested.stderr
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:

            def listens() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", secure)) == 0

            until(listens)
            yield plain, secure
            process.terminate()
        upstream.shutdown()


def ask(port: int, method: str, path: str, *, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Ask the proxy by TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        connection.request(method, path, headers=headers or {})
        with connection.getresponse() as answer:
            body = answer.read()
            found = json.loads(body) if answer.headers.get_content_type() != "text/html" and body else {}
            return answer.status, {**found, "answer": dict(answer.headers)}
    finally:
        connection.close()


def test_nginx_says_who_the_client_is_and_believes_nobody(proxy: tuple[int, int]) -> None:
    status, found = ask(proxy[1], "GET", "/healthz", headers={"X-Forwarded-For": "6.6.6.6", "X-Request-ID": "abc"})
    assert status == 200
    assert found["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert found["headers"]["x-forwarded-proto"] == "https"
    assert found["headers"]["x-request-id"] == "abc"
    assert "max-age" in found["answer"]["Strict-Transport-Security"]


def test_nginx_keeps_counters_and_plain_http_from_strangers(proxy: tuple[int, int]) -> None:
    assert ask(proxy[1], "GET", "/metrics")[0] == 404
    connection = http.client.HTTPConnection("127.0.0.1", proxy[0], timeout=30)
    connection.request("GET", "/docs")
    with connection.getresponse() as answer:
        assert (answer.status, answer.headers["Location"].startswith("https://")) == (308, True)
        answer.read()
    connection.close()


def test_nginx_waits_for_slow_bodies_itself(proxy: tuple[int, int]) -> None:
    status, facts = trickle(proxy[1], "/api/embed/text", length=5)
    assert (status, facts["bytes"]) == (200, 5)
    assert facts["reading_s"] < 0.2  # the service had it at once


@pytest.mark.parametrize("path", ["/api/collections/signs/entries:import", "/api/collections/signs/entries"])
def test_nginx_hands_entries_on_as_they_arrive(proxy: tuple[int, int], path: str) -> None:
    # The stand-in answers after five bytes, long before nginx could have the whole body.
    status, facts = trickle(proxy[1], path, length=MAX_IMPORT_BYTES)
    assert (status, facts["bytes"]) == (200, 5)
    assert facts["reading_s"] > 0.2
    assert facts["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert facts["headers"]["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("path", ["/api/collections/signs/search", "/api/embed/video", "/api/collections/a/b/entries"])
def test_nginx_refuses_at_once_what_other_routes_do_not_take(proxy: tuple[int, int], path: str) -> None:
    assert trickle(proxy[1], path, length=MAX_IMPORT_BYTES)[0] == 413


def trickle(port: int, path: str, *, length: int) -> tuple[int, Any]:
    """Begin a body of `length` bytes by five that come slowly; returns the status, and the stand-in's facts."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain) as client,
        suppress(ConnectionError, ssl.SSLError),
    ):
        client.sendall(head.encode())
        for byte in b"house":
            client.sendall(bytes([byte]))
            threading.Event().wait(0.1)
        while b"</html>" not in answer and (piece := client.recv(65536)):
            answer += piece
    text, _, body = answer.partition(b"\r\n\r\n")
    return int(text.split()[1]), json.loads(body) if body.startswith(b"{") else {}
