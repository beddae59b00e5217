"""Collections as Parquet files over HTTP: out and in again, and what is no such file."""

from __future__ import annotations

import base64
import gzip
import io
import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from app.services import EXTENSION
from app.telemetry import get_record
from tests.app.routes.test_collection_routes import ENTRIES, LINES, WORDS, make_vector, read_lines, refused

PARQUET = "application/vnd.apache.parquet"
IMPORT, EXPORT = f"{ENTRIES}:import", f"{ENTRIES}:export"
_TIME = pa.timestamp("us", tz="UTC")


@pytest.fixture
def words(client, pose_base64):
    client.put(WORDS, json={})
    entries = [{"id": f"v{n}", "vector": make_vector(n), "gloss": f"G{n % 2}", "tags": {"n": n}} for n in range(5)]
    entries += [{"id": "p", "pose": pose_base64, "texts": ["a", "b"], "sign_language": "ase"}]
    assert client.post(ENTRIES, json={"entries": entries}).json["stored"] == 6
    return client


def write(columns: dict[str, object] | pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), file)
    return file.getvalue()


def show_all(client, collection: str, ids) -> list[dict]:
    shown = [client.get(f"/api/collections/{collection}/entries/{entry_id}").json for entry_id in ids]
    return [{key: value for key, value in entry.items() if key not in ("created", "preview")} for entry in shown]


def test_an_export_is_imported_as_it_is(words):
    answer = words.get(EXPORT)
    assert (answer.status_code, answer.mimetype) == (200, PARQUET)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="words.parquet"'
    table = pq.read_table(io.BytesIO(answer.data))
    assert table.num_rows == 6
    assert "labels" not in table.schema.names
    words.put("/api/collections/copy", json={})
    stored = words.post("/api/collections/copy/entries:import", data=answer.data, content_type=PARQUET)
    assert stored.json == {"stored": 6, "space": words.get(WORDS).json["space"]}
    ids = [*(f"v{n}" for n in range(5)), "p"]
    assert show_all(words, "copy", ids) == show_all(words, "words", ids)
    assert words.get("/api/collections/copy/entries/p").json["preview"] == "/api/collections/copy/entries/p/preview.svg"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_poses_of_an_export_are_packed_with_zstd_however_they_came(words, pose_bytes, pack):
    entry = {"id": "packed", "pose": base64.b64encode(pack(pose_bytes)).decode()}
    assert words.post(ENTRIES, json={"entries": [entry]}).json["stored"] == 1
    answer = words.get(EXPORT, query_string={"filter": json.dumps({"id": "packed"})})
    [kept] = pq.read_table(io.BytesIO(answer.data)).column("pose").to_pylist()
    assert zstandard.decompress(kept) == pose_bytes


def test_an_export_may_be_a_part_and_an_earlier_version(words):
    version = words.get(WORDS).json["version"]
    words.delete(f"{ENTRIES}/v0")
    part = words.get(EXPORT, query_string={"filter": json.dumps({"gloss": "G0"}), "with_pose": "false"})
    assert sorted(pq.read_table(io.BytesIO(part.data))["id"].to_pylist()) == ["v2", "v4"]
    earlier = pq.read_table(io.BytesIO(words.get(EXPORT, query_string={"version": version}).data))
    assert earlier.num_rows == 6
    refused(words.get(EXPORT, query_string={"version": 999}), 404, "version_unknown", "999")
    refused(words.get(EXPORT, query_string={"version": 10**30}), 404, "version_unknown", "1000000")
    refused(words.get(EXPORT, query_string={"filter": '{"x": 1}'}), 422, "filter_invalid")
    refused(words.get("/api/collections/none/entries:export"), 404, "collection_unknown")


def test_a_table_of_ids_and_vectors_is_enough(words):
    vectors = [make_vector(n) for n in range(3000)]
    body = write({"id": [f"x{n}" for n in range(3000)], "vector": vectors})
    answer = words.post(IMPORT, data=body, headers={"Content-Type": "application/octet-stream", "Accept": LINES})
    *progress, last = read_lines(answer)
    assert [line["done"] for line in progress] == [1024, 2048, 3000]
    assert last["stored"] == 3000
    shown = words.get(f"{ENTRIES}/x7").json
    np.testing.assert_allclose(shown["vector"], vectors[7] / np.linalg.norm(vectors[7]), atol=1e-6)
    assert (shown["kind"], shown["gloss"], shown["signature"]) == ("pose", "", None)


@pytest.fixture
def late_after_two_batches(words, monkeypatch):
    """The words, of a service whose deadline for a request passes while its second batch is stored."""
    store, stored = words.application.extensions[EXTENSION].store, []
    upsert = store.upsert

    def store_slowly(name, entries):
        upsert(name, entries)
        stored.append(len(entries))
        if len(stored) == 2:
            get_record().deadline = time.monotonic()

    monkeypatch.setattr(store, "upsert", store_slowly)
    return words


