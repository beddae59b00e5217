"""TF32 on CUDA: float32 numbers multiplied with 11 of their bits, by a switch that the whole process shares."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


def set_tf32(allowed: bool) -> None:
    """Let CUDA multiply float32 numbers in TF32, or forbid it, from the next launch on.

    PyTorch by itself forbids it in matrix products and allows it in convolutions.
    """
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    convolutions: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    convolutions.fp32_precision = "tf32" if allowed else "ieee"


class Switch:
    """A switch of the whole process that threads need in one of two positions.

    Threads that need the same position hold it at once. A thread that needs the other position waits until they have
    ended, in the order of arrival, so that no thread waits forever. Off is its position while no thread holds it.

    Args:
        turn: turns the switch on (True) or off.
    """

    def __init__(self, turn: Callable[[bool], None]) -> None:
        self._turn = turn
        self._changed = threading.Condition()
        self._arrived: deque[object] = deque()  # one for each thread that waits, the first to come first
        self._holders = 0
        self._position = False
        self._own = threading.local()

    @contextmanager
    def hold(self, position: bool) -> Iterator[None]:
        """Turn the switch, and keep it in this position until the block ends.

        A block of a thread may hold another one, of the same position.

        Raises:
            RuntimeError: the thread holds the other position already.
        """
        held: bool | None = getattr(self._own, "position", None)
        if held is not None:
            if held != position:
                raise RuntimeError("a thread needs both positions of one switch at once; end the outer block first")
            yield
            return
        self._enter(position)
        self._own.position = position
        try:
            yield
        finally:
            self._own.position = None
            self._leave()

    def _enter(self, position: bool) -> None:
        ticket = object()
        with self._changed:
            self._arrived.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._arrived[0] is ticket and (not self._holders or self._position == position)
                )
                # Turned by the first and again by all others, because code that knows no Switch may have turned it.
                self._turn(position)
                self._position = position
                self._holders += 1
            finally:
                self._arrived.remove(ticket)
                self._changed.notify_all()

    def _leave(self) -> None:
        with self._changed:
            self._holders -= 1
            if not self._holders:
                if self._position:
                    self._turn(False)
                self._changed.notify_all()


TF32 = Switch(set_tf32)


def hold_format(device: str, dtype: str) -> AbstractContextManager[None]:
    """Keep float32 products as a number format needs them, while a forward of it is launched in this block.

    What counts is when a product is launched, not when the device computes it. A forward in TF32 and one in any other
    format are therefore never launched at the same time. A CPU has no such switch.
    """
    return nullcontext() if device == "cpu" else TF32.hold(dtype == "tf32")
