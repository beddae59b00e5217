"""What a fuzzer needs to know of the thing that it sends inputs to."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

# Makes one input; the same state of the generator makes the same input.
Make = Callable[[random.Random], bytes]
# Sends one input; returns what came of it in a word or two, and raises where a promise is broken.
Send = Callable[[bytes], str]


class FaultError(Exception):
    """A promise was broken by an answer, and not by an exception."""


@dataclass(frozen=True)
class Target:
    """Something that takes bytes from outside.

    Attributes:
        name: by which the command line knows it.
        share: of all inputs, in relation to the other targets' shares.
        open: starts what is needed, and gives how to make and to send inputs, until the block ends.
        dies_alone: whether the service reads these bytes in a process of their own, and answers when that dies.
    """

    name: str
    share: int
    open: Callable[[], AbstractContextManager[tuple[Make, Send]]]
    dies_alone: bool = False
