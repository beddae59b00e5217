"""Tables of data sets as people have them: old encodings, Windows' paths, rows that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from corpora import read_corpus
from corpora.errors import ColumnMissingError, CorpusError, EncodingError
from corpora.statistics import measure_corpus
from tests import miniatures
from tests.field.inputs import read_data
from tests.field.places import place, table


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "mac-roman"])
@pytest.mark.parametrize("rows_before", [0, 1, 5000])
def test_a_table_in_an_old_encoding_names_the_line_and_the_way_out(
    encoding: str, rows_before: int, tmp_path: Path
) -> None:
    path = table(
        tmp_path / "manifest.csv", "path,text", *["a.pose,Baum"] * rows_before, "b.pose,Tür", "c.pose,Öl",
        encoding=encoding,
    )  # fmt: skip
    with pytest.raises(EncodingError, match=r"is not UTF-8; save it as \"CSV UTF-8\" \(Excel\)") as fault:
        read_corpus("manifest", tmp_path)
    assert fault.value.line == rows_before + 2
    assert str(fault.value).startswith(f"{path}, line {rows_before + 2}: ")


def test_the_excel_file_of_the_field(tmp_path: Path) -> None:
    table(
        tmp_path / "manifest.csv",
        "path,text,spoken_language,sign_language,split",
        "clip.pose,Baum,de,gsg,test",
        "poses/clip.pose,Tür,de,gsg,test",
        encoding="cp1252",
    )  # fmt: skip
    with pytest.raises(CorpusError, match=r"line 3: byte 18 of the line \(0xfc\) is not UTF-8"):
        read_corpus("manifest", tmp_path, "test")


def test_excels_unicode_text_is_named(tmp_path: Path) -> None:
    table(tmp_path / "manifest.csv", "path,text", "a.pose,Tür", encoding="utf-16")
    with pytest.raises(EncodingError, match="the file is UTF-16; save it as"):
        read_corpus("manifest", tmp_path)


def test_lists_and_json_in_an_old_encoding_name_the_line(tmp_path: Path) -> None:
    rwth = miniatures.rwth(tmp_path / "rwth")
    table(rwth / "train.txt", "1_1_1_cam2", "Tür", encoding="cp1252")
    with pytest.raises(EncodingError, match=r"train\.txt, line 2"):
        read_corpus("rwth_fingerspelling", rwth)
    table(tmp_path / "manifest.jsonl", '{"path": "a", "text": "A"}', '{"path": "a", "text": "Tür"}', encoding="cp1252")
    with pytest.raises(EncodingError, match=r"manifest\.jsonl, line 2"):
        read_corpus("manifest", tmp_path)
    wlasl = place(miniatures.wlasl, tmp_path / "wlasl")
    table(wlasl / "WLASL_v0.3.json", "[", '{"gloss": "Tür"}]', encoding="cp1252")
    with pytest.raises(EncodingError, match=r"WLASL_v0\.3\.json, line 2"):
        read_corpus("wlasl", wlasl)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"PK\x03\x04" + b"xl/workbook.xml" + bytes(99), "an Excel table"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(ColumnMissingError, match=f"is no table; it looks like {name}"):
        read_corpus("manifest", tmp_path)


def test_windows_paths_are_turned(tmp_path: Path) -> None:
    table(
        tmp_path / "manifest.csv",
        "path,text,split", "poses\\clip.pose,A,test", "clip.pose,B,test", "deep\\er\\c.mov,C,test",
    )  # fmt: skip
    for name in ("clip.pose", "poses/clip.pose", "deep/er/c.pose"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(read_data("letter_A.pose"))
    (tmp_path / "deep/er/c.mov").write_bytes(b"video")
    corpus = read_corpus("manifest", tmp_path, "test")
    assert [str(example.path.relative_to(tmp_path)) for example in corpus.examples] == [
        "poses/clip.pose", "clip.pose", "deep/er/c.pose"
    ]  # fmt: skip
    assert not corpus.skipped


def test_windows_paths_are_turned_in_published_tables(tmp_path: Path) -> None:
    for name, build, file in (
        ("fingerspelling_lexicon", miniatures.lexicon, "index.csv"),
        ("asl_signs", miniatures.asl_signs, "train.csv"),
        ("spreadthesign", miniatures.spreadthesign, "spreadthesign.csv"),
    ):
        root = build(tmp_path / name)
        before = read_corpus(name, root)
        path = root / file
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *(line.replace("/", "\\") for line in lines[1:]), ""]))
        assert [example.path for example in read_corpus(name, root).examples] == [e.path for e in before.examples], name


def test_a_name_with_a_backslash_is_found(tmp_path: Path) -> None:
    (tmp_path / "a\\b.pose").write_bytes(read_data("letter_A.pose"))
    table(tmp_path / "manifest.csv", "path,text", "a\\b.pose,A")
    assert len(read_corpus("manifest", tmp_path)) == 1


@pytest.mark.parametrize("name", ["clip.pose", "clip.pose.gz", "clip.mp4.pose", "clip.mp4.pose.zst"])
def test_a_pose_beside_its_video_is_found_by_every_name(name: str, tmp_path: Path) -> None:
    table(tmp_path / "manifest.csv", "path,text", "clip.mp4,A")
    for file in ("clip.mp4", name):
        (tmp_path / file).write_bytes(b"x")
    assert read_corpus("manifest", tmp_path).examples[0].path.name == name


# One bad row, in every reader


BAD_ROWS: dict[str, tuple[Callable[[Path], Path], str, str, str]] = {
    "asl_citizen": (miniatures.asl_citizen, "ASL_Citizen/splits/train.csv", "P1,,GLOSS,A_01", "Video file is empty"),
    "asl_citizen, no gloss": (miniatures.asl_citizen, "ASL_Citizen/splits/train.csv", "P1,a.mp4,,A", "Gloss is empty"),
    "asl_citizen, cells": (miniatures.asl_citizen, "ASL_Citizen/splits/train.csv", "P1,a.mp4", "2 cells; the header"),
    "sem_lex": (miniatures.sem_lex, "semlex_metadata.csv", "9,,1,1.0,test,asllex,a", "video_id is empty"),
    "sem_lex, split": (miniatures.sem_lex, "semlex_metadata.csv", "9,v,1,1.0,dev,asllex,a", "split is 'dev'"),
    "asl_signs": (miniatures.asl_signs, "train.csv", "a,b", "2 cells; the header has"),
    "spreadthesign": (miniatures.spreadthesign, "spreadthesign.csv", "a,b", "2 cells; the header has"),
    "signsuisse": (miniatures.signsuisse, "train.csv", ",Haus,,de,dsgs,", "id is empty"),
    "signsuisse, language": (miniatures.signsuisse, "train.csv", "1,Haus,,de,dgs,", "signedLanguage is 'dgs'"),
    "how2sign, span": (
        miniatures.how2sign, "how2sign_realigned_train.csv", "v\tb\ts\tn\t0.5\t0.3\thello", "the span from 0.5 to 0.3"
    ),
    "how2sign": (miniatures.how2sign, "how2sign_realigned_train.csv", "v\tb\ts\tn\tsoon\t1\thello", "'soon'"),
    "chicago_fs_wild": (miniatures.chicago, "ChicagoFSWild.csv", "a,b", "2 cells; the header has"),
    "fingerspelling_lexicon": (miniatures.lexicon, "index.csv", "a,b", "2 cells; the header has"),
    "rwth_fingerspelling": (miniatures.rwth, "train.txt", "1_99_1_cam2", "of a known gesture"),
    "manifest": (miniatures.manifest, "manifest.csv", "a,b", "2 cells; the header has"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
@pytest.mark.parametrize("at", [1, -1], ids=["first", "last"])
def test_one_bad_row_is_left_out_and_listed(case: str, at: int, tmp_path: Path) -> None:
    build, file, row, reason = BAD_ROWS[case]
    name = case.split(",")[0]
    clean, root = place(build, tmp_path / "clean"), place(build, tmp_path / "bad")
    path = root / file
    lines = path.read_text().splitlines()
    before_line = at if at > 0 else len(lines)
    if case == "rwth_fingerspelling":  # its lists have no header
        before_line -= at > 0
    lines.insert(before_line, row)
    path.write_text("\n".join([*lines, ""]))
    before, after = read_corpus(name, clean), read_corpus(name, root)
    (note,) = [note for note in after.skipped if "line" in note.id]
    assert note.id == f"{path.name}, line {before_line + 1}"
    assert reason in note.reason
    assert len(after.skipped) == len(before.skipped) + 1
    if name == "asl_signs" or (name == "spreadthesign" and at > 0):  # a row more changes the draw, or the numbers
        return
    assert [(e.id, e.text, e.split) for e in after.examples] == [(e.id, e.text, e.split) for e in before.examples]


def test_a_bad_row_does_not_move_the_numbers_of_the_others(tmp_path: Path) -> None:
    """Spreadthesign's splits go by row numbers; a row that is spoiled keeps its number."""
    clean, root = miniatures.spreadthesign(tmp_path / "clean"), miniatures.spreadthesign(tmp_path / "bad")
    path = root / "spreadthesign.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].split(",")[0]
    path.write_text("\n".join([*lines, ""]))
    before = {example.id: example for example in read_corpus("spreadthesign", clean).examples}
    after = read_corpus("spreadthesign", root).examples
    assert 0 < len(after) < len(before)
    assert all((before[e.id].text, before[e.id].split) == (e.text, e.split) for e in after)


