"""Lists and tables of the authors: brought whole, or refused."""

import hashlib
from pathlib import Path

import httpx2
import pytest

from corpora import published_files
from corpora.__main__ import main
from corpora.errors import FetchError
from corpora.published_files import PUBLISHED_FILES, PublishedFile, fetch_files, read_copy
from corpora.registry import CORPORA

TABLE = b"text,count\nhouse,21\n"


@pytest.fixture
def table(monkeypatch):
    place = published_files.VOCABULARY_FILE
    files = (PublishedFile(place.name, hashlib.sha256(TABLE).hexdigest(), place),)
    monkeypatch.setattr(published_files, "PUBLISHED_FILES", {"vocabulary": files})
    return place


def test_files_come_from_a_copy_of_the_authors_folder(table, tmp_path, capsys):
    copy, data = tmp_path / "MMPT", tmp_path / "data"
    copy.mkdir()
    assert main(["fetch", "vocabulary", "--data", str(data), "--from", str(copy)]) == 1
    assert "data_stat_sp_concept_dis.csv cannot be read" in capsys.readouterr().err
    (copy / table.name).write_bytes(TABLE)
    assert main(["fetch", "vocabulary", "--data", str(data), "--from", str(copy)]) == 0
    assert (data / table).read_bytes() == TABLE
    (copy / table.name).unlink()
    assert fetch_files("vocabulary", data, source=read_copy(copy)) == [data / table]  # what is there stays


def test_other_content_is_refused(table, tmp_path):
    with pytest.raises(FetchError, match=r"what came for data_stat_sp_concept_dis\.csv is not the published file"):
        fetch_files("vocabulary", tmp_path, source=lambda path: b"text,count\n")
    assert not (tmp_path / table).exists()
    (tmp_path / table).parent.mkdir()
    (tmp_path / table).write_bytes(b"mine")
    with pytest.raises(FetchError, match="is there, but it is not the published file"):
        fetch_files("vocabulary", tmp_path, source=lambda path: TABLE)
    assert (tmp_path / table).read_bytes() == b"mine"


def test_a_file_may_go_by_the_name_that_git_gives_its_content(tmp_path, monkeypatch):
    # `git hash-object` of a file with these bytes.
    file = PublishedFile("hello.txt", "ce013625030ba8dba906f756967f9e9ca394464a", Path("signsuisse", "hello.txt"))
    monkeypatch.setattr(published_files, "PUBLISHED_FILES", {"signsuisse": (file,)})
    with pytest.raises(FetchError, match="is not the published file"):
        fetch_files("signsuisse", tmp_path, source=lambda path: b"hello")
    assert fetch_files("signsuisse", tmp_path, source=lambda path: b"hello\n") == [tmp_path / file.place]


def test_a_network_that_is_away_is_explained(table, tmp_path, monkeypatch):
    def refuse(url, **options):
        raise httpx2.ConnectError("no route")

    monkeypatch.setattr(httpx2, "get", refuse)
    with pytest.raises(FetchError, match=r"data_stat_sp_concept_dis\.csv could not be downloaded: no route; .*--from"):
        fetch_files("vocabulary", tmp_path)


def test_a_download_is_taken_from_a_fixed_commit(table, tmp_path, monkeypatch):
    asked = []

    def answer(url, **options):
        asked.append(url)
        return httpx2.Response(200, content=TABLE, request=httpx2.Request("GET", url))

    monkeypatch.setattr(httpx2, "get", answer)
    assert fetch_files("vocabulary", tmp_path) == [tmp_path / table]
    assert asked[0].endswith("/a819944093876443119f294a2c50c663cecd65b0/examples/MMPT/data_stat_sp_concept_dis.csv")


@pytest.mark.parametrize("name", PUBLISHED_FILES)
def test_files_are_put_where_readers_look(name):
    for file in PUBLISHED_FILES[name]:
        assert len(bytes.fromhex(file.digest)) in (32, 20)
        assert file.place.parts[0] in CORPORA
