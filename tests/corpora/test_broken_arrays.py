"""Arrays and tables of landmarks that are broken: each is one unreadable clip, and never the end of a data set."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora import ClipError, ClipOutOfReachError, ClipUnreadableError, Example
from corpora.clip_files import read_features
from corpora.statistics import measure_array
from poses import FeatureOptions


def example(path):
    return Example("id", Path(path), "text", "text", "all")


def lay_out(shape):
    """The beginning of a .npy file that claims a shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04" + bytes(100),  # of a ZIP archive, as .npz is
        b"\x80\x04K\x01.",  # a pickle
        lay_out("(3, 512)") + bytes(100),
        lay_out("(((((((("),
        lay_out("(-3, 512)") + bytes(100),
        lay_out("(1000000000000, 512)") + bytes(100),
        lay_out("()") + bytes(4),
    ],
)
@pytest.mark.parametrize("kind", ["s3d", "signclip"])
def test_a_broken_array_is_an_unreadable_clip(tmp_path, content, kind):
    path = tmp_path / "clip.npy"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"clip\.npy"):
        read_features(example(path), kind, FeatureOptions())
    facts = measure_array(example(path))
    assert (facts.frames, facts.digest) == (0, "")
    assert "clip.npy" in facts.problem


def test_an_array_without_memory_for_it_is_tried_again(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise MemoryError("Unable to allocate 2 GiB")

    path = tmp_path / "clip.npy"
    np.save(path, np.zeros((3, 512), np.float32))
    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(ClipOutOfReachError, match="Unable to allocate 2 GiB"):
        read_features(example(path), "s3d", FeatureOptions())


def test_numbers_that_float32_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "clip.npy"
    np.save(path, np.full((3, 512), 1e300))
    with pytest.raises(ClipUnreadableError, match="not finite"):
        read_features(example(path), "s3d", FeatureOptions())


def write_landmarks(path, **columns):
    numbers = np.concatenate([np.arange(count, dtype=np.int16) for count in (468, 21, 33, 21)])
    axes = {axis: np.full(543, 0.25) for axis in "xyz"}
    pq.write_table(pa.table({"landmark_index": numbers, **axes, **columns}), path)
    return path


def test_columns_of_words_are_an_unreadable_clip(tmp_path):
    path = write_landmarks(tmp_path / "clip.parquet", x=["left"] * 543)
    with pytest.raises(ClipUnreadableError, match=r"clip\.parquet: x, y and z must be columns of numbers"):
        read_features(example(path), "islr_no_face", FeatureOptions())


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300])
def test_landmarks_that_are_no_numbers_were_not_seen(tmp_path, number):
    x = np.full(543, 0.25)
    x[500] = number
    path = write_landmarks(tmp_path / "clip.parquet", x=x)
    features = read_features(example(path), "islr_no_face", FeatureOptions()).reshape(-1, 75, 3)
    assert set(np.unique(features)) == {np.float32(0), np.float32(0.25)}
    assert (features[..., 0] == 0).sum() == 1
