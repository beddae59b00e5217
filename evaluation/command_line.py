"""Argument types that the command lines of training and evaluation share."""

import argparse


def parse_positive(word: str) -> int:
    """Parse a whole number of at least 1. argparse puts the option's name before the message.

    Raises:
        ArgumentTypeError: the word is something else.
    """
    if not (word.isascii() and word.isdigit() and int(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of at least 1")
    return int(word)
