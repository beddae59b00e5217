"""Clips and manifests in an object store: moto's server speaks S3 on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from tests.bulk.reading import read_failures, read_table
from tests.miniatures import GOLDEN
from tests.object_store import serve_bucket

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("moto") is None, reason="moto is not installed; requirements-dev.txt has it"
)
NAMES = ("ase_A", "gsg_C")


@pytest.fixture
def bucket(monkeypatch) -> Iterator[str]:
    """A bucket with two clips, a manifest that also names a third, and the variables that name its store."""
    from pyarrow.fs import FileSystem

    with serve_bucket("signs") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        store, _ = FileSystem.from_uri("s3://signs")
        rows = [f"{name},clips/{name}.pose,a letter\n" for name in NAMES]
        files = {f"clips/{name}.pose": (GOLDEN / f"{name}.pose").read_bytes() for name in NAMES}
        files["list.csv"] = "".join(["id,path,text\n", *rows, "gone,clips/gone.pose,\n"]).encode()
        for name, content in files.items():
            with store.open_output_stream(f"signs/{name}") as stream:
                stream.write(content)
        yield "s3://signs"


def test_clips_of_an_object_store_get_the_vectors_of_clips_here(bucket, run, tmp_path):
    run(f"{GOLDEN}/*_[AC].pose", out=tmp_path / "here")
    run(f"{bucket}/clips/*_[AC].pose", out=tmp_path / "pattern")
    run(f"{bucket}/list.csv", out=tmp_path / "manifest")
    expected = {row["id"]: row["vector"] for row in read_table(tmp_path / "here").to_pylist()}
    assert sorted(expected) == sorted(NAMES)
    for name in ("pattern", "manifest"):
        found = {row["id"]: row for row in read_table(tmp_path / name).to_pylist()}
        assert found.keys() == expected.keys()
        for row_id, row in found.items():
            np.testing.assert_allclose(row["vector"], expected[row_id], atol=1e-6)
            assert row["source"] == f"s3://signs/clips/{row_id}.pose"
    assert read_failures(tmp_path / "manifest") == {"gone": "storage_failed"}


def test_a_store_that_is_not_there_is_refused(bucket, run, capsys):
    assert run("s3://nowhere/*.pose") == 1
    shown = capsys.readouterr().err
    assert "s3://nowhere/*.pose" in shown
