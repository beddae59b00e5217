"""Files at addresses: s3://, gs://, abfs:// through Arrow's own clients, everything else that fsspec knows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from bulk.errors import StorageError

# pyarrow is installed for Parquet anyway, and it speaks to these stores. For others fsspec needs a package each.
_ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_WILD = frozenset("*?[")
_PIECE_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Place:
    """A place in a store, and how the store's paths become addresses.

    Attributes:
        files: the file system of the store.
        path: of the place in it.
        address: what an address has before the path of a file, such as sftp://host.
        root: what paths have at their start that stands in `address`, such as the bucket.
    """

    files: Any
    path: str
    address: str
    root: str = ""

    def make_address(self, path: str) -> str:
        """Write the address of a path of the store; some stores list addresses."""
        return path if is_address(path) else f"{self.address}{path.removeprefix(self.root)}"


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
    place = open_place(source)
    try:
        found = place.files.glob(place.path) if has_wildcards(place.path) else place.files.find(place.path)
        kept = sorted(str(path) for path in found if not _is_hidden(str(path)))
    except Exception as error:  # each store has errors of its own
        raise StorageError(f"{source} cannot be listed: {error}") from error
    return [place.make_address(path) for path in kept]


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
    name = _find_name(source) or "file"
    with tempfile.TemporaryDirectory(prefix="signclip-bulk-") as folder:
        copy = Path(folder, name)
        _copy(source, copy, on_piece)
        yield copy


def _copy(source: str, copy: Path, on_piece: Callable[[], None] | None) -> None:
    place = open_place(source)
    try:
        with place.files.open(place.path, "rb") as remote, copy.open("wb") as local:
            if on_piece is None:
                shutil.copyfileobj(remote, local, _PIECE_BYTES)
                return
            while piece := remote.read(_PIECE_BYTES):
                local.write(piece)
                on_piece()
    except Exception as error:  # each store has errors of its own
        raise StorageError(f"{source} cannot be read: {error}") from error


def open_place(source: str) -> Place:
    """Open the store of an address.

    Raises:
        StorageError: there is no such store, or its library is not installed.
    """
    scheme, _, rest = source.partition("://")
    try:
        if scheme in _ARROW_SCHEMES:
            store, _, inner = rest.partition("/")
            files, root = _open_arrow("gs" if scheme == "gcs" else scheme, store)
            address = f"{scheme}://{store}" if root else f"{scheme}://{store}/"
            return Place(files, "/".join(filter(None, (root, inner))), address, root)
        from fsspec.core import url_to_fs

        files, path = url_to_fs(source)
        return Place(files, path, _find_store(source, path))
    except Exception as error:  # each store has errors of its own
        raise StorageError(f"{source} cannot be opened: {error}") from error


@lru_cache(maxsize=16)
def _open_arrow(scheme: str, store: str) -> tuple[Any, str]:
    # Late, because sources on this machine need neither.
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import FileSystem

    # Of a bucket or a container alone, because a name below it may have marks that mean something in a URI.
    files, root = FileSystem.from_uri(f"{scheme}://{store}")
    return ArrowFSWrapper(files), root.rstrip("/")


def _find_store(source: str, path: str) -> str:
    """Find what an address has before the path in its store: the scheme, and the host where stores have one."""
    whole, end = source.rstrip("/"), path.rstrip("/")
    if end and whole.endswith(end):
        return whole.removesuffix(end)
    return f"{source.partition('://')[0]}://"


def _find_name(source: str) -> str:
    scheme, _, rest = source.partition("://")
    if scheme in ("http", "https"):  # a signed address has its signature after the name
        rest = unquote(urlsplit(source).path)
    return PurePosixPath(rest).name


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")
