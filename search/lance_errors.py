"""Translates LanceDB's errors into ours, at the one border between the two."""

from collections.abc import Iterator
from contextlib import contextmanager

from search.errors import CollectionUnknownError, SearchError, StoreFullError
from search.store_faults import make_store_error

# What the system says when a disk, a quota or a file is full (ENOSPC, EDQUOT, EFBIG), in the words of LanceDB's errors.
_FULL = ("os error 28", "os error 122", "os error 27", "No space left")


@contextmanager
def translate_errors(name: str | None = None) -> Iterator[None]:
    """Raise our errors in place of LanceDB's and the system's.

    Args:
        name: the collection that is used; None: none.
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
        if name is not None and "Not found" in text and "_versions" in text:
            raise CollectionUnknownError.from_name(name) from error
        where = "the store" if name is None else f"collection {name!r}"
        raise make_store_error(f"{where} cannot be read or written", error) from error
