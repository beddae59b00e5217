"""Makes hostile inputs of good ones: bytes that are damaged, and documents whose values are replaced."""

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

# Lengths, counts and offsets that break arithmetic: zero, signs, and both sides of every width.
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_WIDTHS = (("B", 8), ("H", 16), ("I", 32), ("Q", 64))
# Damage that one input takes at most. More makes it noise, which the first check refuses.
_MOST_CHANGES = 6
_LONGEST_PIECE = 64
# A body as large as a route takes would make each input slow; limits of size have tests of their own.
LARGEST_BYTES = 400_000
_HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 1e308, -0.0, 5e-324, 0.5, "", " ", "\0", "null", "NaN"),
    *("A" * 20_000, "𝒽ð\u202e\u0301" * 50, "../../../etc/passwd", "file:///etc/passwd", "<en> <ase> A", "{}", "[]"),
    *("<script>alert(1)</script>", "' OR 1=1 --", "%s%n%x", "${jndi:ldap://x}", "a" * 64, "tiny", "default", "ase"),
    *([], {}, [[]], [None], {"": ""}, [[[[[[[[[[[]]]]]]]]]]], ["A"] * 300, {"not": {"not": {"not": "A"}}}, [0.0] * 32),
    {str(number): number for number in range(300)},
)

Change = Callable[[random.Random, bytearray], None]


def damage(rng: random.Random, original: bytes, *, words: Sequence[bytes] = (), others: Sequence[bytes] = ()) -> bytes:
    """Damage bytes in a few places.

    Args:
        words: pieces that the format knows, to write somewhere.
        others: good inputs, of which pieces are taken.
    """
    data = bytearray(original)
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        at = _choose_place(rng, len(data))
        kind = rng.random()
        if words and kind < 0.2:
            word = rng.choice(words)
            data[at : at + rng.choice((0, len(word)))] = word
        elif others and kind < 0.3:
            _splice(rng, data, at, rng.choice(others))
        else:
            rng.choice(_CHANGES)(rng, data)
    return bytes(data[:LARGEST_BYTES])


def _choose_place(rng: random.Random, size: int) -> int:
    """Choose a place, half of the times near the start, where headers are."""
    return rng.randint(0, min(size, 200) if rng.random() < 0.5 else size)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[min(_choose_place(rng, len(data)), len(data) - 1)] ^= 1 << rng.randrange(8)


def _write_byte(rng: random.Random, data: bytearray) -> None:
    if data:
        data[min(_choose_place(rng, len(data)), len(data) - 1)] = rng.randrange(256)


def _write_number(rng: random.Random, data: bytearray) -> None:
    at, (code, bits) = _choose_place(rng, len(data)), rng.choice(_WIDTHS)
    number = struct.pack(rng.choice("<>") + code, rng.choice(_NUMBERS) % 2**bits)
    data[at : at + len(number)] = number


def _write_float(rng: random.Random, data: bytearray) -> None:
    at = _choose_place(rng, len(data))
    data[at : at + 4] = struct.pack("<f", rng.choice((0.0, -1.0, 1e-45, 1e30, 3.4e38, float("nan"), float("inf"))))


def _insert(rng: random.Random, data: bytearray) -> None:
    at = _choose_place(rng, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, _LONGEST_PIECE))


def _delete(rng: random.Random, data: bytearray) -> None:
    at = _choose_place(rng, len(data))
    del data[at : at + rng.randint(1, _LONGEST_PIECE)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = _choose_place(rng, len(data))
    data[at:at] = data[at : at + rng.randint(1, _LONGEST_PIECE)] * rng.randint(1, 8)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randint(0, len(data)) :]


def _swap(rng: random.Random, data: bytearray) -> None:
    first, second = sorted((_choose_place(rng, len(data)), _choose_place(rng, len(data))))
    data[first:] = data[second:] + data[first:second]


def _splice(rng: random.Random, data: bytearray, at: int, other: bytes) -> None:
    start = _choose_place(rng, len(other))
    data[at : at + rng.randint(0, _LONGEST_PIECE)] = other[start : start + rng.randint(1, 4 * _LONGEST_PIECE)]


_CHANGES: Sequence[Change] = (
    *(_flip, _flip, _write_byte, _write_number, _write_number, _write_float),
    *(_insert, _delete, _repeat, _cut, _swap),
)


def change_document(rng: random.Random, document: Mapping[str, Any], *, keys: Sequence[str]) -> bytes:
    """Change a JSON object in a few places, and write it; a fifth of the results are damaged as bytes, too.

    Args:
        keys: names that the service knows, to give to values that do not belong there.
    """
    changed: Any = orjson.loads(orjson.dumps(document))
    for _ in range(rng.randint(1, 3)):
        value = _change_value(rng, changed, keys)
        if isinstance(value, dict) or rng.random() < 0.1:
            changed = value
    written = orjson.dumps(changed)
    words = (b'"\\ud800"', b"NaN", b"1e999", b'{"a":', b"[" * 300, b'"text":', b"\xff\xfe", b"\xef\xbb\xbf", b"//")
    return damage(rng, written, words=words) if rng.random() < 0.2 else written


def _change_value(rng: random.Random, value: Any, keys: Sequence[str]) -> Any:
    """Replace, remove, add, rename or repeat something in a value."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(_HOSTILE_VALUES)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        if rng.random() < 0.3:
            return value[:at] + [value[at]] * rng.randint(0, 40)
        return [*value[:at], _change_value(rng, value[at], keys), *value[at + 1 :]]
    changed, key = dict(value), rng.choice(list(value))
    kind = rng.random()
    if kind < 0.1:
        del changed[key]
    elif kind < 0.2:
        changed[rng.choice(keys)] = changed.pop(key)
    elif kind < 0.5:
        changed[rng.choice(keys)] = rng.choice(_HOSTILE_VALUES)
    elif kind < 0.6:
        changed[key] = [changed[key]] * rng.randint(1, 20)
    else:
        changed[key] = _change_value(rng, changed[key], keys)
    return changed
