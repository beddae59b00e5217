"""A run that is ended at any point goes on to the same rows, each once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.embedding import Origin
from bulk.errors import FolderError
from bulk.folder import OutputFolder, describe_run
from bulk.ids import IdSet
from bulk.items import Failure, Item, make_id
from bulk.journal import Journal, read_journal
from bulk.rows import Row, make_schema, write_rows
from tests.bulk.reading import read_failures, read_ids
from tests.miniatures import GOLDEN

ORIGIN = Origin("tiny", "0" * 64, "tiny:0", "tiny-0", "tiny-0", 4)
FACTS = describe_run(ORIGIN, {}, ["signer"], source="somewhere")


def _rows(*ids: str) -> tuple[list[Row], np.ndarray]:
    rows = [Row(Item(name, "pose", source=f"{name}.pose", facts={"signer": "ada"}), "tiny-0") for name in ids]
    return rows, np.eye(4, dtype=np.float32)[: len(ids)]


def test_a_killed_process_keeps_what_was_added(tmp_path):
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add(*_rows("a", "b"))
        folder.add_failure(Item("bad", "pose"), Failure("clip_hangs", "no progress"))
        shutil.copytree(tmp_path / "out", tmp_path / "killed")  # the files of a process that ends here
    with OutputFolder(tmp_path / "killed", FACTS) as folder:
        assert [name for name in ("a", "b", "bad") if name in folder.done] == ["a", "b"]
        assert "bad" in folder.failed
        folder.add(*_rows("c"))
        folder.finish(is_complete=True)
    assert read_ids(tmp_path / "killed") == ["a", "b", "c"]
    assert read_failures(tmp_path / "killed") == {"bad": "clip_hangs"}


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "[" * 100_000, None, 3, "soon"])
def test_a_damaged_description_of_a_run_is_refused(tmp_path, content):
    if content in (None, 3, "soon"):
        content = json.dumps({**FACTS, **({} if content is None else {"started": content})})
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(FolderError, match=r"run\.json is damaged .*; choose another --out"):
        OutputFolder(tmp_path, FACTS)


def test_a_shard_that_was_written_just_before_the_kill_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr("bulk.folder._SHARD_ROWS", 2)
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add(*_rows("a"))
        journal = (tmp_path / "out" / ".journal-000000").read_bytes()
        folder.add(*_rows("b"))
        shutil.copytree(tmp_path / "out", tmp_path / "killed")
    (tmp_path / "killed" / ".journal-000000").write_bytes(journal)  # killed before the journal could be removed
    with OutputFolder(tmp_path / "killed", FACTS) as folder:
        assert not (tmp_path / "killed" / ".journal-000000").exists()
        folder.finish(is_complete=True)
    assert read_ids(tmp_path / "killed") == ["a", "b"]


def test_a_row_that_failed_and_then_succeeded_is_no_failure(tmp_path):
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add_failure(Item("a", "pose"), Failure("file", "gone"))
        folder.add(*_rows("a"))
        folder.finish(is_complete=True)
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        assert len(folder.failed) == 0
    assert read_failures(tmp_path / "out") == {}


def test_a_row_that_was_tried_again_with_success_just_before_a_kill_is_no_failure(tmp_path):
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add_failure(Item("a", "pose"), Failure("file", "gone"))
        folder.add_failure(Item("b", "pose"), Failure("file", "gone"))
        folder.finish(is_complete=True)
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add(*_rows("a"))
        shutil.copytree(tmp_path / "out", tmp_path / "killed")  # the files of a process that ends here
    with OutputFolder(tmp_path / "killed", FACTS) as folder:
        assert len(folder.failed) == 1
        folder.finish(is_complete=True)
    assert read_ids(tmp_path / "killed") == ["a"]
    assert read_failures(tmp_path / "killed") == {"b": "file"}


def test_what_is_appended_after_half_a_batch_can_be_read(tmp_path):
    schema = make_schema(4, ["signer"])
    journal = Journal(tmp_path / "journal", schema)
    journal.append(write_rows(*_rows("a"), schema, space="tiny:0"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size_bytes + 100, before[1]))  # as a disk that is full
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append(write_rows(*_rows("b"), schema, space="tiny:0"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.append(write_rows(*_rows("c"), schema, space="tiny:0"))
    journal.close()
    assert [table.column("id")[0].as_py() for table in read_journal(tmp_path / "journal")] == ["a", "c"]
    assert (journal.rows, journal.size_bytes) == (2, (tmp_path / "journal").stat().st_size)


@given(cut=st.integers(0, 4000), junk=st.binary(max_size=40), flip=st.none() | st.integers(0, 4000))
def test_a_journal_is_read_up_to_its_last_whole_batch(tmp_path_factory, cut, junk, flip):
    folder = tmp_path_factory.mktemp("journal")
    schema = make_schema(4, ["signer"])
    journal = Journal(folder / "whole", schema)
    ends = [0]
    for name in "abc":
        journal.append(write_rows(*_rows(name), schema, space="tiny:0"))
        ends.append(journal.size_bytes)
    journal.close()
    content = bytearray((folder / "whole").read_bytes())
    damaged = len(content) if flip is None else min(flip, len(content) - 1)
    if flip is not None:
        content[damaged] ^= 0xFF
    kept = min(cut, len(content))
    (folder / "cut").write_bytes(bytes(content[:kept]) + junk)
    whole = sum(end <= min(kept, damaged) for end in ends[1:])
    found = [table.column("id")[0].as_py() for table in read_journal(folder / "cut")]
    assert found[:whole] == list("abc")[:whole]
    # Junk may happen to be what was cut off.
    assert len(found) == whole or bytes(content[:kept]) + junk == (folder / "whole").read_bytes()[: kept + len(junk)]
    again = Journal(folder / "cut", schema)
    again.append(write_rows(*_rows("z"), schema, space="tiny:0"))
    again.close()
    assert [table.column("id")[0].as_py() for table in read_journal(folder / "cut")] == [*found, "z"]


@pytest.mark.parametrize("torn", [b'{"item": {"id": "b"', b'{"item": {}}\n', b'{"code": "file"}\n', b"[]\n", b"\0\0\n"])
def test_a_torn_line_of_failures_is_dropped(tmp_path, torn):
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        folder.add_failure(Item("a", "pose"), Failure("file", "gone"))
    with (tmp_path / "out" / "failures.jsonl").open("ab") as file:
        file.write(torn)
    with OutputFolder(tmp_path / "out", FACTS) as folder:
        assert "b" not in folder.failed
        folder.add_failure(Item("c", "pose"), Failure("file", "gone"))
        folder.finish(is_complete=True)
    assert read_failures(tmp_path / "out") == {"a": "file", "c": "file"}


@given(st.lists(st.text(max_size=6), max_size=300))
def test_a_set_of_ids_is_a_set(ids):
    import bulk.ids as module

    module._RECENT, kept = 7, module._RECENT  # so that it sorts often
    try:
        known, twin = IdSet(), set()
        for item_id in ids:
            assert known.add(item_id) == (item_id not in twin)
            twin.add(item_id)
        assert len(known) == len(twin)
        assert all(item_id in known for item_id in twin)
        assert "none of them" not in known
    finally:
        module._RECENT = kept


@given(st.text(max_size=400))
def test_every_name_makes_an_id_that_a_collection_takes(name):
    from search.entries import check_entry_id

    check_entry_id(make_id(name))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(tmp_path, tiny_weights):
    """The last clip is a pipe: when a process opens it, all clips before it are on their way, and the run is killed."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for number in range(12):
        shutil.copy(GOLDEN / "ase_A.pose", clips / f"{number:02}.pose")
    os.mkfifo(clips / "zz.pose")
    command = [sys.executable, "-m", "bulk", str(clips), "--model", "tiny", "--out", str(out), "--jobs", "1"]
    environment = {**os.environ, "SIGNCLIP_WEIGHTS_DIR": str(tiny_weights)}
    root = Path(__file__).resolve().parents[2]
    run = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL)
    pipe = os.open(clips / "zz.pose", os.O_WRONLY)  # waits until a process opens it to read
    run.send_signal(signal.SIGKILL)
    run.wait()
    os.close(pipe)  # not before, because the process would find an empty file and might say so in time
    (clips / "zz.pose").unlink()
    shutil.copy(GOLDEN / "gsg_C.pose", clips / "zz.pose")
    subprocess.run(command, cwd=root, env=environment, check=True)
    assert read_ids(out) == [*(f"{number:02}" for number in range(12)), "zz"]
    assert read_failures(out) == {}