def test_rows_without_a_text_are_reported(tmp_path: Path) -> None:
    table(tmp_path / "manifest.csv", "path,text", "a.pose,", "b.pose,B", "c.pose,  ")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.pose").write_bytes(read_data("letter_A.pose"))
    corpus = read_corpus("manifest", tmp_path)
    assert [example.text for example in corpus.examples] == ["B"]
    assert [(note.id, note.reason) for note in corpus.skipped] == [
        ("manifest.csv, line 2", "text is empty"), ("manifest.csv, line 4", "text is empty")
    ]  # fmt: skip
    assert corpus.describe_skipped() == (
        "2 rows were skipped, such as manifest.csv, line 2: text is empty; manifest.csv, line 4: text is empty"
    )
    assert measure_corpus(corpus).summarize()["rows skipped"] == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{", "not JSON"), ("[1]", "not a JSON object"), ('{"path": "x.pose"}', "the object has no text")],
)
def test_one_bad_line_of_json_is_left_out(line: str, reason: str, tmp_path: Path) -> None:
    good = '{"path": "a.pose", "text": "A"}'
    table(tmp_path / "manifest.jsonl", good, line, good.replace("a.pose", "b.pose"))
    for name in ("a", "b"):
        (tmp_path / f"{name}.pose").write_bytes(read_data("letter_A.pose"))
    corpus = read_corpus("manifest", tmp_path)
    assert len(corpus) == 2
    (note,) = corpus.skipped
    assert note.id == "manifest.jsonl, line 2"
    assert reason in note.reason
