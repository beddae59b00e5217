"""Google Drive and the hub as one local server, to which gdown and the hub's client talk as to the real ones."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import huggingface_hub.constants
import pytest
import requests

# Drive's ids have 33 characters; gdown takes shorter ones for none.
FILE_ID, FOLDER_ID, RUN_FOLDER_ID, OTHER_ID = "f" * 33, "d" * 33, "r" * 33, "o" * 33
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# What Drive says, in the layout that gdown looks for, when too many have fetched a file.
QUOTA_PAGE = b'<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file.</p></html>'


@dataclass
class Origins:
    """What the stand-ins hold, how they misbehave, and what was asked of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, tuple[str, list[tuple[str, str]]]] = field(default_factory=dict)
    repository: dict[str, bytes] = field(default_factory=dict)
    repository_id: str = "bert-small"
    cut_after: int | None = None
    page: bytes | None = None
    as_attachment: bool = True
    refused: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def drive_requests(self) -> list[str]:
        return [line for line in self.requests if "/uc?" in line]


class _Handler(BaseHTTPRequestHandler):
    origins: Origins
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        origins, address = self.origins, urlsplit(self.path)
        asked = self.headers.get("Range")
        origins.requests.append(f"{self.command} {self.path}" + (f" {asked}" if asked else ""))
        identifier = parse_qs(address.query).get("id", [""])[0]
        if address.path.rsplit("/", 1)[-1] in origins.refused or identifier in origins.refused:
            self._send(403, b"refused")
        elif address.path == "/uc" and origins.page is not None:
            self._send(200, origins.page, {"Content-Type": "text/html", **self._attachment()})
        elif address.path == "/uc" and identifier in origins.files:
            self._send_file(origins.files[identifier], asked)
        elif address.path == "/embeddedfolderview" and identifier in origins.folders:
            self._send(200, _listing(*origins.folders[identifier]))
        elif address.path == f"/api/models/{origins.repository_id}":
            siblings = [{"rfilename": name} for name in origins.repository]
            content = {"id": origins.repository_id, "sha": COMMIT, "siblings": siblings}
            self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})
        elif address.path.startswith(f"/{origins.repository_id}/resolve/{COMMIT}/"):
            file = origins.repository[address.path.rsplit("/", 1)[-1]]
            self._send(200, file, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(file).hexdigest()}"'})
        else:
            self._send(404, b"nothing here")

    do_HEAD = do_GET  # noqa: N815 (the base class's spelling)

    def _attachment(self) -> dict[str, str]:
        return (
            {"Content-Disposition": 'attachment; filename="checkpoint_best.pt"'} if self.origins.as_attachment else {}
        )

    def _send_file(self, content: bytes, asked: str | None) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
            "Last-Modified": "Wed, 07 Aug 2024 10:00:00 GMT",
            **self._attachment(),
        }
        if asked is None:
            return self._send(200, content, headers, cut_after=self.origins.cut_after)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._send(206, content[start:], headers)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, *, cut_after: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:cut_after])
        if cut_after is not None:
            self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # gdown closes a whole transfer when it only wants the rest

    def log_message(self, format: str, *arguments: object) -> None: ...


def _listing(title: str, entries: list[tuple[str, str]]) -> bytes:
    """A folder's page; the entries that are folders end in a slash."""
    links = [
        f'<a href="https://drive.google.com/drive/folders/{identifier}">{name[:-1]}</a>'
        if name.endswith("/")
        else f'<a href="https://drive.google.com/file/d/{identifier}/view">{name}</a>'
        for identifier, name in entries
    ]
    return f"<html><title>{title}</title>{''.join(links)}</html>".encode()


@contextmanager
def serve(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Origins]:
    """Start the server, and send what is meant for Drive and the hub there."""
    origins = Origins()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"origins": origins}))
    origins.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    send = requests.adapters.HTTPAdapter.send

    def send_here(self: object, request: requests.PreparedRequest, **options: object) -> requests.Response:
        request.url = re.sub(r"^https://[a-z.]*google\.com", origins.url, request.url or "")
        return send(self, request, **options)  # type: ignore[arg-type]

    patch.setattr(requests.adapters.HTTPAdapter, "send", send_here)
    patch.setattr(sys.modules["gdown.download"], "DEFAULT_COOKIES_FILE", str(tmp_path / "cookies.txt"))
    patch.setattr("models.download.RETRIES", 0)
    constants = huggingface_hub.constants
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "ENDPOINT", origins.url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", origins.url + "/{repo_id}/resolve/{revision}/{filename}")
    try:
        yield origins
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        huggingface_hub.close_session()