@pytest.mark.parametrize("accept", ["application/json", LINES])
def test_504_an_import_that_takes_too_long_ends_between_two_batches(late_after_two_batches, accept):
    body = write({"id": [f"x{n}" for n in range(3000)], "vector": [make_vector(n) for n in range(3000)]})
    answer = late_after_two_batches.post(IMPORT, data=body, headers={"Content-Type": PARQUET, "Accept": accept})
    problem = refused(answer, 504, "deadline_exceeded") if accept != LINES else read_lines(answer)[-1]
    assert (problem["status"], problem["code"]) == (504, "deadline_exceeded")
    assert "2048 entries were stored" in problem["detail"]
    assert late_after_two_batches.get(WORDS).json["entries"] == 6 + 2048


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"PAR1 is not enough", 422, "entry_invalid"),
        (b"", 422, "entry_invalid"),
        (write({"id": ["a"]}), 422, "entry_invalid"),
        (write({"vector": [[1.0] * 32]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 31]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1e300] * 32]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": pa.array([[1e300] * 32], pa.list_(pa.float64(), 32))}), 422, "entry_invalid"),
        (write({"id": ["a", "b"], "vector": [[1.0] * 32, None]}), 422, "entry_invalid"),
        (write({"id": ["a", "b"], "vector": [[1.0] * 32, [1.0] * 3]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": ["x"]}), 422, "entry_invalid"),
        (write({"id": ["../a"], "vector": [[1.0] * 32]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "tags": ["{"]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "tags": ["[1]"]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "tags": ['{"a": [1]}']}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "quality": ["3"]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "created": ["soon"]}), 422, "entry_invalid"),
        (write({"id": [None], "vector": [[1.0] * 32]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "texts": [7]}), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "space": ["x:1"]}), 409, "space_mismatch"),
        (write(pa.table([["a"], ["b"], [[1.0] * 32]], names=["id", "id", "vector"])), 422, "entry_invalid"),
        (write({"id": ["a"], "vector": [[1.0] * 32], "created": pa.array([2**62], _TIME)}), 422, "entry_invalid"),
    ],
)
def test_what_is_no_collection_is_refused(words, body, status, code):
    refused(words.post(IMPORT, data=body, content_type=PARQUET), status, code)
    assert words.get(WORDS).json["entries"] == 6


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"PAR1 is not enough", "it is damaged, cut off or of another kind; write or send it anew"),
        (write({"vector": [[1.0] * 32]}), "there is no column 'id'"),
        (write({"id": ["a"], "vector": ["x"]}), "column 'vector' must hold lists of numbers"),
        (write({"id": ["a"], "vector": [7]}), "column 'vector' must hold lists of numbers"),
        (
            write({"id": ["a"], "vector": [[1.0] * 32], "texts": [7]}),
            "column 'texts' is of type int64, but must be",
        ),
        (write({"id": ["a"], "vector": [[1.0] * 32], "tags": ["{"]}), "tags and quality are JSON objects"),
        (write(pa.table([["a"], ["b"], [[1.0] * 32]], names=["id", "id", "vector"])), "2 columns 'id'; leave one"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words_of_ours(words, body, detail):
    refused(words.post(IMPORT, data=body, content_type=PARQUET), 422, "entry_invalid", detail)


def test_empty_bytes_are_no_pose(words):
    body = write({"id": ["e"], "vector": [make_vector(1)], "pose": [b""]})
    assert words.post(IMPORT, data=body, content_type=PARQUET).json["stored"] == 1
    assert words.get(f"{ENTRIES}/e").json["preview"] is None
    refused(words.get(f"{ENTRIES}/e/preview.svg"), 404, "preview_missing")


def test_texts_that_are_null_are_left_out(words):
    body = write({"id": ["n"], "vector": [[1.0] * 32], "texts": [["a", None]]})
    assert words.post(IMPORT, data=body, content_type=PARQUET).json["stored"] == 1
    assert words.get(f"{ENTRIES}/n").json["texts"] == ["a"]


def test_every_cut_of_a_file_is_refused(words):
    body = words.get(EXPORT).data
    for length in range(0, len(body), len(body) // 13):
        answer = words.post(IMPORT, data=body[:length], content_type=PARQUET)
        refused(answer, 422, "entry_invalid")


def test_other_bodies_and_sizes_are_refused(words, monkeypatch):
    refused(words.post(IMPORT, data="a,b", content_type="text/csv"), 415, "media_type_unsupported", PARQUET)
    packed = {"Content-Type": PARQUET, "Content-Encoding": "gzip"}
    refused(words.post(IMPORT, data=b"x", headers=packed), 415, "media_type_unsupported", "Content-Encoding")
    monkeypatch.setattr("app.routes.transfers.MAX_IMPORT_BYTES", 10)
    refused(words.post(IMPORT, data=b"x" * 11, content_type=PARQUET), 413, "body_too_large", "10")
