"""How a command names itself in its usage line, reads the numbers of its options, and says why it failed."""

import argparse
import sys

from processes.os_errors import describe_error

PROGRAM = "signclip"
"""The command that `make install` makes; it has those of all rooms below it."""


def name_command(room: str) -> str:
    """Name a room's command as it was started: `signclip video`, or `python -m video`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{PROGRAM} ") else f"python -m {room}"


def print_error(error: Exception) -> None:
    """Print to standard error why a command failed."""
    print(f"error: {describe_error(error)}", file=sys.stderr)


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
