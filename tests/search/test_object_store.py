"""A store in an object store, which two services share: moto's server speaks S3 on this machine."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from search.opening import open_store
from search.settings import SearchSettings
from tests.object_store import running, serve_bucket
from tests.search.entries import DIMENSIONS, SPACE, make_entries, make_vectors

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("moto") is None, reason="moto is not installed; requirements-dev.txt has it"
)
BATCHES, BATCH = 3, 10
# What one service has stored, the other finds within this time.
VISIBLE_S = 1.0


def ask(url: str, method: str, path: str, body: object = None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The variables that name an object store with an empty bucket `signs`."""
    with serve_bucket("signs") as variables:
        yield variables


@pytest.fixture(scope="module")
def services(bucket, tiny_weights: Path, tmp_path_factory) -> Iterator[list[str]]:
    """Addresses of two services, each a process with a temporary folder of its own, as on two machines."""
    with ExitStack() as stack:
        folders = [str(tmp_path_factory.mktemp(name)) for name in ("first", "second")]
        processes = [
            stack.enter_context(
                running(["tests.search.service", "s3://signs/collections", str(tiny_weights)], TMPDIR=folder, **bucket)
            )
            for folder in folders
        ]
        yield [process.stdout.readline().strip() for process in processes]


def make_batch(name: str, number: int) -> list[dict]:
    vectors = np.random.default_rng(number).normal(size=(BATCH, 32)).round(4).tolist()
    return [{"id": f"{name}-{number}-{row}", "vector": vector, "gloss": name} for row, vector in enumerate(vectors)]


def finds(url: str, entry: dict) -> bool:
    asked = {"vector": entry["vector"], "k": 1, "filter": {"gloss": entry["gloss"]}}
    hits = ask(url, "POST", "/api/collections/words/search", asked)["hits"]
    return bool(hits) and hits[0]["id"] == entry["id"]


def is_visible(url: str, entry: dict) -> bool:
    """Whether a search that begins within VISIBLE_S finds an entry."""
    begun, never = time.monotonic(), threading.Event()
    while time.monotonic() < begun + VISIBLE_S:
        if finds(url, entry):
            return True
        never.wait(0.05)
    return False


def test_two_services_share_a_collection(services):
    made = [ask(url, "PUT", "/api/collections/words", {"description": "shared"}) for url in services]
    assert made[0]["space"] == made[1]["space"]
    unseen: list[str] = []

    def import_batches(name: str, own: str, other: str) -> None:
        for number in range(BATCHES):
            batch = make_batch(name, number)
            shared = [{**batch[0], "id": f"shared-{number}", "gloss": "SHARED"}]
            ask(own, "POST", "/api/collections/words/entries", {"entries": batch + shared})
            if not finds(own, batch[-1]):
                unseen.append(f"{batch[-1]['id']} in its own service")
            if not is_visible(other, batch[-1]):
                unseen.append(f"{batch[-1]['id']} in the other service")

    threads = [
        threading.Thread(target=import_batches, args=(name, *pair))
        for name, pair in (("A", services), ("B", services[::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unseen == []
    # Nothing is lost, and ids that both wrote are there once.
    for url in services:
        assert ask(url, "GET", "/api/collections/words")["entries"] == 2 * BATCHES * BATCH + BATCHES


def test_what_one_service_changes_or_deletes_is_so_in_the_other(services):
    first, second = services
    ask(first, "PUT", "/api/collections/words", {})
    [entry, other] = make_batch("C", 99)[:2]
    ask(first, "POST", "/api/collections/words/entries", {"entries": [entry, other]})
    assert finds(second, entry)
    place = f"/api/collections/words/entries/{entry['id']}"
    ask(second, "PATCH", place, {"gloss": "CHANGED"})
    assert ask(first, "GET", place)["gloss"] == "CHANGED"
    ask(first, "DELETE", place)
    assert not finds(second, {**entry, "gloss": "CHANGED"})
    ask(second, "DELETE", "/api/collections/words")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(first, "GET", "/api/collections/words")
    with refusal.value as answer:
        assert json.loads(answer.read())["code"] == "collection_unknown"


def test_a_store_in_an_object_store_is_looked_after_as_one_in_a_folder(bucket, monkeypatch, tmp_path):
    for name, value in bucket.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = open_store(SearchSettings(dir="s3://signs/own", maintain_s=0))
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    store.upsert("words", make_entries(make_vectors(20)))
    version = store.describe_collection("words").version
    store.upsert("words", make_entries(make_vectors(5, seed=1), prefix="later"))
    before = store.search("words", make_vectors(2, seed=2))
    store.maintain("words")
    assert store.search("words", make_vectors(2, seed=2)) == before
    store.restore("words", version)
    assert store.count("words") == 20
    store.write_attachment("words", "probe", b"kept")
    assert store.read_attachment("words", "probe") == b"kept"
    store.delete_collection("words")
    assert store.list_collections() == []
    store.close()
