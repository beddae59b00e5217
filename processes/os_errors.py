"""Says what went wrong when the operating system refused something, without its error number."""

import errno
import os

# What mending the disk, the rights or the name of a folder helps against, and asking again does not.
_OF_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
)


def describe_error(error: Exception) -> str:
    """Say what was wrong; of an error of the operating system the file and the reason."""
    if not isinstance(error, OSError):
        return str(error)
    files = [os.fsdecode(file) for file in (error.filename, error.filename2) if isinstance(file, str | bytes)]
    reason = describe_reason(error)
    return f"{' and '.join(files)}: {reason}" if files and error.strerror else reason


def describe_reason(error: Exception) -> str:
    """Say the same without the file, for a sentence that names it already."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def is_fault_of_disk(error: Exception) -> bool:
    """Check whether a file could not be written because of the disk, its rights or its folders."""
    return isinstance(error, OSError) and error.errno in _OF_DISK
