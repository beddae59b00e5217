"""Says what went wrong when the operating system refused something, without its error number."""

import os


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
