"""Translates psycopg's errors into ours, at the one border between the two."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from search.errors import CollectionUnknownError, EntryInvalidError, SearchError, StoreFullError
from search.store_faults import make_store_error

# What the system says when a disk, a quota or a file is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DETAIL_CHARS = 200


@contextmanager
def translate_errors(name: str | None = None) -> Iterator[None]:
    """Raise our errors in place of psycopg's.

    Args:
        name: the collection that is used; None: none.
    Raises:
        StoreFullError: the server, or this machine, has no room left.
        CollectionUnknownError: another process has deleted the collection.
        EntryInvalidError: a text cannot be kept.
        StoreError: anything else went wrong.
    """
    try:
        yield
    except SearchError:
        raise
    except errors.DiskFull as error:
        raise StoreFullError("the PostgreSQL server has no room left; nothing was changed") from error
    except errors.UndefinedTable as error:
        raise CollectionUnknownError.from_name(name) from error
    except (psycopg.DataError, UnicodeEncodeError) as error:
        raise EntryInvalidError(f"PostgreSQL cannot keep this: {_shorten(error)}") from error
    except OSError as error:  # of the snapshots, which lie on this machine
        if error.errno in _FULL:
            raise StoreFullError(
                "there is no room left in the system's folder for temporary files, where exact searches keep a file"
            ) from error
        raise make_store_error("the file for exact searches cannot be written or read", error) from error
    except psycopg.Error as error:
        where = "the database" if name is None else f"collection {name!r}"
        raise make_store_error(f"{where} cannot be read or written", error) from error


def _shorten(error: Exception) -> str:
    """Give the first line of a message; the lines below quote the statement."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:_DETAIL_CHARS]
