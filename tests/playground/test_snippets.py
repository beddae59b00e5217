"""What a person copies beside a result does what the page did, in each of the three languages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.playground.javascript import NODE, needs_node, run_javascript

SAMPLE = Path(__file__).parents[2] / "samples" / "ase_A.pose"
CURL = shutil.which("curl")
# Of the file that the snippets read.
CLIP = "A_ase.pose"
HARD_TEXTS = ["A", "it's", '"quoted" \\ $HOME `id`', "@file", "<file", "ü;x=1", "two  spaces", "手", "a=b&c"]

pytestmark = [needs_node, pytest.mark.skipif(CURL is None, reason="curl is not installed")]

WRITE = """
const { formRequest, rawRequest, jsonRequest, send } = await load("requests.js");
const { writeSnippet } = await load("snippets.js");
const [base, path, texts, needsKey] = [asked[0], asked[1], JSON.parse(asked[2]), asked[3] === "key"];
const clip = { name: "A (ase)", pose: await readBytes(path), extractor: asked[4] ?? "file" };
const languages = { sign_language: "ase", spoken_language: "en" };
const requests = {
  similarity: formRequest("/api/similarity", clip, { text: texts, ...languages, person: null }),
  clip: formRequest("/api/embed/pose", clip),
  spot: rawRequest("/api/spot", clip, { query: JSON.stringify(texts), ...languages, threshold: 0.3 }),
  texts: jsonRequest("/api/embed/text", { text: texts, ...languages, normalize: false, model_name: null }),
  collection: jsonRequest("/api/collections/copied", { description: "it's mine" }, "PUT"),
};
const call = async (path, { method, json, form, body }) => {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = json === undefined ? (form ?? body) : JSON.stringify(json);
  return (await fetch(base + path, { method, headers, body: sent })).json();
};
answer = {};
for (const [name, request] of Object.entries(requests)) {
  const found = needsKey ? null : await send({ call }, request);
  answer[name] = { snippet: writeSnippet(request, { base, needsKey }), found };
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SAMPLE, tmp_path / CLIP)
    return tmp_path


def run(folder: Path, language: str, snippet: str) -> str:
    """Run a snippet as somebody does who has saved the clip beside it; gives what it printed."""
    assert NODE is not None
    endings = {"curl": "sh", "python": "py", "javascript": "mjs"}
    file = folder / f"snippet.{endings[language]}"
    file.write_text(snippet, encoding="utf-8")
    program = {"curl": "sh", "python": sys.executable, "javascript": NODE}[language]
    environment = {**os.environ, "SIGNCLIP_API_KEY": "a-long-key"}
    ran = subprocess.run(
        [program, *(["--no-warnings"] if program == NODE else []), file.name],
        cwd=folder, env=environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


def test_each_snippet_is_answered_as_the_page_was(folder: Path, service: str):
    written = run_javascript(folder, WRITE, service, folder / CLIP, json.dumps(HARD_TEXTS), "open")
    assert len(written) == 5
    for name, case in written.items():
        assert "code" not in case["found"], (name, case["found"])
        for language, snippet in case["snippet"].items():
            found = json.loads(run(folder, language, snippet))
            assert found == case["found"], (name, language, snippet)
    assert len(written["similarity"]["found"]["probabilities"][0]) == len(HARD_TEXTS)
    prompts = written["similarity"]["found"]["prompts"]
    assert prompts[1] == "<en> <ase> it's"
    assert written["spot"]["found"]["threshold"] == 0.3


def test_what_estimated_a_pose_is_named(folder: Path, service: str):
    written = run_javascript(folder, WRITE, service, folder / CLIP, '["A"]', "open", "browser")
    for name in ("similarity", "clip", "spot"):
        (warning,) = [text for text in written[name]["found"]["warnings"] if "mediapipe" in text]
        for language, snippet in written[name]["snippet"].items():
            assert warning in json.loads(run(folder, language, snippet))["warnings"]


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that writes down what it is asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append({"method": self.command, "path": self.path, "body": body, **dict(self.headers)})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_key_comes_from_the_environment_and_is_never_shown(folder: Path, recorder):
    address, asked = recorder
    written = run_javascript(folder, WRITE, address, folder / CLIP, '["A"]', "key")
    for case in written.values():
        for language, snippet in case["snippet"].items():
            assert "a-long-key" not in snippet
            run(folder, language, snippet)
    assert len(asked) == 15
    assert {request["Authorization"] for request in asked} == {"Bearer a-long-key"}
    raw = [request for request in asked if request["path"].startswith("/api/spot")]
    assert {request["Content-Type"] for request in raw} == {"application/octet-stream"}
    assert {request["body"] for request in raw} == {SAMPLE.read_bytes()}
