"""How a command names itself in its usage line, reads the numbers of its options, and says why it failed."""

import argparse
import os
import sys

PROGRAM = "signclip"
"""The command that `make install` makes; it has those of all rooms below it."""


def name_command(room: str) -> str:
    """Name a room's command as it was started: `signclip video`, or `python -m video`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{PROGRAM} ") else f"python -m {room}"


def print_error(error: Exception) -> None:
    """Print to standard error why a command failed."""
    print(f"error: {describe_error(error)}", file=sys.stderr)


def describe_error(error: Exception) -> str:
    """Say what was wrong; of an error of the operating system the file and the reason, without its number."""
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    files = [os.fsdecode(file) for file in (error.filename, error.filename2) if isinstance(file, str | bytes)]
    return ": ".join([" and ".join(files), error.strerror]) if files else error.strerror


def parse_positive(word: str) -> int:
    """Parse a whole number of at least 1. argparse puts the option's name before the message.

    Raises:
        ArgumentTypeError: the word is something else.
    """
    if not (word.isascii() and word.isdigit() and int(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of at least 1")
    return int(word)


def parse_share(word: str) -> float:
    """Parse a share, 0 to 1. argparse puts the option's name before the message.

    Raises:
        ArgumentTypeError: the word is something else.
    """
    try:
        share = float(word)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no share; 0 to 1 is needed")
    return share
