"""A service with the tests' small model that sends traces, and the collector that takes them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import Service, running, tiny_settings


class Collector(http.server.BaseHTTPRequestHandler):
    bodies: list[bytes] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_traced(folder: Path, weights: Path) -> Iterator[Service]:
    """Run the service until the block ends; it logs all that it can."""
    Collector.bodies = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        settings = tiny_settings(weights) | {
            "SIGNCLIP_SEARCH_DIR": str(folder / "search"),  # what is stored there is stored on purpose
            "SIGNCLIP_LOG_LEVEL": "DEBUG",
            "SIGNCLIP_TRACES": f"http://127.0.0.1:{collector.server_port}/v1/traces",
        }
        with running(folder, settings) as service:
            service.wait_until_ready()
            yield service
        collector.shutdown()
