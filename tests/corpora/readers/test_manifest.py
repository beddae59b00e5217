"""Manifests of one's own data: in three forms, with rows that make no sense, with videos beside their poses."""

import json

import pytest

from bulk.errors import SourceError
from bulk.items import make_id
from bulk.manifests import open_manifest
from corpora import read_corpus, write_prompts
from corpora.errors import RowError


def prompts(corpus):
    return write_prompts(corpus.prompt_pattern, corpus.examples)


def ids(corpus):
    return [example.id for example in corpus.examples]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_manifest_in_three_forms(manifest, suffix):
    rows = [line.split(",") for line in (manifest / "manifest.csv").read_text().splitlines()]
    records = [dict(zip(rows[0], (cell or None for cell in row), strict=True)) for row in rows[1:]]
    for record in records:
        for column in ("start_s", "end_s"):
            record[column] = record[column] and float(record[column])
    if suffix == "jsonl":
        (manifest / "manifest.csv").unlink()
        (manifest / "manifest.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    elif suffix == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        (manifest / "manifest.csv").unlink()
        pq.write_table(pa.Table.from_pylist(records), manifest / "manifest.parquet")
    corpus = read_corpus("manifest", manifest)
    assert ids(corpus) == ["clips/house.pose", "clips/house.pose@0.4-1.2", "clips/a.pose", "clips/c.mov"]
    assert prompts(corpus) == ["<en> <ase> house", "<en> <ase> the roof", "<de> <gsg> A", "C"]
    assert [(e.start_s, e.end_s, e.signer) for e in corpus.examples[:2]] == [(None, None, "me"), (0.4, 1.2, "me")]
    assert ids(read_corpus("manifest", manifest / f"manifest.{suffix}", "test")) == ["clips/a.pose"]
    assert [s.reason for s in corpus.skipped] == ["no file clips/gone.pose"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a.pose,A,1,0.5,train", "span from 1.0 to 0.5 seconds is empty"),
        ("a.pose,A,-1,,train", "span from -1.0 to None seconds is empty"),
        ("a.pose,A,nan,,train", "not a finite number"),
        ("a.pose,A,,,dev", "split is 'dev'"),
        (",A,,,train", "path is empty"),
        ("a.pose,,,,train", "text is empty"),
        ("a.pose,  ,,,train", "text is empty"),
        ("a.pose,A", "cells"),
        ("a.pose,A,,,train,more", "cells"),
        ("b.pose,B,,,train", "line 2 has the same id, 'b.pose'"),
    ],
)
def test_a_row_of_a_manifest_that_makes_no_sense_is_left_out(tmp_path, text_file, pose_file, row, problem):
    text_file(tmp_path / "manifest.csv", "path,text,start_s,end_s,split", "b.pose,B,,,train", row, "c.pose,C,,,train")
    for name in ("a", "b", "c"):
        pose_file(tmp_path / f"{name}.pose")
    corpus = read_corpus("manifest", tmp_path)
    assert ids(corpus) == ["b.pose", "c.pose"]
    (note,) = corpus.skipped
    assert note.id == "manifest.csv, line 3"
    assert problem in note.reason


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"path": {"file": "b.pose"}, "text": "B"}', "path is an object; write a text or a number"),
        ('{"path": "b.pose", "text": ["B"]}', "text is a list; write a text or a number"),
        ('{"path": "b.pose", "text": "B", "start_s": {"s": 1}}', "start_s is an object"),
        ('{"path": "b.pose", "text": ' + "[" * 100_000 + "]" * 100_000 + "}", "the line is not JSON"),
    ],
)
def test_a_value_that_is_no_text_makes_its_row_no_sense(tmp_path, pose_file, row, problem):
    for name in ("a", "b", "c"):
        pose_file(tmp_path / f"{name}.pose")
    table = tmp_path / "manifest.jsonl"
    lines = ['{"path": "a.pose", "text": "A"}', row, '{"path": "c.pose", "text": "C", "made": {"by": ["me", 1]}}']
    table.write_text("\n".join(lines), encoding="utf-8")
    corpus = read_corpus("manifest", tmp_path)
    assert ids(corpus) == ["a.pose", "c.pose"]
    (note,) = corpus.skipped
    assert note.id == "manifest.jsonl, line 2"
    assert problem in note.reason
    first, faulty, last = open_manifest(table).read_items()
    assert problem in faulty.fault
    assert (first.fault, last.fault, last.facts["made"]) == ("", "", '{"by": ["me", 1]}')


