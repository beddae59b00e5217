"""Clips are parsed once; what is read back is what was computed; writers, crashes and changed files do no harm."""

import multiprocessing
import os
import pickle
import sqlite3
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import CacheError, Clips, FeatureCache, loading, read_corpus
from corpora.cache import Place
from corpora.clip_files import read_features
from poses import FeatureOptions


@pytest.fixture
def clips(manifest):
    return Clips(read_corpus("manifest", manifest))


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


@pytest.fixture
def parsed(monkeypatch):
    """Ids of the clips that are parsed from now on."""
    seen = []

    def count(example, kind, options):
        seen.append(example.id)
        return read_features(example, kind, options)

    monkeypatch.setattr(loading, "read_features", count)
    return seen


def test_second_opening_parses_nothing(clips, cache, parsed):
    progress = []
    first = clips.fill_cache(cache, on_clip=lambda done, total: progress.append((done, total)))
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(parsed) == 4
    second = clips.fill_cache(FeatureCache(cache.folder))
    assert len(parsed) == 4
    for index, example in enumerate(first.corpus.examples):
        features, got = second[index]
        assert got == example
        assert features.dtype == np.float32
        assert not features.flags.writeable
        assert (features == read_features(example, "signclip", FeatureOptions())).all()
    assert first.frames.tolist() == [73, 20, 21]
    assert sorted(path.name for path in cache.folder.iterdir()) == ["index.sqlite", "shard-00000.f32"]


def test_features_are_mapped_not_copied(clips, cache):
    cached = clips.fill_cache(cache)
    base = cached[0].features
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert np.shares_memory(cached[0].features, cached[0].features)


def test_unreadable_clips_are_listed_and_not_tried_again(clips, cache, parsed):
    cached = clips.fill_cache(cache)
    assert [example.id for example in cached.corpus.examples] == [e.id for e in clips.corpus.examples[:3]]
    (unreadable,) = cached.unreadable
    assert unreadable.id == "clips/c.mov"
    assert "python -m video estimate" in unreadable.reason
    parsed.clear()
    assert clips.fill_cache(cache).unreadable == cached.unreadable
    assert parsed == []


def test_what_the_system_did_not_give_is_asked_for_again(clips, cache, monkeypatch):
    real, refusals = Path.read_bytes, []

    def refuse(path):
        if path.name.startswith("house") and not refusals:
            refusals.append(path)
            raise OSError(24, "Too many open files")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    first = clips.fill_cache(cache)
    assert refusals
    assert "Too many open files" in str([note.reason for note in first.unreadable])
    again = clips.fill_cache(FeatureCache(cache.folder))
    assert len(again) == len(first) + 1
    assert len(again.unreadable) == len(first.unreadable) - 1


def test_a_changed_file_is_parsed_again(clips, cache, parsed, pose_file):
    clips.fill_cache(cache)
    parsed.clear()
    pose_file(clips.corpus.examples[2].path, "gsg_C")
    assert clips.fill_cache(cache).frames.tolist() == [73, 20, 26]
    assert parsed == ["clips/a.pose"]
    os.utime(clips.corpus.examples[0].path, ns=(1, 1))
    clips.fill_cache(cache)
    assert parsed[1:] == ["clips/house.pose", "clips/house.pose@0.4-1.2"]
    clips.corpus.examples[2].path.unlink()
    assert clips.fill_cache(cache).unreadable[0].reason.endswith("the file does not exist")


def test_kinds_and_options_have_features_of_their_own(clips, cache, parsed):
    cached = [
        Clips(clips.corpus, kind, options=options).fill_cache(cache)
        for kind in ("signclip", "fingerclip")
        for options in (
            FeatureOptions(),
            FeatureOptions(flip="always"),
            FeatureOptions(anonymize=True),
            FeatureOptions(trim="auto"),
        )
    ]
    assert len(parsed) == 4 * len(cached)
    assert len({clips_[0].features.tobytes() for clips_ in cached}) == len(cached)
    for clips_ in cached:
        assert (clips_[0].features == read_features(clips_[0].example, clips_.kind, clips_.options)).all()


def test_a_version_of_its_own(clips, cache, parsed, monkeypatch):
    clips.fill_cache(cache)
    monkeypatch.setattr("corpora.cache.get_feature_version", lambda kind: 99)
    clips.fill_cache(cache)
    assert len(parsed) == 8


def test_shards_are_few_and_bounded(cache):
    cache = FeatureCache(cache.folder, shard_bytes=1000)
    arrays = {bytes([number] * 16): np.full((number, 5), number, np.float32) for number in range(1, 30)}
    for key, features in arrays.items():
        cache.add([(key, features)])
    places, _ = cache.look_up(list(arrays))
    sizes = [path.stat().st_size for path in cache.folder.glob("shard-*")]
    assert len(sizes) <= sum(features.nbytes for features in arrays.values()) / 1000 + 1
    assert all((cache.read(places[key]) == features).all() for key, features in arrays.items())


