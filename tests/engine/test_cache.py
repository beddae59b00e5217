"""The text cache: what it keeps, what it lets go, and that equal keys mean equal texts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.cache import TextCache, make_text_key

VECTOR = np.arange(4, dtype=np.float32)


def key(name: str) -> tuple[str, str, bytes]:
    return ("m", "digest", name.encode())


def test_the_least_recently_used_goes_first():
    cache = TextCache(2)
    for name in "ab":
        cache.put(key(name), VECTOR)
    cache.get(key("a"))
    cache.put(key("c"), VECTOR)
    assert [cache.get(key(name)) is not None for name in "abc"] == [True, False, True]
    assert len(cache) == 2


def test_putting_again_counts_as_a_use():
    cache = TextCache(2)
    for name in "abac":
        cache.put(key(name), VECTOR)
    assert [cache.get(key(name)) is not None for name in "abc"] == [True, False, True]


def test_a_cache_without_room_keeps_nothing():
    cache = TextCache(0)
    cache.put(key("a"), VECTOR)
    assert len(cache) == 0
    assert cache.get(key("a")) is None


def test_a_vector_does_not_keep_its_batch_alive():
    batch = np.zeros((100, 4), dtype=np.float32)
    cache = TextCache(1)
    cache.put(key("a"), batch[3])
    kept = cache.get(key("a"))
    assert kept is not None
    assert kept.base is None
    batch[3] = 1
    np.testing.assert_array_equal(kept, 0)


def test_model_and_checkpoint_are_part_of_the_key():
    cache = TextCache(10)
    cache.put(("m", "one", b"a"), VECTOR)
    assert cache.get(("m", "two", b"a")) is None
    assert cache.get(("n", "one", b"a")) is None


ids = st.lists(st.integers(0, 200_000), max_size=8)
integers = st.sampled_from([np.int32, np.int64, np.uint32])


@given(ids, ids, integers, integers)
def test_keys_are_equal_exactly_when_the_ids_are(first, second, first_type, second_type):
    """Also between integer types: int64 [5] and int32 [5, 0] are the same bytes."""
    same = make_text_key(np.array(first, dtype=first_type)) == make_text_key(np.array(second, dtype=second_type))
    assert same == (first == second)
    assert make_text_key(np.array(first, dtype=first_type)) == make_text_key(np.array(first, dtype=second_type))


def test_a_text_is_not_taken_for_the_same_bytes_of_another_type():
    assert make_text_key(np.array([5], dtype=np.int64)) != make_text_key(np.array([5, 0], dtype=np.int32))
