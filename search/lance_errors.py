"""Translates LanceDB's errors into ours, at the one border between the two."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from search.errors import CollectionUnknownError, SearchError, StoreFullError
from search.store_faults import make_store_error

# What the system says when a disk, a quota or a file is full (ENOSPC, EDQUOT, EFBIG), in the words of LanceDB's errors.
_FULL = ("os error 28", "os error 122", "os error 27", "No space left")


@contextmanager
def translate_errors(name: str | None = None, *, is_gone: Callable[[], bool] | None = None) -> Iterator[None]:
    """Raise our errors in place of LanceDB's and the system's.

    Args:
        name: the collection that is used; None: none.
        is_gone: finds out whether the collection was deleted, where files of it are missing; None: do not ask.
    Raises:
        StoreFullError: there is no room left.
        CollectionUnknownError: another process has deleted the collection.
        StoreError: anything else went wrong.
    """
    try:
        yield
    except SearchError:
        raise
    except (RuntimeError, OSError, ValueError) as error:
        text = str(error)
        if any(sign in text for sign in _FULL) or getattr(error, "errno", None) in (28, 122, 27):
            raise StoreFullError("there is no room left where SIGNCLIP_SEARCH_DIR lies; nothing was changed") from error
        if name is not None and is_of_missing_file(error) and (is_of_missing_table(error) or (is_gone and is_gone())):
            raise CollectionUnknownError.from_name(name) from error
        where = "the store" if name is None else f"collection {name!r}"
        raise make_store_error(f"{where} cannot be read or written", error) from error


def is_of_missing_file(error: Exception) -> bool:
    """Whether LanceDB did not find a file."""
    return "Not found" in str(error)


def is_of_missing_table(error: Exception) -> bool:
    """Whether LanceDB did not find the folder that every table has."""
    return is_of_missing_file(error) and "_versions" in str(error)