@settings(max_examples=15)  # each writes to the disk and waits for it
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.integers(1, 4)), max_size=12), st.integers(1, 300))
def test_whatever_is_added_comes_back(clips, shard_bytes):
    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(Path(folder), shard_bytes)
        expected = {}
        for number, frames, dim in clips:
            features = np.full((frames, dim), number, np.float32)
            key = bytes([number])
            cache.add([(key, features), (key, features)])
            expected.setdefault(key, features)
        places, reasons = cache.look_up([*expected, b"unknown"])
        assert places.keys() == expected.keys()
        assert not reasons
        assert all(np.array_equal(cache.read(places[key]), features) for key, features in expected.items())


def add_many(folder, seed, barrier):
    cache = FeatureCache(folder, shard_bytes=50_000)
    barrier.wait()
    for number in range(40):
        # Half of the keys are everyone's: the same clip, written by all at once.
        key = f"{number if number % 2 else (seed, number)}".encode()
        cache.add([(key, np.full((3 + number, 7), hash_of(key), np.float32))])


def hash_of(key):
    return float(sum(key))


def test_writers_of_several_processes(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    writers = [context.Process(target=add_many, args=(tmp_path, seed, barrier)) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    cache = FeatureCache(tmp_path)
    keys = [f"{n if n % 2 else (seed, n)}".encode() for seed in range(4) for n in range(40)]
    places, _ = cache.look_up(keys)
    assert len(places) == len(set(keys)) == 20 + 4 * 20
    for key, place in places.items():
        assert (cache.read(place) == hash_of(key)).all()
    spans = sorted((place.shard, place.offset, place.end) for place in places.values())
    assert all(a[0] < b[0] or a[2] <= b[1] for a, b in pairwise(spans))
    # What two wanted to write is there once.
    sizes = [path.stat().st_size for path in tmp_path.glob("shard-*.f32")]
    assert sum(sizes) == sum(end - offset for _, offset, end in spans)


def test_what_a_dead_writer_left_is_overwritten(cache):
    cache.add([(b"a", np.ones((2, 3), np.float32))])
    with (cache.folder / "shard-00000.f32").open("ab") as shard:
        shard.write(b"half of a clip")
    cache.add([(b"b", np.full((1, 3), 2, np.float32))])
    places, _ = cache.look_up([b"a", b"b"])
    assert (cache.read(places[b"a"]) == 1).all()
    assert (cache.read(places[b"b"]) == 2).all()


def test_deleted_shards_are_written_anew(clips, cache, parsed):
    clips.fill_cache(cache)
    (cache.folder / "shard-00000.f32").unlink()
    again = clips.fill_cache(FeatureCache(cache.folder))
    assert len(parsed) == 4 + 3
    for features, example in again:
        assert (features == read_features(example, "signclip", FeatureOptions())).all()
    assert [path.name for path in cache.folder.glob("shard*")] == ["shard-00001.f32"]


def test_shards_deleted_while_in_use(clips, cache):
    cached = pickle.loads(pickle.dumps(clips.fill_cache(cache)))
    shard = cache.folder / "shard-00000.f32"
    os.truncate(shard, 4)
    with pytest.raises(CacheError, match="ends before"):
        cached[0]
    shard.unlink()
    with pytest.raises(CacheError, match="cannot be mapped"):
        pickle.loads(pickle.dumps(cached))[0]


def test_a_copy_in_another_process_reads_the_same(clips, cache):
    cached = clips.fill_cache(cache)
    cached[0]
    size = len(pickle.dumps(cached))
    assert size < 10_000  # no features travel
    assert (pickle.loads(pickle.dumps(cached))[1].features == cached[1].features).all()


def test_folders_that_are_no_cache(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be used"):
        FeatureCache(tmp_path / "file")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(CacheError, match="cannot be used"):
        FeatureCache(tmp_path / "damaged")
    newer = FeatureCache(tmp_path / "newer")
    with sqlite3.connect(newer.folder / "index.sqlite") as index:
        index.execute("PRAGMA user_version = 7")
    index.close()
    with pytest.raises(CacheError, match="format 7"):
        FeatureCache(newer.folder)


def test_a_full_disk_leaves_the_cache_as_it_was(cache, monkeypatch):
    cache.add([(b"a", np.ones((2, 3), np.float32))])

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("corpora.cache.os.fsync", full)
    with pytest.raises(CacheError, match="No space left"):
        cache.add([(b"b", np.ones((2, 3), np.float32))])
    monkeypatch.undo()
    assert cache.look_up([b"a", b"b"])[0] == {b"a": Place(0, 0, 2, 3)}


def test_without_a_cache_clips_are_parsed_each_time(clips, parsed):
    assert len(clips) == 4
    assert clips.frames is None
    for _ in range(2):
        assert clips[1].features.shape == (20, 609)
    assert len(parsed) == 2
