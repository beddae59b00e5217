"""Folders of one process: theirs alone while it lives, removed by the next process when it was killed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from processes import private_folders
from processes.private_folders import PrivateFolder
from tests.running import ROOT

_OWNER = """
import sys, time
from processes.private_folders import PrivateFolder
folder = PrivateFolder("x-", parent=sys.argv[1])
print(folder.path, flush=True)
time.sleep(600)
"""


def test_a_folder_is_private_and_goes_with_its_owner(tmp_path: Path) -> None:
    folder = PrivateFolder("x-", parent=str(tmp_path))
    assert folder.path.name.startswith("signclip-x-")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    folder.remove()
    assert not list(tmp_path.iterdir())


def test_folders_of_the_killed_are_removed_and_those_of_the_living_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_folders, "_YOUNG_S", -60.0)
    (tmp_path / "signclip-no-lock").mkdir()  # a name alone says nothing
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            other = Path(owner.stdout.readline().strip())
            (other / "counter.db").write_bytes(b"1")
            PrivateFolder(parent=str(tmp_path)).remove()
            assert other.is_dir()
        finally:
            owner.kill()
    mine = PrivateFolder(parent=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"signclip-no-lock", mine.path.name}
    mine.remove()


def test_a_folder_whose_owner_has_not_locked_it_yet_stays(tmp_path: Path) -> None:
    young = tmp_path / "signclip-young"
    young.mkdir()
    (young / ".alive").touch()
    PrivateFolder(parent=str(tmp_path)).remove()
    assert young.is_dir()
    os.utime(young / ".alive", (1, 1))
    PrivateFolder(parent=str(tmp_path)).remove()
    assert not young.exists()


def test_a_folder_is_not_cleaned_away_while_it_is_used(tmp_path: Path) -> None:
    # What systemd-tmpfiles tries before it removes what is old.
    folder = PrivateFolder(parent=str(tmp_path))
    cleaner = os.open(folder.path, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.remove()
        fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(cleaner)
