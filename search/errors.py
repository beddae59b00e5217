"""The errors of the store.

SearchError                   a request to the store is refused
├── CollectionNameError       the name cannot be the name of a collection
├── EntryInvalidError         an entry cannot be stored
├── FilterError               a filter is not understood
├── NotFoundError             something that was named is not there
│   ├── CollectionUnknownError  there is no such collection
│   ├── EntryUnknownError     there is no such entry
│   ├── VersionUnknownError   the collection has no such version
│   └── PreviewMissingError   an entry keeps no pose that could be drawn
├── ConflictError             what is asked does not go with what is stored
│   ├── CollectionExistsError the collection exists with other vectors
│   └── SpaceMismatchError    vectors of different spaces would be compared
├── BankError                 nothing can be learned from these examples
├── CalibrationError          a background is too small for the rate that was asked for
└── StoreError                the store cannot be read or written
    ├── StoreFullError        there is no room left
"""


class SearchError(Exception):
    """Root of this tree."""

    code = "search_invalid"


class CollectionNameError(SearchError):
    """The name cannot be the name of a collection."""

    code = "collection_name_invalid"


class NotFoundError(SearchError):
    """Something that was named is not there."""

    code = "not_found"


class CollectionUnknownError(NotFoundError):
    """There is no such collection."""

    code = "collection_unknown"

    @classmethod
    def from_name(cls, name: str | None) -> "CollectionUnknownError":
        """Make the error for the name that was given; None where only the database knows which it was."""
        missing = "there is no such collection" if name is None else f"there is no collection {name!r}"
        return cls(f"{missing}; create it first, or list the collections to find its name")

    @classmethod
    def from_replaced(cls, name: str) -> "CollectionUnknownError":
        """Make the error for a collection whose name another one took during the request."""
        return cls(f"collection {name!r} was deleted and created anew meanwhile; send the request again")


class ConflictError(SearchError):
    """What is asked does not go with what is stored."""

    code = "conflict"


class CollectionExistsError(ConflictError):
    """The collection exists with other vectors."""

    code = "collection_exists"


class EntryUnknownError(NotFoundError):
    """There is no such entry."""

    code = "entry_unknown"


class PreviewMissingError(NotFoundError):
    """An entry keeps no pose that could be drawn."""

    code = "preview_missing"


class EntryInvalidError(SearchError):
    """An entry cannot be stored."""

    code = "entry_invalid"


class FilterError(SearchError):
    """A filter is not understood."""

    code = "filter_invalid"


class SpaceMismatchError(ConflictError):
    """Vectors of different spaces would be compared."""

    code = "space_mismatch"


class VersionUnknownError(NotFoundError):
    """The collection has no such version."""

    code = "version_unknown"


class BankError(SearchError):
    """Nothing can be learned from these examples."""

    code = "bank_invalid"


class CalibrationError(SearchError):
    """A background is too small for the rate that was asked for."""

    code = "calibration_too_small"


class StoreError(SearchError):
    """The store cannot be read or written."""

    code = "store_failed"


class StoreFullError(StoreError):
    """There is no room left where the store lies."""

    code = "store_full"
