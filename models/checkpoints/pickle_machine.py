"""Reads a pickle as data: numbers, strings, plain containers, and names that are never looked up.

A pickle is a program for a stack machine. Python's own machine imports and calls what the program names. Restricting it
is not enough: eight bytes can make it allocate gigabytes, and it crashes when it hashes tuples that are nested deeply.
This machine imports and calls nothing that the program chooses, and hashes only strings and short numbers. Its memory
grows with the length of the program alone. Its words are pickletools':
a stack, marks on it, and a memo of numbered objects.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any, NamedTuple


class Placeholder:
    """Stands for an object that is not built."""


class Name(NamedTuple):
    """A class or function that the pickle names."""

    module: object
    name: object


def read_pickle(
    program: bytes | IO[bytes], *, call: Callable[[object, object], object], persistent: Callable[[object], object]
) -> object:
    """Build what a pickle describes.

    Args:
        program: the pickle; or a stream that it begins at, which is left where the pickle ends.
        call: takes what was called, usually a Name, and its arguments; returns what stands for the result.
        persistent: takes the identifier of an object that is kept outside of the pickle; returns what stands for it.
    Returns:
        None, bool, int, float, str, bytes, list, tuple, dict, Name, or what `call` and `persistent` returned. The value
        may contain itself. Dicts keep only keys that are strings or 64-bit numbers. Sets become lists.
    Raises:
        ValueError, LookupError, TypeError: this is not a whole pickle.
    """
    return _Machine(call, persistent).run(program)


class _Machine:
    def __init__(self, call: Callable[[object, object], object], persistent: Callable[[object], object]) -> None:
        self._call = call
        self._persistent = persistent
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: bytes | IO[bytes]) -> object:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode.name]())
            else:
                _STEPS[opcode.name](self, argument)
        raise ValueError("the pickle has no end")

    def take_marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        return self.take(len(self.stack) - self._marks.pop())

    def take(self, count: int) -> list[Any]:
        if not 0 <= count <= len(self.stack):
            raise ValueError("the pickle takes more than it made")
        start = len(self.stack) - count
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self) -> None:
        self._marks.append(len(self.stack))

    def pop(self) -> None:
        if self._marks and self._marks[-1] == len(self.stack):
            self._marks.pop()  # because in Python's machine marks lie on the stack, where POP takes them
        else:
            self.stack.pop()

    def put(self, index: int) -> None:
        self._memo[index] = self.stack[-1]

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        self.stack.append(self._memo[index])

    def extend(self, items: list[Any]) -> None:
        """Add items to the list on top of the stack. An object of another class ignores them."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        """Add keys and values, in turn, to the dict on top. Other keys are dropped: hashing a tuple may never end."""
        if not isinstance(self.stack[-1], dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str) or (isinstance(key, int) and key.bit_length() <= 64):
                self.stack[-1][key] = value

    def make_dict(self) -> None:
        items = self.take_marked()
        self.stack.append({})
        self.update(items)

    def reduce(self) -> None:
        function, arguments = self.take(2)
        self.stack.append(self._call(function, arguments))

    def instantiate(self, _arguments: list[Any]) -> None:
        self.stack.append(Placeholder())

    def persist(self) -> None:
        self.stack.append(self._persistent(self.stack.pop()))


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
    **dict.fromkeys(("PERSID", "EXT1", "EXT2", "EXT4"), Placeholder),
}
# There are no steps for buffers outside of the pickle (NEXT_BUFFER, READONLY_BUFFER), because a file has none.
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _: None),
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.take_marked(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, index: machine.put(index)),
    "MEMOIZE": lambda machine, _: machine.memoize(),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.get(index)),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.take_marked())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.take(3))),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda machine, _: machine.stack.append(machine.take_marked())),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: machine.extend(machine.take_marked())),
    "DICT": lambda machine, _: machine.make_dict(),
    "SETITEM": lambda machine, _: machine.update(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.take_marked()),
    "GLOBAL": lambda machine, words: machine.stack.append(Name(*words.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.stack.append(Name(*machine.take(2))),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda machine, _: machine.reduce()),
    "NEWOBJ_EX": lambda machine, _: machine.instantiate(machine.take(3)),
    **dict.fromkeys(("INST", "OBJ"), lambda machine, _: machine.instantiate(machine.take_marked())),
    # Python's machine would give the state to the object. Here it is dropped, because placeholders have no state.
    "BUILD": lambda machine, _: machine.take(1),
    "BINPERSID": lambda machine, _: machine.persist(),
}
