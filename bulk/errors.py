"""What ends a run, as opposed to what costs one row.

BulkError
├── SourceError      the source is not there, or is no source of items
├── StorageError     an object store or an address cannot be read
├── FolderError      the folder of the vectors cannot be used
│   ├── OtherRunError   it holds vectors that were made in another way
│   └── FolderBusyError another run writes there now
├── PoolError        the processes that prepare clips do not start
└── RayError         Ray is not installed, or its cluster was lost

Every message says what was wrong, and what to do next.
"""

from __future__ import annotations


class BulkError(Exception):
    """A run cannot start or go on."""


class SourceError(BulkError):
    """The source is not there, or is no source of items."""


class StorageError(BulkError):
    """An object store or an address cannot be read."""

    code = "storage_failed"


class FolderError(BulkError):
    """The folder of the vectors cannot be used."""


class OtherRunError(FolderError):
    """The folder holds vectors that were made by another model or with other options."""


class FolderBusyError(FolderError):
    """Another run writes into the folder now."""


class PoolError(BulkError):
    """The processes that prepare clips do not start."""


class RayError(BulkError):
    """Ray is not installed, or its cluster was lost."""
