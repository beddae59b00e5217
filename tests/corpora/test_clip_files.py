"""Features of clips in every published form: equal to those of the whole pose, and faults that name the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import (
    ARRAY_KINDS,
    ClipOutOfReachError,
    ClipSpanError,
    ClipUnreadableError,
    Example,
    FeaturesUnavailableError,
    VideoNotEstimatedError,
    get_feature_dim,
    read_corpus,
)
from corpora.clip_files import read_features, read_pose
from corpora.feature_kinds import get_feature_version
from poses import FEATURE_KINDS, FeatureOptions, extract, read

GOLDEN = Path(__file__).parents[1] / "golden" / "poses"
NOTHING = FeatureOptions()


def example(path, start_s=None, end_s=None):
    return Example("id", Path(path), "text", "text", "all", start_s=start_s, end_s=end_s)


def cut(pose, first, last):
    """The frames of a span, by pose-format's own slicing."""
    frames = pose.body.slice_step(1).select_frames(list(range(first, last)))
    return np.asarray(frames.data), frames.confidence


@pytest.mark.parametrize("kind", sorted(FEATURE_KINDS))
def test_whole_poses(kind):
    path = GOLDEN / "house.pose"
    assert (read_features(example(path), kind, NOTHING) == extract(read(path.read_bytes()), kind)).all()
    assert get_feature_dim(kind) == FEATURE_KINDS[kind].dim


@given(st.floats(0, 4), st.floats(0.01, 4))
def test_spans_of_poses(start_s, length_s):
    path = GOLDEN / "house.pose"  # 73 frames at 25 a second
    end_s = start_s + length_s
    first, last = int(np.floor(round(start_s * 25, 6))), min(73, int(np.ceil(round(end_s * 25, 6))))
    clip = example(path, start_s, end_s)
    if first >= last:
        with pytest.raises(ClipSpanError, match=r"house\.pose"):
            read_pose(clip)
        return
    pose = read_pose(clip)
    data, confidence = cut(read(path.read_bytes()), first, last)
    assert (np.asarray(pose.body.data) == data).all()
    assert (pose.body.confidence == confidence).all()


@pytest.mark.parametrize("frames", range(1, 73))
def test_frame_numbers_survive_as_seconds(frames):
    clip = example(GOLDEN / "house.pose", (frames - 1) / 25, frames / 25)
    assert len(read_pose(clip).body.data) == 1


def test_spans_may_lack_an_end_or_a_start():
    path = GOLDEN / "house.pose"
    assert len(read_pose(example(path, start_s=2.0)).body.data) == 23
    assert len(read_pose(example(path, end_s=2.0)).body.data) == 50
    assert len(read_pose(example(path, end_s=99.0)).body.data) == 73


def test_spans_of_version_0_1(tmp_path):
    data = (GOLDEN / "house.pose").read_bytes()
    pose = read(data)
    # 0.1 has the rate as a 16-bit number, and frames in 16 bits.
    body = len(data) - 73 * 576 * 16
    head = np.float32(0.1).tobytes() + data[4 : body - 10]
    path = tmp_path / "old.pose"
    path.write_bytes(head + np.array([25, 73, 1], "<u2").tobytes() + data[body:])
    got = read_pose(example(path, 1.0, 1.4))
    assert (np.asarray(got.body.data) == np.asarray(pose.body.data)[25:35]).all()


@pytest.mark.parametrize(
    ("content", "span"),
    [
        (b"", None),
        (b"", 1.0),
        (b"not a pose, but long enough to try", None),
        (b"not a pose, but long enough to try", 1.0),
        ("truncated", None),
        ("truncated", 1.0),
        ("trailing", 1.0),
    ],
)
def test_damaged_poses(tmp_path, content, span):
    whole = (GOLDEN / "ase_A.pose").read_bytes()
    path = tmp_path / "bad.pose"
    path.write_bytes({"truncated": whole[:-1], "trailing": whole + b"\0"}.get(content, content))
    with pytest.raises(ClipUnreadableError, match=r"bad\.pose"):
        read_pose(example(path, end_s=span))


def test_missing_and_unknown_files(tmp_path, text_file):
    with pytest.raises(ClipOutOfReachError, match="gone"):
        read_pose(example(tmp_path / "gone.pose"))
    with pytest.raises(ClipUnreadableError, match="neither"):
        read_pose(example(text_file(tmp_path / "notes.txt", "")))
    with pytest.raises(VideoNotEstimatedError, match="python -m video estimate"):
        read_features(example(text_file(tmp_path / "clip.MP4", "")), "signclip", NOTHING)
    with pytest.raises(FeaturesUnavailableError, match="no kind of features 'x'"):
        read_features(example(GOLDEN / "house.pose"), "x", NOTHING)
    for function in (get_feature_dim, get_feature_version):
        with pytest.raises(FeaturesUnavailableError, match="no kind of features 'x'"):
            function("x")


