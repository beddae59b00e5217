"""The page's command lines do what they say."""

from __future__ import annotations

import base64
import io
import json
import shlex
import subprocess
from itertools import pairwise

import pytest

from app.reference.page import BASE_URL, _write_curl, lay_out_sections


@pytest.fixture
def found(client):
    return {section.path: section for section in lay_out_sections(client.get("/openapi.json").json)}


def test_every_route_has_a_command_line(found):
    for section in found.values():
        assert f"{BASE_URL}{section.path}" in section.curl


@pytest.mark.parametrize("path", ["/api/embed/text", "/v1/embeddings"])
def test_the_body_of_a_command_line_is_accepted(client, found, path):
    words = shlex.split(found[path].curl)
    assert client.post(path, data=words[words.index("-d") + 1], content_type="application/json").status_code == 200


@pytest.mark.parametrize("path", ["/api/similarity", "/api/embed/pose"])
def test_the_form_of_a_command_line_is_accepted(client, found, path, pose_bytes):
    words = shlex.split(found[path].curl)
    fields = [word.split("=", 1) for before, word in pairwise(words) if before == "-F"]
    form = {"pose": [(io.BytesIO(pose_bytes), "clip.pose")]}
    for key, value in fields:
        if key != "pose":
            form.setdefault(key, []).append(value)
    answer = client.post(path, data=form)
    assert answer.status_code == 200, answer.text
    if path == "/api/similarity":
        assert len(answer.json["probabilities"][0]) == len(form["text"]) == 2


def test_a_clip_that_no_form_takes_goes_through_a_pipe(tmp_path, golden_poses):
    """As an argument, the base64 of a clip would be longer than a kernel takes."""
    (tmp_path / "clip.pose").write_bytes(golden_poses["ase_A"])
    writer, _, curl = _write_curl("/api/any", {"text": ["A"], "pose": "<base64>"}, clips="").partition(" | curl ")
    assert curl.endswith("-d @-")
    body = json.loads(subprocess.run(["bash", "-c", writer], cwd=tmp_path, capture_output=True, check=True).stdout)
    assert base64.b64decode(body["pose"][0]) == golden_poses["ase_A"]
    assert body["text"] == ["A"]


def test_keys_that_are_needed_come_first(found):
    rows = found["/api/embed/pose"].rows
    assert (rows[0].name, rows[0].needed, rows[0].kind) == ("pose", True, "string | string[]")
    assert not any(row.needed for row in rows[1:])
    kinds = {row.name: row.kind for row in rows}
    assert kinds["flip"] == '"never" | "auto" | "always"'
    assert kinds["person"] == "integer"
