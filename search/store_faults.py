"""Faults of a store's library: its words go into the log, and clients learn only what failed."""

import logging
import re

from search.errors import StoreError

log = logging.getLogger(__name__)
# Of a library's message, the rest of which quotes statements and paths of its own source.
_CAUSE_CHARS = 200
# What a message quotes may be what a user stored or asked for, which no log shows.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def make_store_error(what: str, error: Exception) -> StoreError:
    """Make the error for a fault of the store, and log the library's message.

    The message names machines, users and paths, which clients need not know.

    Args:
        what: what failed, as "collection 'words' cannot be read or written".
    """
    cause = (str(error).strip() or type(error).__name__).splitlines()[0]
    log.error("%s: %s", what, _QUOTED.sub("'…'", cause)[:_CAUSE_CHARS])
    return StoreError(f"{what}; the server's log says why")
