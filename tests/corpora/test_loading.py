"""The clips of a data set in order, read by one process or by several; processes that die do no harm."""

import multiprocessing
import os
import subprocess
import sys
import tempfile

import pytest

from corpora import CacheError, Clips, FeatureCache, WorkerLostError, loading, read_corpus
from corpora.clip_files import read_features
from corpora.errors import ClipOutOfReachError
from corpora.loading import map_clips
from poses import FeatureOptions
from tests.running import ROOT, watch_processes


@pytest.fixture
def clips(manifest):
    return Clips(read_corpus("manifest", manifest))


def test_streaming_gives_all_in_order(clips, tmp_path):
    *read, last = clips.stream()
    assert [clip.example.id for clip in read] == [example.id for example in clips.corpus.examples[:3]]
    assert (last.id, "video estimate" in last.reason) == ("clips/c.mov", True)
    assert [len(clip.features) for clip in clips.fill_cache(FeatureCache(tmp_path / "cache")).stream()] == [73, 20, 21]


def frames_of(example):
    return len(read_features(example, "fingerclip", FeatureOptions()))


def die(example):
    os._exit(9)


def fail(example):
    raise ValueError(example.id)


def test_processes_give_results_in_order(clips):
    examples = clips.corpus.examples[:3] * 12
    got = list(map_clips(frames_of, examples, workers=2))
    assert got == [73, 20, 21] * 12


def leave_mark(example):
    tempfile.mkstemp(dir=example.path.parent, suffix=".mark")


def test_processes_wait_for_whoever_takes_their_results(clips, manifest):
    results = map_clips(leave_mark, clips.corpus.examples * 50, workers=2)
    next(results)
    results.close()
    assert not multiprocessing.active_children()
    assert 16 <= len(list((manifest / "clips").glob("*.mark"))) <= 2 * 2 * 16


def test_a_dying_process_and_a_failing_function_are_errors(clips):
    examples = clips.corpus.examples[:3] * 12
    with pytest.raises(WorkerLostError, match="2 reading processes"):
        list(map_clips(die, examples, workers=2))
    with pytest.raises(ValueError, match="clips/house"):
        list(map_clips(fail, examples, workers=2))


WAITING = """
import multiprocessing, sys
from corpora.loading import map_clips

if __name__ == "__main__":
    results = map_clips(abs, range(1000), workers=2)
    next(results)
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    sys.stdin.read()
"""


def test_processes_end_when_the_one_that_they_read_for_is_killed():
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        workers = {int(pid) for pid in reader.stdout.readline().split()}
        assert workers
        with watch_processes(workers) as have_ended:
            reader.kill()
            assert have_ended()


def test_clips_out_of_reach_write_nothing_into_a_cache(clips, tmp_path, monkeypatch):
    def refuse(example, kind, options):
        raise ClipOutOfReachError(f"{example.path}: permission denied")

    def fail(*_):
        raise CacheError("attempt to write a readonly database")

    monkeypatch.setattr(loading, "read_features", refuse)
    monkeypatch.setattr(FeatureCache, "add", fail)
    found = clips.fill_cache(FeatureCache(tmp_path / "cache"))
    assert len(found) == 0
    assert {note.reason.rpartition(": ")[2] for note in found.unreadable} == {"permission denied"}


def test_parallel_cache_equals_serial(asl_signs, tmp_path):
    clips = Clips(read_corpus("asl_signs_no_face", asl_signs))
    serial = clips.fill_cache(FeatureCache(tmp_path / "serial"))
    parallel = clips.fill_cache(FeatureCache(tmp_path / "parallel"), workers=2)
    assert len(serial) == len(parallel) == 39
    for one, other in zip(serial, parallel, strict=True):
        assert one.example == other.example
        assert (one.features == other.features).all()
