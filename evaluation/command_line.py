"""What command lines of training and evaluation share."""

import argparse


def positive(word: str) -> int:
    """Read a whole number of at least 1; argparse names the option.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (word.isascii() and word.isdigit() and int(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number of at least 1")
    return int(word)
