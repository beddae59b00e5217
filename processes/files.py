"""Files and folders that appear whole or not at all, and locks between processes."""

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
# A process that is killed while it writes leaves what it wrote aside. Writing a model of some gigabytes takes minutes,
# so a file that has not changed for an hour has no writer any more.
_ABANDONED_AFTER_S = 3600


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Write a file aside, and give it its name when the block ends.

    At any time there is the old file or the whole new one, after a power cut too. If the block fails, the old file
    stays and what was written aside is removed.

    Args:
        path: the file; its folder is made if need be.
    Yields:
        Path of an empty file in the same folder. The block writes this file, or replaces it.
    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    part = _name_part(path)
    part.touch(exist_ok=False)
    mode = stat.S_IMODE(part.stat().st_mode)
    try:
        yield part
        part.chmod(mode)  # because safetensors replaces the file by one that only its owner can read
        move_file(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, text in UTF-8; see replace_file.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    with replace_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def move_file(part: Path, path: Path) -> None:
    """Give a file that was written aside its name, so that a power cut leaves the old file or the whole new one.

    Args:
        part: a file on the same file system as `path`.
    Raises:
        OSError: there is no such file, or the folder cannot be written to.
    """
    _sync(part)
    part.replace(path)
    _sync_folder(path.parent)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Fill a folder aside, and give it its name when the block ends; what it replaces is deleted.

    For a moment between two renames neither folder has the name, so callers that share one hold a lock. If the block
    fails, the old folder stays and what was written aside is removed.

    Args:
        path: the folder; the folder around it is made if need be.
    Yields:
        Path of an empty folder beside it. The block fills this folder.
    Raises:
        OSError: the folder around it cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    part, old = _name_part(path), _name_part(path)
    part.mkdir()
    try:
        yield part
        for inner in (*part.rglob("*"), part):
            _sync_folder(inner) if inner.is_dir() else _sync(inner)
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            part.rename(path)
        except BaseException:
            with suppress(FileNotFoundError):
                old.rename(path)
            raise
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs; other processes and threads that want it wait.

    The kernel releases the lock when its holder ends, however that ends.

    Args:
        path: a file that stands for the lock. It is made if need be, and it stays, because deleting it would let two
            holders in.
    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing would not do if a process was forked meanwhile, because that process has the file open too.
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock while the block runs, unless another process or thread holds it.

    Args:
        path: a file that stands for the lock; see hold_lock.
    Yields:
        Whether the lock is held here.
    Raises:
        OSError: the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _name_part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of this file or folder left."""
    prefix, before = f".{path.name}.", time.time() - _ABANDONED_AFTER_S
    for entry in os.scandir(path.parent):
        if not (entry.name.startswith(prefix) and entry.name.endswith(PART)):
            continue
        with suppress(OSError):  # another writer may have removed it
            if entry.stat(follow_symlinks=False).st_mtime > before:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    with suppress(OSError):  # some network file systems cannot sync folders; the rename itself is done
        _sync(path)