def test_a_parquet_table_of_paths_that_are_lists_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"path": [["a.pose"]], "text": ["A"]}), tmp_path / "manifest.parquet")
    with pytest.raises(RowError, match="path is a list"):
        read_corpus("manifest", tmp_path)


def test_a_path_that_no_file_can_have_is_left_out(tmp_path, text_file, pose_file):
    pose_file(tmp_path / "a.pose")
    text_file(tmp_path / "manifest.csv", "path,text", "a.pose,A", f"{'b' * 5000}.pose,B", f"{'c' * 5000}.mp4,C")
    corpus = read_corpus("manifest", tmp_path)
    assert ids(corpus) == ["a.pose"]
    assert [note.id for note in corpus.skipped] == ["manifest.csv, line 3", "manifest.csv, line 4"]
    assert all("cannot be looked up: File name too long" in note.reason for note in corpus.skipped)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quotation_mark_without_a_counterpart_swallows_no_rows(tmp_path, pose_file, end):
    for name in ("a", "b", "c"):
        pose_file(tmp_path / f"{name}.pose")
    table = tmp_path / "manifest.csv"
    table.write_text(f'path,text\na.pose,A\nb.pose,"B\nc.pose,C{end}', encoding="utf-8")
    with pytest.raises(RowError, match=r"line 3: a quotation mark begins a cell that does not end"):
        read_corpus("manifest", tmp_path)
    with pytest.raises(SourceError, match=r"line 3: a quotation mark"):
        list(open_manifest(table).read_items())
    table.write_text(f'path,text\na.pose,"A\nB"\nb.pose,"B"{end}', encoding="utf-8")
    assert [example.text for example in read_corpus("manifest", tmp_path).examples] == ["A\nB", "B"]


SPANS = (("12345.67", "12350"), ("12345.71", "12350"), ("0.1234567", "0.2"), ("0.1234568", "0.2"), ("7", ""), ("", "7"))


def test_spans_of_a_long_file_have_different_ids(tmp_path, text_file, pose_file):
    rows = [f"a.pose,A,{start},{end}" for start, end in SPANS]
    table = text_file(tmp_path / "manifest.csv", "path,text,start_s,end_s", *rows)
    pose_file(tmp_path / "a.pose")
    expected = [
        *("a.pose@12345.67-12350", "a.pose@12345.71-12350", "a.pose@0.1234567-0.2", "a.pose@0.1234568-0.2"),
        *("a.pose@7-", "a.pose@0-7"),
    ]
    corpus = read_corpus("manifest", tmp_path)
    assert (ids(corpus), corpus.skipped) == (expected, ())
    listed = [item.id for item in open_manifest(table).read_items()]
    assert listed == [make_id(name) for name in expected]
    assert len(set(listed)) == len(SPANS)


def test_a_pose_beside_a_video_is_taken_for_it(tmp_path, text_file, pose_file):
    folder = text_file(tmp_path / "manifest.csv", "path,text", "clips/b.mov,B", "clips/c.mp4,C").parent
    (folder / "clips").mkdir()
    (folder / "clips" / "b.mov").write_bytes(b"video")
    (folder / "clips" / "c.mp4").write_bytes(b"video")
    pose_file(folder / "clips" / "b.pose")
    corpus = read_corpus("manifest", folder)
    assert [example.path.name for example in corpus.examples] == ["b.pose", "c.mp4"]
