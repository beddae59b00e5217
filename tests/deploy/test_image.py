"""Steps of the Dockerfile, run here without a container: what is installed, and the check of the container's health."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes.packages import IMAGE_EXTRAS
from tests.deploy.programs import needs
from tests.running import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture
def pip_calls(tmp_path: Path) -> Path:
    """A pip that writes down its arguments, and refuses a file that is not there as pip does."""
    program = tmp_path / "pip"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ -f "$5" ]\n')
    program.chmod(0o755)
    return tmp_path / "calls"


def _install_extras(pip_calls: Path, extras: str) -> int:
    (step,) = re.findall(r"^RUN (for extra in .*?done)$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    environment = {"PATH": f"{pip_calls.parent}:/usr/bin:/bin", "EXTRAS": extras}
    return subprocess.run(["/bin/sh", "-c", step], cwd=ROOT, env=environment).returncode


def test_an_image_has_the_extras_that_its_build_names(pip_calls):
    assert _install_extras(pip_calls, "") == 0
    assert not pip_calls.exists()
    assert _install_extras(pip_calls, " ".join(IMAGE_EXTRAS)) == 0
    named = re.findall(r"--requirement (\S+) --constraint constraints.txt$", pip_calls.read_text(), re.MULTILINE)
    assert named == [f"requirements-{extra}.txt" for extra in IMAGE_EXTRAS]
    assert _install_extras(pip_calls, "ray-tracing postgres") != 0


def test_every_extra_that_the_rooms_of_the_image_ask_for_can_be_built_in():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = [ROOT / name for name in kept if (ROOT / name / "__init__.py").is_file()]
    text = "".join(file.read_text(encoding="utf-8") for room in rooms for file in room.rglob("*.py"))
    asked = set(re.findall(r"explain_missing\([^)]*\"(requirements-\w+\.txt)\"", text))
    assert asked == {f"requirements-{extra}.txt" for extra in IMAGE_EXTRAS}
    assert asked <= kept
    assert all(name in DOCKERFILE for name in asked)


class _Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Port of a service that listens at every address of IPv6 and IPv4."""
    try:
        server = _Server(("::", 0), _Service)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("host", [None, "0.0.0.0", "127.0.0.1", "::", "[::]", "[::1]"])
def test_the_check_of_health_reaches_every_address_that_the_service_takes(host, port):
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found is not None
    environment = {**os.environ, "SIGNCLIP_PORT": str(port)} | ({} if host is None else {"SIGNCLIP_HOST": host})
    done = subprocess.run(json.loads(found[1]), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class _Routes(http.server.BaseHTTPRequestHandler):
    """Answers every route as the service does when all is well, apart from one that ends as `lacking`."""

    lacking = "none"
    asked: list[str] = []

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(503 if self.path.endswith(self.lacking) else 200)
        self.end_headers()
        self.wfile.write(b"<link href=playground/0123456789ab/main.js> No module named sklearn")

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def _check_image(routes: type[_Routes]) -> subprocess.CompletedProcess[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), routes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [str(ROOT / "checks" / "image.sh"), f"http://127.0.0.1:{server.server_port}"]
        done = subprocess.run(command, capture_output=True, text=True)
        server.shutdown()
    return done


def test_the_check_of_an_image_names_what_its_service_cannot_do():
    needs("curl")
    good = type("Good", (_Routes,), {"asked": []})
    done = _check_image(good)
    assert done.returncode == 0, done.stderr
    assert "GET /playground/0123456789ab/vendor/manifest.json" in good.asked
    bad = type("Bad", (_Routes,), {"asked": [], "lacking": "/fit"})
    done = _check_image(bad)
    assert done.returncode == 1
    assert "fit a probe: answered 503" in done.stderr
    assert "sklearn" in done.stderr
    for asked in (good.asked, bad.asked):
        assert asked[-1] == "DELETE /api/collections/image-check"


def test_the_checks_of_a_change_ask_the_image():
    workflow = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    for script in re.findall(r"\b(checks/\w+\.sh)", workflow):
        assert os.access(ROOT / script, os.X_OK)
    assert "checks/image.sh http://localhost:3030" in workflow
