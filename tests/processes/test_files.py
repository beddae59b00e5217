"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import processes.files
from processes.files import move_file, replace_file, replace_folder, write_file

ROOT = Path(__file__).parents[2]


class StopError(BaseException):
    """Ends a block as a signal would."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a").write_text("old")
    return path


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def write_half(block: AbstractContextManager[Path], error: BaseException, inner: str = "") -> None:
    """Write something, and fail before the end."""
    with block as part:
        (part / inner).write_text("half")
        raise error


def test_a_file_has_its_name_only_once_it_is_whole(file):
    with replace_file(file) as part:
        part.write_text("half")
        assert file.read_text() == "old"
        assert part.parent == file.parent
        part.write_text("new")
    assert file.read_text() == "new"
    assert names_in(file.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StopError(), KeyboardInterrupt()])
@pytest.mark.parametrize("known", [True, False])
def test_an_interrupted_write_leaves_the_old_file_and_no_rest(file, error, known):
    if not known:
        file.unlink()
    with pytest.raises(type(error)):
        write_half(replace_file(file), error)
    assert names_in(file.parent) == (["file.txt"] if known else [])
    assert not known or file.read_text() == "old"


def test_what_cannot_take_its_place_is_no_rest_either(tmp_path):
    (tmp_path / "taken" / "inner").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "taken", "new")
    assert names_in(tmp_path) == ["taken"]


def test_a_reader_of_the_old_file_keeps_it(file):
    with file.open() as reader:
        write_file(file, "new")
        assert reader.read() == "old"


@pytest.mark.parametrize(("content", "stored"), [("ä\n", b"\xc3\xa4\n"), (b"\x00\xff", b"\x00\xff"), ("", b"")])
def test_text_is_written_in_utf_8_and_bytes_as_they_are(tmp_path, content, stored):
    write_file(tmp_path / "deep" / "er" / "file", content)
    assert (tmp_path / "deep" / "er" / "file").read_bytes() == stored


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_others_may_read_it_as_the_umask_says_even_if_a_library_made_it_private(tmp_path, umask):
    before = os.umask(umask)
    try:
        with replace_file(tmp_path / "file") as part:
            part.unlink()
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
        with replace_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_bytes_are_on_the_disk_before_the_name_is(file, monkeypatch):
    """Or a power cut could leave the new name with an empty file."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(handle: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file"
        steps.append(f"sync {kind}")
        sync(handle)

    def note_replace(part: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_file(file, "new")
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_file_system_that_cannot_sync_folders_will_do(file, monkeypatch):
    sync = os.fsync

    def refuse_folders(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_file(file, "new")
    assert file.read_text() == "new"


def test_a_file_that_cannot_be_synced_does_not_get_the_name(file, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_file(file, "new")
    assert file.read_text() == "old"
    assert names_in(file.parent) == ["file.txt"]


def test_a_file_written_elsewhere_is_moved(file, tmp_path):
    (tmp_path / "file.txt.part").write_text("new")
    move_file(tmp_path / "file.txt.part", file)
    assert file.read_text() == "new"
    assert names_in(tmp_path) == ["file.txt"]
    with pytest.raises(FileNotFoundError):
        move_file(tmp_path / "nothing", file)
    assert file.read_text() == "new"


@pytest.mark.parametrize("known", [True, False])
def test_a_folder_has_its_name_only_once_it_is_whole(folder, known):
    if not known:
        (folder / "a").unlink()
        folder.rmdir()
    with replace_folder(folder) as part:
        (part / "b" / "c").mkdir(parents=True)
        (part / "b" / "c" / "d").write_text("new")
        assert not known or names_in(folder) == ["a"]
    assert (folder / "b" / "c" / "d").read_text() == "new"
    assert names_in(folder) == ["b"]
    assert names_in(folder.parent) == ["folder"]


def test_an_interrupted_write_leaves_the_old_folder_and_no_rest(folder):
    with pytest.raises(StopError):
        write_half(replace_folder(folder), StopError(), "b")
    assert names_in(folder) == ["a"]
    assert names_in(folder.parent) == ["folder"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(folder, monkeypatch):
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if target == folder and (path / "b").exists():
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"), replace_folder(folder) as part:
        (part / "b").write_text("new")
    assert names_in(folder) == ["a"]
    assert names_in(folder.parent) == ["folder"]


KILLED = """
import os, signal, sys
from pathlib import Path
from processes.files import replace_file, replace_folder
with replace_folder(Path(sys.argv[1]) / "folder") as folder, replace_file(Path(sys.argv[1]) / "file.txt") as file:
    (folder / "inner").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_removed_by_a_later_one(file, folder):
    command = [sys.executable, "-c", KILLED, str(file.parent)]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert file.read_text() == "old"
    assert names_in(folder) == ["a"]
    left = [entry for entry in file.parent.iterdir() if entry.name.endswith(".part")]
    assert len(left) == 2

    # Another writer may be at work on them, as long as they are young.
    write_file(file, "new")
    with replace_folder(folder) as part:
        (part / "b").touch()
    assert set(left) <= set(file.parent.iterdir())

    hour_ago = time.time() - 3601
    for entry in left:
        os.utime(entry, (hour_ago, hour_ago))
    write_file(file, "newer")
    assert [entry.name for entry in file.parent.iterdir() if entry.name.startswith(".file.txt.")] == []
    with replace_folder(folder):
        pass
    assert names_in(file.parent) == ["file.txt", "folder"]


def test_files_of_other_names_are_not_what_a_killed_writer_left(file):
    others = [".file.txt.swp", "file.txt.0a.part", ".file.0a.part", ".file.txt"]
    for name in others:
        (file.parent / name).touch()
        os.utime(file.parent / name, (0, 0))
    write_file(file, "new")
    assert names_in(file.parent) == sorted(["file.txt", *others])


def test_the_rest_of_another_user_is_no_reason_to_write_nothing(file, monkeypatch):
    rest = file.parent / ".file.txt.0a.part"
    rest.touch()
    os.utime(rest, (0, 0))

    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(processes.files.os, "unlink", refuse)
    write_file(file, "new")
    assert file.read_text() == "new"
    assert rest.exists()
