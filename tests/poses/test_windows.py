"""Windows against clips that were cut with pose-format's own means, and recordings that are read in parts."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from poses import FEATURE_KINDS, FeatureOptions, PoseError, ReadLimits, extract, read
from poses.errors import PoseContentError, PoseTooLargeError, PoseTooLongError
from poses.recordings import HeldRecording, RecordingFile
from poses.windows import FRAMES_AT_ONCE, WindowRules, extract_windows, plan_windows

GOLDEN = Path(__file__).parents[1] / "golden" / "poses"


@pytest.fixture(scope="module")
def recording() -> Pose:
    """258 frames of a real clip; the right hand rests for 80, no hand is seen for 40, no shoulder for 30."""
    pose = read((GOLDEN / "gss_long.pose").read_bytes())
    values, confidence = np.asarray(pose.body.data).copy(), pose.body.confidence.copy()
    body, left, right = slice(0, 33), slice(511, 532), slice(532, 553)
    values[60:140, :, right] = values[60, :, right]
    for points in (right, left):
        confidence[150:190, :, points] = 0
        values[150:190, :, points] = 0
    confidence[200:230, :, body] = 0
    return Pose(pose.header, NumPyPoseBody(25, values, confidence))


def _cut(pose, start, stop):
    return Pose(pose.header, NumPyPoseBody(pose.body.fps, pose.body.data[start:stop], pose.body.confidence[start:stop]))


@pytest.mark.parametrize(
    ("kind", "options"),
    [(kind, FeatureOptions()) for kind in sorted(FEATURE_KINDS)]
    + [("signclip", FeatureOptions(flip=flip)) for flip in ("auto", "always", "authors")]
    + [("signclip_depth", FeatureOptions(flip="auto", anonymize=True))],
)
def test_a_window_has_the_features_of_the_cut_clip(recording, kind, options):
    windows = plan_windows(258, 25, max_frames=256)
    if options.anonymize:  # milliseconds each
        windows = windows[::7]
    skipped = 0
    for window in extract_windows(HeldRecording(recording), windows, kind, options):
        clip = _cut(recording, window.start, window.stop)
        if window.features is None:
            skipped += 1
            hands = clip.body.confidence[..., 511:553]
            try:
                extract(clip, kind, options)
            except PoseError:
                continue
            assert not hands.any()
        else:
            np.testing.assert_array_equal(window.features, extract(clip, kind, options))
    assert 0 < skipped < len(windows) / 2


def test_blocks_change_nothing(recording, monkeypatch):
    windows = plan_windows(258, 25, max_frames=256)
    whole = list(extract_windows(HeldRecording(recording), windows, "signclip"))
    monkeypatch.setattr("poses.windows.FRAMES_AT_ONCE", 20)
    parts = list(extract_windows(HeldRecording(recording), windows, "signclip"))
    for one, other in zip(whole, parts, strict=True):
        assert (one.start, one.stop) == (other.start, other.stop)
        np.testing.assert_array_equal(one.features, other.features)


def test_windows_have_several_lengths_and_cover_the_recording():
    windows = plan_windows(250, 25, max_frames=256)
    assert sorted(set((windows[:, 1] - windows[:, 0]).tolist())) == [12, 19, 25, 38, 50]
    assert windows.min() == 0
    assert windows.max() > 250 - 3
    for length in (12, 50):
        starts = windows[windows[:, 1] - windows[:, 0] == length, 0]
        assert (np.diff(starts) == (3 if length == 12 else 12)).all()


def test_a_recording_that_starts_later_has_the_same_windows():
    before, after = plan_windows(500, 25, max_frames=256), plan_windows(512, 25, max_frames=256)
    moved = {(start + 12, stop + 12) for start, stop in before.tolist()}
    assert moved <= set(map(tuple, after.tolist()))


def test_windows_are_no_longer_than_the_model_takes_nor_than_the_recording():
    assert (plan_windows(250, 25, max_frames=20) @ [-1, 1]).max() == 19
    assert plan_windows(7, 25, max_frames=256).tolist() == [[0, 7]]
    with pytest.raises(PoseContentError, match="more than 20 frames"):
        plan_windows(7, 240, max_frames=20)
    with pytest.raises(PoseContentError, match="no rate"):
        plan_windows(7, float("nan"), max_frames=20)
    assert len(plan_windows(100, 1, max_frames=20, rules=WindowRules((0.1,), 0.1))) == 100


def test_a_file_is_read_in_parts_as_it_is_read_whole(tmp_path):
    path = GOLDEN / "gss_long.pose"
    whole = read(path.read_bytes())
    with RecordingFile(path) as recording:
        assert (recording.frames, recording.fps) == (len(whole.body.data), whole.body.fps)
        part = recording.read(17, 99)
    np.testing.assert_array_equal(part.body.data.data, whole.body.data.data[17:99])
    np.testing.assert_array_equal(part.body.confidence, whole.body.confidence[17:99])
    packed = tmp_path / "clip.pose.gz"
    packer = zlib.compressobj(wbits=31)
    packed.write_bytes(packer.compress(path.read_bytes()) + packer.flush())
    with RecordingFile(packed) as recording:
        np.testing.assert_array_equal(recording.read(17, 99).body.data.data, whole.body.data.data[17:99])


@pytest.mark.parametrize("damage", [b"", b"no pose", "short", "long"])
def test_a_file_that_is_no_recording_is_refused(tmp_path, damage):
    data = (GOLDEN / "ase_A.pose").read_bytes()
    path = tmp_path / "clip.pose"
    path.write_bytes({"short": data[:-3], "long": data + b"1234"}.get(damage, damage))
    with pytest.raises(PoseError):
        RecordingFile(path)


def test_limits_hold_for_files(tmp_path):
    data = (GOLDEN / "ase_A.pose").read_bytes()
    path = tmp_path / "clip.pose"
    path.write_bytes(data)
    with pytest.raises(PoseTooLongError, match="at most 20"):
        RecordingFile(path, limits=ReadLimits(max_frames=20))
    packer = zlib.compressobj(wbits=31)
    path.write_bytes(packer.compress(data) + packer.flush())
    with pytest.raises(PoseTooLargeError):
        RecordingFile(path, limits=ReadLimits(max_bytes=1000))


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """Eight minutes take hardly more than three: a file is never in memory as a whole."""
    data = (GOLDEN / "ase_A.pose").read_bytes()
    pose = read(data)
    body = data.rindex(struct.pack("<fIH", pose.body.fps, 21, 1))
    values, confidence = np.split(np.frombuffer(data[body + 10 :], "<f4"), [21 * 586 * 3])
    peaks = []
    for frames in (4000, 12000):
        path = tmp_path / f"{frames}.pose"
        times = frames // 21 + 1
        with path.open("wb") as file:
            file.write(data[:body] + struct.pack("<fIH", 25.0, frames, 1))
            np.tile(values, times)[: frames * 586 * 3].tofile(file)
            np.tile(confidence, times)[: frames * 586].tofile(file)
        with RecordingFile(path) as recording:
            windows = plan_windows(frames, recording.fps, max_frames=256, rules=WindowRules((1.0,), 1.0))
            tracemalloc.start()
            count = sum(window.features is not None for window in extract_windows(recording, windows, "signclip"))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert count == len(windows)
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 4 * FRAMES_AT_ONCE * 586 * 16
