"""A run on a Ray cluster of this machine gives the rows of a run without one, and both may go on in one folder."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.bulk.reading import read_failures, read_table

pytest.importorskip("ray", reason="requirements-ray.txt is not installed")


@pytest.mark.slow
def test_both_kinds_of_runs_give_the_same_rows_and_go_on_in_one_folder(clips, run, tmp_path, monkeypatch):
    # Ray lowers the priority of its processes, which on a busy machine takes them minutes to start.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    (clips / "list.csv").write_text(
        "id,path,text,sign_language\n"
        "one,HOUSE/one.pose,house,ase\ntwo,SUN/one.pose,sun,\nbad,SUN/bad.pose,,\nlong,long.pose,,\n"
        "word,,house,ase\nlost,,house,klingon\nnothing,,,\n",
        encoding="utf-8",
    )
    assert run(clips / "list.csv", out=tmp_path / "here") == 1
    command = [sys.executable, "-m", "bulk", str(clips / "list.csv"), "--model", "tiny", "--device", "cpu"]
    subprocess.run([*command, "--out", str(tmp_path / "ray"), "--jobs", "1", "--ray"], check=False, timeout=280)
    expected = {row["id"]: row for row in read_table(tmp_path / "here").to_pylist()}
    found = {row["id"]: row for row in read_table(tmp_path / "ray").to_pylist()}
    for row_id, row in expected.items():
        np.testing.assert_allclose(found[row_id].pop("vector"), row.pop("vector"), atol=1e-6)
    assert found == expected
    assert sorted(found) == ["one", "two", "word"]
    assert read_failures(tmp_path / "ray") == read_failures(tmp_path / "here")
    assert run(clips / "list.csv", "--retry-failed", out=tmp_path / "ray") == 1
