"""Rows survive any text, faults name their line, glosses become words."""

import csv
import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import ColumnMissingError, FileMissingError, RowError
from corpora.readers.glosses import clean_asl_citizen, clean_sem_lex, clean_wlasl
from corpora.readers.media import Media
from corpora.readers.tables import read_csv, read_jsonl, read_parquet

# What a cell of a published table may hold: anything in UTF-8 but NUL.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_csv_and_jsonl_give_back_what_was_written(rows):
    with tempfile.TemporaryDirectory() as folder:
        table, lines = Path(folder, "a.csv"), Path(folder, "a.jsonl")
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "text"), *rows])
        lines.write_text("\n".join(json.dumps({"path": a, "text": b}) for a, b in rows), encoding="utf-8")
        expected = [{"path": a, "text": b} for a, b in rows]
        assert [row.values for row in read_csv(table, ("path", "text"))] == expected
        assert [row.values for row in read_jsonl(lines, ("path", "text"))] == expected


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_header_with_another_delimiter_says_which_is_needed(tmp_path, delimiter):
    path = tmp_path / "table.csv"
    path.write_text(f"a{delimiter}b\n1{delimiter}2\n")
    with pytest.raises(ColumnMissingError, match=re.escape(f"divided by {delimiter!r}; divide the columns by ','")):
        list(read_csv(path, ("a", "b")))
    # Columns that no delimiter finds are missing indeed.
    with pytest.raises(ColumnMissingError, match=r"has no column a, c; its header is '[^']*'$"):
        list(read_csv(path, ("a", "c")))


def test_a_first_line_that_is_too_long_for_a_header_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x" * 200_000)
    with pytest.raises(ColumnMissingError, match="has no column a, b"):
        list(read_csv(path, ("a", "b")))


def test_byte_order_mark_and_other_delimiters(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\ufeffa\tb\n1\t2,3\n", encoding="utf-8")
    assert [row.values for row in read_csv(path, ("a", "b"), delimiters="\t,")] == [{"a": "1", "b": "2,3"}]
    with pytest.raises(ColumnMissingError, match="no column a, b"):
        list(read_csv(path, ("a", "b")))


@pytest.mark.parametrize("content", [b"a,b\n1,\xff\n", b"a,b\n1,2\n3\n", b'a,b\n1,"' + b"x" * 200_000 + b'"\n'])
def test_unreadable_rows_name_their_line(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(RowError, match=r"table\.csv, line [123]: "):
        list(read_csv(path, ("a", "b")))


@pytest.mark.parametrize(("line", "error"), [("[1]", RowError), ("{", RowError), ('{"a": 1}', ColumnMissingError)])
def test_unreadable_json_names_its_line(tmp_path, line, error):
    path = tmp_path / "m.jsonl"
    path.write_text(f'{{"a": 1, "b": null}}\n\n{line}\n')
    with pytest.raises(error, match="line 3"):
        list(read_jsonl(path, ("a", "b")))


def test_what_is_no_parquet(tmp_path):
    path = tmp_path / "m.parquet"
    with pytest.raises(FileMissingError):
        list(read_parquet(path, ("a",)))
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(RowError):
        list(read_parquet(path, ("a",)))


@pytest.mark.parametrize(
    ("clean", "gloss", "text"),
    [
        (clean_asl_citizen, "REMEMBER2", "remember"),
        (clean_asl_citizen, "9OCLOCK", "9oclock"),
        (clean_asl_citizen, "10", "10"),
        (clean_sem_lex, "think_chin_2", "think chin"),
        (clean_sem_lex, "9_oclock", "9 oclock"),
        (clean_sem_lex, "30_minute ", "30 minute"),
        (clean_sem_lex, "_2", "_2"),
        (clean_wlasl, "New_York", "new york"),
    ],
)
def test_glosses(clean, gloss, text):
    assert clean(gloss) == text


@given(st.text(min_size=1).filter(str.strip), st.sampled_from([clean_asl_citizen, clean_sem_lex, clean_wlasl]))
def test_a_cleaned_gloss_is_never_empty(gloss, clean):
    assert clean(gloss).strip()


def test_media_prefers_poses_and_keeps_dots_in_names(tmp_path, pose_file, text_file):
    pose_file(tmp_path / "poses" / "a" / "4.7e-7-x.pose")
    text_file(tmp_path / "videos" / "a" / "4.7e-7-x.mp4", "")
    text_file(tmp_path / "videos" / "b.MP4", "")
    text_file(tmp_path / "videos" / "notes.txt", "")
    media = Media.list_files(tmp_path, ("gone", "videos", "poses"))
    for name in ("a/4.7e-7-x", "a/4.7e-7-x.mp4", "a/4.7e-7-x.pose", "a\\4.7e-7-x.mp4"):
        assert media.find(name) == tmp_path / "poses" / "a" / "4.7e-7-x.pose"
    assert media.find("b.mp4") == tmp_path / "videos" / "b.MP4"
    assert media.find("notes.txt") is media.find("c") is None
    with pytest.raises(FileMissingError, match="gone or away"):
        Media.list_files(tmp_path, ("gone", "away"))
