"""Which items a source has, and by what ids: folders, single files, and the same at addresses."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry

from bulk.errors import SourceError, StorageError
from bulk.items import Item
from bulk.sources import SourceOptions, open_source
from bulk.storage import list_addresses, open_local, open_place
from tests.miniatures import GOLDEN


def _read(where: Path | str) -> list[Item]:
    with ExitStack() as stack:
        return list(open_source(str(where), SourceOptions(), stack).read_items())


def _fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"a clip")
    return folder


@pytest.mark.parametrize("form", ["house-2.pose", "./house-2.pose", "./clips/house-2.pose", "clips//house-2.pose"])
def test_a_single_file_is_named_by_its_name(form, tmp_path, monkeypatch):
    _fill(tmp_path, "house-2.pose", "clips/house-2.pose")
    monkeypatch.chdir(tmp_path)
    [item] = _read(form)
    assert (item.id, item.label, item.source) == ("house-2", "house", form)


def test_the_address_of_a_single_file_is_named_by_its_name(tmp_path):
    _fill(tmp_path, "house-2.pose")
    [item] = _read(f"file://{tmp_path}/house-2.pose")
    assert (item.id, item.label) == ("house-2", "house")


def test_an_address_of_a_folder_with_a_manifest_is_its_rows(tmp_path):
    _fill(tmp_path, "a.pose", "b.pose")
    (tmp_path / "manifest.csv").write_text("id,path,text\nfirst,a.pose,house\n,,sun\n", encoding="utf-8")
    rows = _read(f"file://{tmp_path}/")
    assert [(item.kind, item.text) for item in rows] == [("pose", "house"), ("text", "sun")]
    assert (rows[0].id, rows[0].source) == ("first", f"file://{tmp_path}/a.pose")
    assert [item.id for item in _read(f"file://{tmp_path}/*.pose")] == ["a", "b"]


def test_no_video_is_left_out_because_another_has_its_name(tmp_path):
    found = _read(_fill(tmp_path, "film.mov", "film.mp4", "other.mp4", "other.pose"))
    assert [Path(item.source).name for item in found] == ["film.mov", "film.mp4", "other.pose"]


def test_a_pose_that_keeps_the_suffix_of_its_video_stands_for_it(tmp_path):
    found = _read(_fill(tmp_path, "film.mov", "film.mp4", "film.mp4.pose", "other.mp4", "other.mp4.pose.zst"))
    assert [Path(item.source).name for item in found] == ["film.mov", "film.mp4.pose", "other.mp4.pose.zst"]


@pytest.mark.parametrize("name", ["LIST.CSV", "List.Csv"])
def test_a_manifest_may_have_a_name_in_capitals(name, tmp_path):
    (tmp_path / name).write_text("id,text\na,house\n", encoding="utf-8")
    assert [(item.id, item.text) for item in _read(tmp_path / name)] == [("a", "house")]


def test_a_column_that_is_there_twice_is_kept_once(tmp_path):
    (tmp_path / "list.csv").write_text("id,text,note,note\na,house,old,new\n", encoding="utf-8")
    with ExitStack() as stack:
        source = open_source(str(tmp_path / "list.csv"), SourceOptions(), stack)
        assert (source.columns, [dict(item.facts) for item in source.read_items()]) == (("note",), [{"note": "new"}])


def test_a_column_with_half_a_character_in_its_name_is_refused(tmp_path):
    (tmp_path / "list.jsonl").write_text('{"text": "house", "\\ud83d": "x"}\n', encoding="utf-8")
    with pytest.raises(SourceError, match="half of a character"):
        _read(tmp_path / "list.jsonl")


class OtherHost(LocalFileSystem):
    """The files of this machine at addresses that name a host, as those of sftp:// do."""

    protocol = "other"
    cachable = False

    def __init__(self, host: str | None = None, **options: object) -> None:
        super().__init__(**options)
        if host != "store":
            raise RuntimeError(f"there is no host {host}")

    @classmethod
    def _strip_protocol(cls, path: str | os.PathLike[str]) -> str:
        written = os.fspath(path)
        return "/" + written.split("://")[1].partition("/")[2].rstrip("/") if "://" in written else written

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.split("://")[1].partition("/")[0]}


@pytest.mark.parametrize("pattern", ["", "/", "/*.pose"])
def test_files_of_another_host_are_listed_with_it(pattern, tmp_path):
    fsspec.register_implementation("other", OtherHost, clobber=True)
    shutil.copy(GOLDEN / "ase_A.pose", tmp_path / "a.pose")
    found = list_addresses(f"other://store{tmp_path}{pattern}")
    assert found == [f"other://store{tmp_path}/a.pose"]
    with open_local(found[0]) as copy:
        assert copy.read_bytes() == (GOLDEN / "ase_A.pose").read_bytes()


class SignedHost(OtherHost):
    """A host that wants a signature after the name of a file."""

    protocol = "https"

    @classmethod
    def _strip_protocol(cls, path: str | os.PathLike[str]) -> str:
        return super()._strip_protocol(os.fspath(path).partition("?")[0])


def test_the_copy_of_a_signed_address_has_the_name_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setitem(_registry, "https", SignedHost)
    _fill(tmp_path, "a.pose")
    with open_local(f"https://store{tmp_path}/a.pose?expires=3600&signature=x/y.z") as copy:
        assert copy.name == "a.pose"
        assert copy.read_bytes() == b"a clip"


def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    fsspec.register_implementation("other", OtherHost, clobber=True)
    with pytest.raises(StorageError, match=r"other://nowhere/clips cannot be opened: there is no host nowhere"):
        list_addresses("other://nowhere/clips")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("abfs://clips@signs.dfs.core.windows.net/a/b.pose", "clips/a/b.pose"),
        ("abfs://signs@clips/a/b.pose", "clips/a/b.pose"),
        ("abfs://signs.blob.core.windows.net/clips/a/b.pose", "clips/a/b.pose"),
    ],
)
def test_the_address_of_a_listed_file_opens_it(address, path):
    place = open_place(address)
    assert place.path == path
    assert place.make_address(path) == address
