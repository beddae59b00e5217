"""The text cache: what it keeps, what it lets go, and that equal keys mean equal texts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.cache import TextCache, make_text_keys

VECTOR = np.arange(4, dtype=np.float32)


def key(name: str) -> list[bytes]:
    return [name.encode()]


def put(cache: TextCache, names: str) -> None:
    for name in names:
        cache.put("m", "digest", key(name), VECTOR[None])


def kept(cache: TextCache, names: str) -> list[bool]:
    return [vector is not None for vector in cache.get("m", "digest", [name.encode() for name in names])]


def test_the_least_recently_used_goes_first():
    cache = TextCache(2)
    put(cache, "ab")
    cache.get("m", "digest", key("a"))
    put(cache, "c")
    assert kept(cache, "abc") == [True, False, True]
    assert len(cache) == 2


def test_putting_again_counts_as_a_use():
    cache = TextCache(2)
    put(cache, "abac")
    assert kept(cache, "abc") == [True, False, True]


def test_many_at_once_are_those_one_by_one():
    cache = TextCache(3)
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    cache.put("m", "digest", [b"a", b"b", b"c", b"d"], vectors)
    found = cache.get("m", "digest", [b"d", b"a", b"b", b"d"])
    assert found[1] is None
    for place, row in ((0, 3), (2, 1), (3, 3)):
        np.testing.assert_array_equal(found[place], vectors[row])


def test_a_cache_without_room_keeps_nothing():
    cache = TextCache(0)
    put(cache, "a")
    assert len(cache) == 0
    assert kept(cache, "a") == [False]
    assert not cache.keeps_any
    assert TextCache(1).keeps_any


def test_a_vector_does_not_keep_its_batch_alive():
    batch = np.zeros((100, 4), dtype=np.float32)
    cache = TextCache(1)
    cache.put("m", "digest", key("a"), batch[3:4])
    (vector,) = cache.get("m", "digest", key("a"))
    assert vector is not None
    assert vector.base is None
    batch[3] = 1
    np.testing.assert_array_equal(vector, 0)


def test_model_and_checkpoint_are_part_of_the_key():
    cache = TextCache(10)
    cache.put("m", "one", key("a"), VECTOR[None])
    assert cache.get("m", "two", key("a")) == [None]
    assert cache.get("n", "one", key("a")) == [None]


ids = st.lists(st.integers(0, 200_000), max_size=8)
integers = st.sampled_from([np.int32, np.int64, np.uint32])


@given(st.lists(ids, min_size=1, max_size=6), integers, integers, st.booleans())
def test_keys_are_equal_exactly_when_the_ids_are(texts, first_type, second_type, is_joined):
    """Also between integer types: int64 [5] and int32 [5, 0] are the same bytes."""
    lengths = np.array([len(text) for text in texts])
    arrays = [np.array(text, dtype=first_type) for text in texts]
    keys = make_text_keys([np.concatenate(arrays)] if is_joined else arrays, lengths)
    for number, text in enumerate(texts):
        assert make_text_keys([np.array(text, dtype=second_type)], np.array([len(text)])) == [keys[number]]
        assert [keys[number] == other for other in keys] == [text == other for other in texts]
