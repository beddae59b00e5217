from __future__ import annotations

import collections
import pickle
import pickletools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoints.pickle_machine import Name, Placeholder, read_pickle

# pickletools complains of stray backslashes in names before it refuses them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
REFUSALS = (ValueError, LookupError, TypeError)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(),
)
keys = st.one_of(st.text(), st.integers(-(2**63), 2**63))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner), st.lists(inner, min_size=3)
    ),
    max_leaves=30,
)


def read(program: bytes) -> object:
    return read_pickle(program, call=lambda function, arguments: Placeholder(), persistent=lambda key: ("kept", key))


@settings(max_examples=200)
@given(values, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_come_back_as_pickle_wrote_them(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))  # before, bytes are written as a call
@pytest.mark.parametrize("value", [b"", b"abc", b"x" * 300])
def test_bytes_come_back(value, protocol):
    assert read(pickle.dumps([value], protocol)) == [value]


def test_objects_that_are_shared_or_hold_themselves_stay_so():
    shared: list[object] = [1]
    value: dict[str, object] = {"one": shared, "other": shared}
    value["self"] = value
    got = read(pickle.dumps(value))
    assert isinstance(got, dict)
    assert got["self"] is got
    assert got["one"] is got["other"]


def test_only_keys_that_are_quickly_hashed_are_kept():
    value = {"a": 1, 2: 3, 2**64: 4, (5,): 6, None: 7, 1.5: 8, b"b": 9, True: 10}
    assert read(pickle.dumps(value)) == {"a": 1, 2: 3, True: 10}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_sets_become_lists(protocol):
    got = read(pickle.dumps({"a": frozenset([1])}, protocol))
    assert isinstance(got, dict)
    assert got["a"] == [1] or isinstance(got["a"], Placeholder)  # early protocols call frozenset


def test_classes_and_functions_are_names():
    assert read(pickle.dumps(collections.OrderedDict, 2)) == Name("collections", "OrderedDict")
    assert read(pickle.dumps(collections.OrderedDict, 4)) == Name("collections", "OrderedDict")


def test_calls_and_persistent_identifiers_are_asked_for():
    calls = []
    got = read_pickle(
        b"\x80\x02cpackage.module\nsomething\nK\x01K\x02\x86R}b\x85Pkey\nX\x01\x00\x00\x00kQ\x87.",
        call=lambda function, arguments: calls.append((function, arguments)),
        persistent=lambda key: f"kept {key}",
    )
    assert calls == [(Name("package.module", "something"), (1, 2))]
    assert isinstance(got, tuple)
    assert got[0] == (None,)
    assert isinstance(got[1], Placeholder)
    assert got[2] == "kept k"


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (b"K\x01(0.", 1),  # POP of a mark
        (b"(K\x01(0K\x02l.", [1, 2]),  # POP of a mark above another one
        (b"(K\x01K\x020l.", [1]),  # POP of a value above a mark
        (b"K\x01K\x020.", 1),
    ],
)
def test_pop_takes_a_mark_or_a_value_whichever_is_on_top(program, value):
    assert read(program) == value == pickle.loads(program)


class Stateful:
    """Pickled, it would be given its state back."""

    def __init__(self) -> None:
        self.path = "x"

    def __setstate__(self, state: object) -> None:
        raise AssertionError("a state was set")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Stateful(), Path("x"), complex(1, 2), range(3), collections.Counter("aab")])
def test_objects_are_never_built(value, protocol):
    got = read(pickle.dumps([value, "after"], protocol))
    assert isinstance(got, list)
    assert isinstance(got[0], Placeholder)
    assert got[1] == "after"


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"\x80\x02",
        b"0.",
        b"t.",
        b"\x85.",
        b"NNR",
        b"K\x01b.",
        b"h\x05.",
        b"(((((",
        b"(u.",
        b"}(K\x01u.",
        b"\x97.",  # a buffer from outside
        b"\xff.",
        b"cno_newline",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",  # a string of 2**63 bytes
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fabc.",  # a bytearray of as many
        b"\x8b\xff\xff\xff\x7fabc.",  # a number of 2 GB
        b"I" + b"9" * 10_000 + b"\n.",
    ],
)
def test_what_is_no_whole_pickle_is_refused(program):
    with pytest.raises(REFUSALS):
        read(program)


@pytest.mark.parametrize(
    "program",
    [
        b"}N" + b"\x85" * 200_000 + b"Ns.",  # hashing this key would overflow the stack of Python's own machine
        b"}N" + b"2\x86" * 100_000 + b"Ns.",  # or, with each level twice, never end
        b"Nr\xff\xff\xff\xff.",  # Python's memo would grow to 64 GB
        b"(" * 200_000 + b"N.",
        b"]" + b"2a" * 100_000 + b".",
    ],
    ids=["deep", "doubled", "memo", "marks", "holds itself"],
)
def test_memory_grows_with_the_program_alone(program):
    tracemalloc.start()
    try:
        read(program)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000 + 130 * len(program)


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@settings(max_examples=500)
@given(st.lists(st.one_of(st.sampled_from(OPCODES), st.binary(max_size=5)), max_size=60))
def test_random_programs_end_in_a_value_or_a_refusal(parts):
    try:
        read(b"".join(parts) + b".")
    except REFUSALS:
        return


@settings(max_examples=300)
@given(value=values, data=st.data())
def test_damaged_pickles_end_in_a_value_or_a_refusal(value, data):
    program = bytearray(pickle.dumps(value))
    for _ in range(data.draw(st.integers(1, 4))):
        program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(program))
    except REFUSALS:
        return
