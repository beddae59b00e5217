"""The playground's page and files: right types, kept for good, guarded by a policy, and nothing else of the disk."""

from __future__ import annotations

import gzip
import re
import shutil

import pytest
from pydantic import SecretStr

from app.routes import playground

# Of files that are in the repository: without the fetched ones the page works as well.
FILES = sorted(name for name in playground.list_files() if not name.startswith("vendor/"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the page's folder, without what `make playground` fetches."""
    copy = tmp_path / "playground"
    shutil.copytree(playground.FOLDER, copy, ignore=shutil.ignore_patterns("vendor*"))
    monkeypatch.setattr(playground, "FOLDER", copy)
    monkeypatch.setattr(playground, "VENDOR", copy / "vendor")
    monkeypatch.setattr(playground, "_MANIFEST", copy / "vendor" / "manifest.json")
    return copy


@pytest.fixture
def client(client):
    return Buffered(client)


class Buffered:
    """A client that reads answers whole, so that files are closed."""

    def __init__(self, client) -> None:
        self._client = client

    def get(self, path: str, **options):
        return self._client.get(path, buffered=True, **options)


def address(client, name: str) -> str:
    return f"/playground/{find_version(client)}/{name}"


def find_version(client) -> str:
    return re.search(r"playground/([0-9a-f]{12})/main\.js", client.get("/").text)[1]


def test_the_page_asks_at_once_for_what_it_begins_with(client):
    preloaded = re.findall(r'rel="modulepreload" href="playground/[0-9a-f]+/([^"]+)"', client.get("/").text)
    assert preloaded[0] == "main.js"
    assert {"dom.js", "strings.js", "pose/reader.js", "views/index.js"} < set(preloaded)
    # A view is loaded when it is opened, the worker by itself.
    assert not {"views/search.js", "estimation/worker.js"} & set(preloaded)
    assert set(preloaded) < set(FILES)


def test_texts_are_packed_for_those_who_accept_it(client, folder):
    packed = client.get(address(client, "main.js"), headers={"Accept-Encoding": "br, gzip"})
    whole = client.get(address(client, "main.js"))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in whole.headers
    assert gzip.decompress(packed.data) == whole.data == (folder / "main.js").read_bytes()
    for answer in (packed, whole):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.mimetype == "text/javascript"
        assert "immutable" in answer.headers["Cache-Control"]
    (folder / "main.js").write_text("// another version")
    again = client.get(address(client, "main.js"), headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(again.data) == b"// another version"
    binary = client.get(address(client, "pose/holistic_header.bin"), headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in binary.headers


def test_the_page_is_at_the_root_and_links_files_that_exist(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    links = re.findall(r'(?:href|src)="(playground/[^"]+)"', page.text)
    assert len(links) >= 4
    assert all(client.get(f"/{link}").status_code == 200 for link in links)
    # Below the prefix of a proxy, only relative addresses lead back to the service.
    assert not re.search(r'(?:href|src)="(?:/|https?:)', page.text)
    assert "{" not in page.text


@pytest.mark.parametrize("name", FILES)
def test_files_come_as_what_they_are_and_are_kept_for_good(client, name):
    answer = client.get(address(client, name))
    assert answer.data == (playground.FOLDER / name).read_bytes()
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "bin": "application/octet-stream"}
    assert answer.mimetype == kind[name.rpartition(".")[2]]
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_is_asked_for_anew_and_sent_once(client):
    first = client.get("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_only_the_playground_may_run_scripts_of_its_own(client):
    for path in ("/", address(client, "main.js"), address(client, "estimation/worker.js")):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert "http" not in policy
        assert "camera=(self)" in client.get(path).headers["Permissions-Policy"]
    for path in ("/healthz", "/docs", "/samples"):
        assert "wasm-unsafe-eval" not in client.get(path).headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "copy_vendor.mjs",
        "index.html",
        "views",
        "views/",
        "../__init__.py",
        "views/../main.js",
        "..%2f..%2fwsgi.py",
        "%2e%2e/routes/playground.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "main.js%00.css",
        "..\\main.js",
        "vendor/../../routes/playground.py",
    ],
)
def test_nothing_else_of_the_disk_is_answered(client, name):
    answer = client.get(address(client, name), follow_redirects=True)
    assert answer.status_code == 404
    assert answer.json["code"] == "route_unknown"


def test_a_file_of_another_version_is_not_mixed_with_this_one(client, folder):
    before = address(client, "main.js")
    assert client.get(before).status_code == 200
    (folder / "views" / "views.css").write_text("/* changed */")
    assert client.get(before).status_code == 404
    assert client.get(address(client, "main.js")).status_code == 200
    assert address(client, "main.js") != before


def test_the_page_knows_whether_the_estimator_was_fetched(client, folder):
    assert 'data-estimator="missing"' in client.get("/").text
    before = find_version(client)
    (folder / "vendor" / "holistic").mkdir(parents=True)
    (folder / "vendor" / "holistic" / "pose_landmark_full.tflite").write_bytes(b"half a file")
    assert 'data-estimator="missing"' in client.get("/").text
    (folder / "vendor" / "holistic" / "holistic.binarypb").write_bytes(b"graph")
    (folder / "vendor" / "manifest.json").write_text("{}")
    assert 'data-estimator="installed"' in client.get("/").text
    assert find_version(client) != before
    answer = client.get(address(client, "vendor/holistic/holistic.binarypb"))
    assert (answer.data, answer.mimetype) == (b"graph", "application/octet-stream")


def test_large_files_come_in_ranges(client, folder):
    (folder / "vendor").mkdir()
    (folder / "vendor" / "model.tflite").write_bytes(bytes(range(100)))
    answer = client.get(address(client, "vendor/model.tflite"), headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.data) == (206, bytes(range(10, 20)))


def test_the_page_needs_no_key_and_says_whether_the_service_does(client, make_client):
    assert 'data-keys="none"' in client.get("/").text
    locked = Buffered(make_client(api_keys=(SecretStr("a-long-key"),)))
    page = locked.get("/")
    assert page.status_code == 200
    assert 'data-keys="needed"' in page.text
    assert locked.get(address(locked, "main.js")).status_code == 200
