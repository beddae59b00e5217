"""The errors of search.

SearchError
├── CollectionNameError      the name cannot be the name of a collection
├── CollectionUnknownError   there is no such collection
├── CollectionExistsError    the collection exists with other vectors
├── EntryUnknownError        there is no such entry
├── PreviewMissingError      an entry keeps no pose that could be drawn
├── EntryInvalidError        an entry cannot be stored
├── FilterError              a filter is not understood
├── SpaceMismatchError       vectors of different spaces would be compared
├── VersionUnknownError      the collection has no such version
├── BankError                nothing can be learned from these examples
├── CalibrationError         a background is too small for the rate that was asked for
└── StoreError               the store cannot be read or written
    ├── StoreFullError       there is no room left
    └── StoreMissingError    the package that reads this kind of store is not installed
"""


class SearchError(Exception):
    """Root of this tree."""

    code = "search_invalid"


class CollectionNameError(SearchError):
    """The name cannot be the name of a collection."""

    code = "collection_name_invalid"


class CollectionUnknownError(SearchError):
    """There is no such collection."""

    code = "collection_unknown"


class CollectionExistsError(SearchError):
    """The collection exists with other vectors."""

    code = "collection_exists"


class EntryUnknownError(SearchError):
    """There is no such entry."""

    code = "entry_unknown"


class PreviewMissingError(SearchError):
    """An entry keeps no pose that could be drawn."""

    code = "preview_missing"


class EntryInvalidError(SearchError):
    """An entry cannot be stored."""

    code = "entry_invalid"


class FilterError(SearchError):
    """A filter is not understood."""

    code = "filter_invalid"


class SpaceMismatchError(SearchError):
    """Vectors of different spaces would be compared."""

    code = "space_mismatch"


class VersionUnknownError(SearchError):
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


class StoreMissingError(StoreError):
    """The package that reads this kind of store is not installed."""

    code = "store_missing"
