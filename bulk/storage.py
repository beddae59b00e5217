"""Files at addresses: s3://, gs://, abfs:// through Arrow's own clients, everything else that fsspec knows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from bulk.errors import StorageError

# pyarrow is installed for Parquet anyway, and it speaks to these stores. For others fsspec needs a package each.
_ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_WILD = frozenset("*?[")
_PIECE_BYTES = 4 * 1024**2


def is_address(source: str) -> bool:
    """Whether a source is an address such as s3://bucket/clips, and not a path of this machine."""
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.replace("+", "").isalnum()


def has_wildcards(source: str) -> bool:
    """Whether a source is a pattern of names: it has one of *, ? and [."""
    return not _WILD.isdisjoint(source)


def list_addresses(source: str) -> list[str]:
    """List the files that a pattern fits, or those below a folder of an object store, in the order of their names.

    Raises:
        StorageError: the store cannot be read, or its library is not installed.
    """
    files, path = _open(source)
    try:
        found = files.glob(path) if has_wildcards(path) else files.find(path)
        kept = sorted(str(name) for name in found if not _is_hidden(str(name)))
    except Exception as error:  # each store has errors of its own
        raise StorageError(f"{source} cannot be listed: {error}") from error
    return [_with_scheme(source, name) for name in kept]


@contextmanager
def open_local(source: str, on_piece: Callable[[], None] | None = None) -> Iterator[Path]:
    """Give a file as one of this machine: itself, or a copy that is deleted when the block ends.

    Args:
        source: a path or an address.
        on_piece: called after each piece of 4 MiB that was copied.
    Raises:
        StorageError: the file cannot be read.
    """
    if not is_address(source):
        yield Path(source)
        return
    name = PurePosixPath(source.partition("://")[2]).name or "file"
    with tempfile.TemporaryDirectory(prefix="signclip-bulk-") as folder:
        copy = Path(folder, name)
        _copy(source, copy, on_piece)
        yield copy


def _copy(source: str, copy: Path, on_piece: Callable[[], None] | None) -> None:
    files, path = _open(source)
    try:
        with files.open(path, "rb") as remote, copy.open("wb") as local:
            if on_piece is None:
                shutil.copyfileobj(remote, local, _PIECE_BYTES)
                return
            while piece := remote.read(_PIECE_BYTES):
                local.write(piece)
                on_piece()
    except Exception as error:  # each store has errors of its own
        raise StorageError(f"{source} cannot be read: {error}") from error


def _open(source: str) -> tuple[Any, str]:
    """Open the file system of an address; returns it and the path within it."""
    scheme, _, rest = source.partition("://")
    try:
        if scheme in _ARROW_SCHEMES:
            return _open_arrow("gs" if scheme == "gcs" else scheme, rest.partition("/")[0]), rest
        from fsspec.core import url_to_fs

        files, path = url_to_fs(source)
        return files, path
    except (ImportError, ValueError, OSError) as error:
        raise StorageError(f"{source} cannot be opened: {error}") from error


@lru_cache(maxsize=16)
def _open_arrow(scheme: str, bucket: str) -> Any:
    # Late, because sources on this machine need neither.
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import FileSystem

    files, _ = FileSystem.from_uri(f"{scheme}://{bucket}")
    return ArrowFSWrapper(files)


def _with_scheme(source: str, name: str) -> str:
    return name if is_address(name) else f"{source.partition('://')[0]}://{name}"


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")
