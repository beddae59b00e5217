"""The example client against a real server on a free port of this machine."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import zstandard

import client_example
from client_example import SignClip, SignClipError, find_sign, main, teach
from tests.running import serving_in_thread

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "tests" / "golden" / "poses" / "ase_A.pose"


@pytest.fixture(scope="module")
def url(tiny_weights, tmp_path_factory) -> Iterator[str]:
    """A service with the tiny model."""
    from app import create_app
    from app.settings import ServiceSettings
    from engine.local import LocalEngine
    from engine.settings import EngineSettings
    from search.settings import SearchSettings

    settings = EngineSettings(weights_dir=tiny_weights, default_model="tiny", device="cpu", backend="torch", threads=1)
    engine = LocalEngine(settings)
    store = SearchSettings(dir=str(tmp_path_factory.mktemp("store")), maintain_s=0)
    service = create_app(ServiceSettings(engine=settings, search=store), engine)
    with serving_in_thread(service) as address:
        yield address
    engine.close()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Seconds the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(client_example.time, "sleep", slept.append)
    return slept


@pytest.fixture
def scripted() -> Iterator[tuple[str, list]]:
    """A server that gives the answers of a list, (status, headers, body), one after the other."""
    answers: list[tuple[int, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = answers.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def client(url: str, **options) -> SignClip:
    made = SignClip(url, **options)
    made.session.headers["Connection"] = "close"  # no socket outlives its test
    return made


def test_vectors_are_of_unit_length_and_exact(url):
    sender = client(url)
    texts = sender.embed_text(["house", "sun"])
    assert (texts.shape, texts.dtype) == ((2, 32), np.float32)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    poses = sender.embed_pose([CLIP, CLIP.read_bytes(), str(CLIP)])
    assert poses.shape == (3, 32)
    scores = sender.similarity(texts=["house", "sun"], poses=[CLIP])
    np.testing.assert_allclose(scores.cosine, poses[:1] @ texts.T, atol=1e-5)
    assert scores.probabilities.shape == (1, 2)
    assert scores.model_name == "tiny"


def test_scores_of_items_that_are_left_out_are_nan(url):
    scores = client(url).similarity(texts=["house", "sun"], poses=[b"nonsense", CLIP], on_error="skip")
    for matrix in (scores.cosine, scores.dot, scores.probabilities):
        np.testing.assert_array_equal(np.isnan(matrix), [[True, True], [False, False]])
    alike = client(url).similarity(poses=[CLIP, b"nonsense"], on_error="skip").cosine
    np.testing.assert_array_equal(np.isnan(alike), [[False, True], [True, True]])


def test_one_item_is_no_list_of_its_letters(url):
    sender = client(url)
    one = sender.embed_text(["house"])
    np.testing.assert_array_equal(sender.embed_text("house", encoding_format="float"), one)
    pose = sender.embed_pose([CLIP])
    for given in (CLIP, str(CLIP), CLIP.read_bytes()):
        np.testing.assert_array_equal(sender.embed_pose(given), pose)
    assert sender.similarity(texts="house", poses=CLIP).cosine.shape == (1, 1)


def test_options_go_along(url):
    sender = client(url, model="tiny")
    plain = sender.embed_text(["<en> <ase> house"], normalize=False)
    np.testing.assert_allclose(sender.embed_text(["house"], sign_language="asl", normalize=False), plain, rtol=1e-4)
    assert np.isnan(sender.embed_pose([b"no pose"], on_error="skip")).all()


def test_a_refusal_tells_all_it_knows(url):
    with pytest.raises(SignClipError, match=r"422 .*pose_.*\n  /pose/0: ") as caught:
        client(url).embed_pose([b"no pose"])
    assert caught.value.status == 422
    assert caught.value.problem["request_id"] in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [({"Retry-After": "3"}, 3, 4.5), ({"Retry-After": "900"}, 30, 45), ({"Retry-After": "Wed, 21 Oct"}, 1, 1.5)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(scripted, waits, status, headers, least, most):
    url, answers = scripted
    good = json.dumps({"embeddings": [], "cosine": [[1]], "dot": [[2]], "model_name": "m"}).encode()
    answers += [(status, headers, b"{}"), (status, headers, b"{}"), (200, {}, good)]
    assert client(url).similarity(texts=["a"]).dot == [[2]]
    assert len(waits) == 2
    assert all(least <= wait <= most for wait in waits)


def test_patience_ends(scripted, waits):
    url, answers = scripted
    answers += [(429, {"Retry-After": "1"}, b'{"detail": "queue full", "title": "t", "code": "queue_full"}')] * 3
    with pytest.raises(SignClipError, match="queue full"):
        client(url, tries=3).embed_text(["a"])
    assert (len(waits), answers) == (2, [])


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(503, {}, b'{"detail": "no weights"}'), (500, {"Retry-After": "1"}, b"<html>"), (404, {}, b"[]")],
)
def test_what_waiting_does_not_help_is_not_repeated(scripted, waits, status, headers, body):
    url, answers = scripted
    answers.append((status, headers, body))
    with pytest.raises(SignClipError, match=str(status)):
        client(url).embed_text(["a"])
    assert waits == []


def test_the_command_line_prints_clips_against_texts(url, capsys):
    assert main(["--url", url, "--text", "house", "--text", "sun", str(CLIP)]) == 0
    output = capsys.readouterr().out
    assert output.count("ase_A") == 3
    for title in ("model: tiny", "cosine similarity", "dot product", "probability"):
        assert title in output


def test_the_command_line_needs_no_arguments(url, capsys, monkeypatch):
    monkeypatch.setattr(client_example, "DEFAULT_URL", url.removeprefix("http://"))
    assert main([]) == 0
    output = capsys.readouterr().out
    assert output.count("<en> <ase> house") == 4
    assert "1.0000" in output


def test_the_command_line_cuts_and_passes_on_what_the_service_remarks(url, capsys):
    assert main(["--url", url, "--text", "house " * 100]) == 1
    assert "truncate" in capsys.readouterr().err
    assert main(["--url", url, "--truncate", "--text", "house " * 100, "--text", "\U0001f3e0"]) == 0
    warned = capsys.readouterr().err
    assert "warning: /text/0: 100 word pieces" in warned
    assert "warning: /text/1: all 1 word pieces are unknown" in warned


@pytest.mark.parametrize(
    ("arguments", "fragment"), [(["missing.pose"], "missing.pose cannot be read"), (["--model", "nothing"], "404")]
)
def test_the_command_line_says_what_is_wrong(url, capsys, arguments, fragment):
    assert main(["--url", url, *arguments]) == 1
    assert fragment in capsys.readouterr().err


def test_a_server_that_is_not_there(capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["--url", f"http://127.0.0.1:{port}"]) == 1
    error = capsys.readouterr().err
    assert f"no answer from http://127.0.0.1:{port} (ConnectionError)\n" in error
    assert "HTTPConnectionPool" not in error
    assert "make serve" in error
    assert "Traceback" not in error


def test_it_stands_alone():
    """Users copy the file: only requests, numpy and the standard library."""
    tree = ast.parse((ROOT / "client_example.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in imported}
    assert roots - set(sys.stdlib_module_names) == {"requests", "numpy"}


def test_what_is_no_pose_is_sent_as_a_video(tmp_path, monkeypatch, capsys):
    sent = {}

    def ask(self, path, body, **options):
        sent.update(body)
        return {"cosine": [[1.0], [0.5]], "dot": [[2.0], [1.0]], "model_name": "tiny"}

    monkeypatch.setattr(SignClip, "ask", ask)
    for name in ("tree.MP4", "house.pose"):
        (tmp_path / name).write_bytes(name.encode())
    assert main([str(tmp_path / "tree.MP4"), str(tmp_path / "house.pose"), "--text", "house"]) == 0
    assert base64.b64decode(sent["pose"][0]) == b"house.pose"
    assert base64.b64decode(sent["video"][0]) == b"tree.MP4"
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(("house", "tree"))]
    assert rows[:2] == ["house", "tree"]


@pytest.mark.parametrize("name", ["house.pose.zst", "house.POSE.GZ", "my.house.pose.gz"])
def test_a_packed_pose_is_sent_as_a_pose(name, tmp_path, monkeypatch, capsys):
    sent = {}

    def ask(self, path, body, **options):
        sent.update(body)
        return {"cosine": [[1.0]], "dot": [[2.0]], "model_name": "tiny"}

    monkeypatch.setattr(SignClip, "ask", ask)
    (tmp_path / name).write_bytes(b"packed")
    assert main([str(tmp_path / name), "--text", "sun"]) == 0
    assert (list(sent), base64.b64decode(sent["pose"][0])) == (["text", "pose"], b"packed")
    assert any(line.startswith(name.lower().split(".pose")[0]) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_packed_pose_gives_the_same_scores(url, pack, tmp_path):
    client = SignClip(url)
    np.testing.assert_array_equal(client.embed_pose(pack(CLIP.read_bytes())), client.embed_pose(CLIP))


def test_signs_are_found_and_taught(url):
    own = client(url)
    letters = {name: CLIP.with_name(f"{name}.pose") for name in ("ase_A", "gsg_C")}
    hits = find_sign(own, list(letters.values()), letters["gsg_C"])
    assert [hit["id"] for hit in hits] == ["gsg_C.pose", "ase_A.pose"]
    found = teach(own, {"A": [letters["ase_A"]], "C": [letters["gsg_C"]]}, letters["ase_A"])
    assert (found["label"], found["rejected"]) == ("A", False)


def test_clips_of_two_signs_may_have_one_name(url, tmp_path):
    own = client(url)
    lessons = {}
    for sign, name in (("A", "ase_A"), ("C", "gsg_C")):
        clip = tmp_path / sign / "1.pose"
        clip.parent.mkdir()
        clip.write_bytes(CLIP.with_name(f"{name}.pose").read_bytes())
        lessons[sign] = [clip]
    for sign, (clip,) in lessons.items():
        assert teach(own, lessons, clip, collection="named-alike")["label"] == sign