def test_kaggle_subsets_are_the_authors(tmp_path, parquet_clip, landmarks):
    """As ASLSignPoseProcessor: points in the order face, left hand, body, right hand."""
    values = landmarks(3)
    path = parquet_clip(tmp_path / "1.parquet", values)
    hands_and_body = [*range(468, 489), *range(489, 522), *range(522, 543)]
    for name, face, dim in (("no_face", [], 225), ("full_face", [*range(468)], 1629)):
        expected = np.nan_to_num(values[:, face + hands_and_body]).reshape(3, -1)
        got = read_features(example(path), f"islr_{name}", NOTHING)
        assert got.shape == (3, dim) == (3, get_feature_dim(f"islr_{name}"))
        assert (got == expected).all()
    selected = ARRAY_KINDS["islr_selected_face"]
    assert len(selected.points) == 76 + 75
    assert list(selected.points[:76]) == sorted(set(selected.points[:76]))
    assert read_features(example(path), "islr_selected_face", NOTHING).shape == (3, 453)
    assert (read_features(example(path, start_s=1 / 30), "islr_no_face", NOTHING) == got[1:, -225:]).all()


@pytest.mark.parametrize("fault", ["rows", "order", "bytes", "gone"])
def test_kaggle_faults(tmp_path, parquet_clip, landmarks, fault):
    path = tmp_path / "bad.parquet"
    if fault == "order":
        parquet_clip(path, landmarks(2), order=("pose", "face", "left_hand", "right_hand"))
    elif fault == "rows":
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(parquet_clip(path, landmarks(2))).slice(0, 700), path)
    elif fault == "bytes":
        path.write_bytes(b"PAR1")
    with pytest.raises(ClipUnreadableError, match=r"bad\.parquet"):
        read_features(example(path), "islr_no_face", NOTHING)


def test_kaggle_landmarks_are_a_pose(tmp_path, parquet_clip, landmarks):
    values = landmarks(4)
    path = parquet_clip(tmp_path / "1.parquet", values)
    pose = read_pose(example(path))
    assert pose.body.data.shape == (4, 1, 543, 3)
    assert np.isfinite(np.asarray(pose.body.data)).all()
    assert (pose.body.confidence[:, 0, 33 + 468 : 33 + 468 + 21] == 0).all()
    # The shoulders are 0.2 apart around (0.5, 0.4): the right hand's wrist in shoulder widths, by hand.
    wrist = (values[:, 522] - (0.5, 0.4, 0)) / 0.2
    features = read_features(example(path), "signclip", NOTHING).reshape(4, 203, 3)
    assert np.allclose(features[:, -21], wrist, atol=1e-5)
    assert (features[:, -42:-21] == 0).all()  # the left hand was never seen


def test_sem_lex_landmarks_are_a_pose(sem_lex, landmarks):
    clip = read_corpus("sem_lex", sem_lex, "test").examples[0]
    values = landmarks(4).astype(np.float16).astype(np.float32) * (640, 480, 1)
    features = read_features(clip, "signclip", NOTHING).reshape(4, 203, 3)
    assert np.allclose(features[:, -21], (values[:, 522] - (320, 192, 0)) / 128, atol=2e-3)
    assert np.isfinite(features).all()


def test_video_encoders(rwth):
    clip = read_corpus("rwth_fingerspelling_i3d", rwth, "val").examples[0]
    stored = np.load(clip.path)
    assert (read_features(clip, "i3d", NOTHING) == stored).all()
    pooled = read_features(clip, "i3d_512", NOTHING)
    # RWTHFSVideoProcessor averages neighbours.
    assert np.allclose(pooled, (stored[:, ::2] + stored[:, 1::2]) / 2, atol=1e-6)
    with pytest.raises(ClipUnreadableError, match="512"):
        read_features(clip, "s3d", NOTHING)
    with pytest.raises(FeaturesUnavailableError, match="no landmarks"):
        read_features(clip, "signclip", NOTHING)
    with pytest.raises(FeaturesUnavailableError, match="flipped"):
        read_features(clip, "i3d", FeatureOptions(flip="auto"))
    with pytest.raises(ClipSpanError):
        read_features(example(clip.path, 0.5), "i3d", NOTHING)
    with pytest.raises(FeaturesUnavailableError, match=r"\.npy"):
        read_features(example(GOLDEN / "house.pose"), "s3d", NOTHING)
    with pytest.raises(FeaturesUnavailableError, match="parquet"):
        read_features(clip, "islr_no_face", NOTHING)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 512), np.float32), np.full((2, 512), np.nan, np.float32), np.zeros((2, 512), int), np.array([{}])],
    ids=["empty", "nan", "integers", "objects"],
)
def test_arrays_that_are_no_features(tmp_path, array):
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(ClipUnreadableError, match=r"bad\.npy"):
        read_features(example(tmp_path / "bad.npy"), "s3d", NOTHING)
