"""The C library's heap, which keeps what many threads freed and gives it back to none."""

import ctypes

# glibc's M_ARENA_MAX (malloc.h). By itself it makes eight arenas a core, and each keeps its own freed blocks.
_M_ARENA_MAX = -8
# One worker with JSON of three 687 KB poses on 8 connections grew to 179 MB and went on, and stayed at 128 MB with two
# arenas. Lower thresholds of mmap kept it at 53 MB, at less than half the requests/s.
_ARENAS = 2


def limit_arenas() -> bool:
    """Let threads share two arenas. Call it before threads start; returns whether this C library has them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no arenas
        return False
    return bool(mallopt(_M_ARENA_MAX, _ARENAS))
