"""Data sets as people have them: NaN, packed poses, Windows' paths and letters, rows that make no sense."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from corpora import read_corpus
from corpora.clip_files import read_features, read_pose
from corpora.errors import (
    ClipSpanError,
    ClipUnreadableError,
    FileMissingError,
)
from corpora.examples import Example
from corpora.statistics import measure_corpus
from evaluation.__main__ import main as evaluate
from poses import FeatureOptions
from poses.landmarks import BODY_POINTS, LEFT_HAND_POINTS
from tests import miniatures
from tests.field.inputs import letter, packed, read_data, to_bytes, with_fps, with_nan_hands
from tests.field.places import place, table

PLAIN = FeatureOptions()


# Sem-Lex


def landmarks(frames: int, seed: int) -> np.ndarray:
    """Shares of the image: face 478, body 33, hands 21 points each; the left hand is never seen, others at times."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.3, 0.7, (frames, 553, 3)).astype(np.float16)
    points[:, 478 + 11] = (0.6, 0.5, 0)
    points[:, 478 + 12] = (0.4, 0.5, 0)
    points[:, 511:532] = np.nan
    points[1, 532:553] = np.nan
    points[2, 100] = np.nan
    return points


def as_pose(points: np.ndarray) -> bytes:
    """The same as loaders save it: pixels of 640 × 480, NaN where nothing was seen, confidence 1 everywhere."""
    values = points[:, np.r_[478:511, 0:478, 511:532, 532:553]].astype(np.float32) * np.float32([640, 480, 1])
    hand = [point.name for point in LEFT_HAND_POINTS]
    names = {
        "POSE_LANDMARKS": [point.name for point in BODY_POINTS],
        "FACE_LANDMARKS": [str(number) for number in range(478)],
        "LEFT_HAND_LANDMARKS": hand,
        "RIGHT_HAND_LANDMARKS": hand,
    }
    parts = [PoseHeaderComponent(name, points_, [], [(0, 0, 0)], "XYZC") for name, points_ in names.items()]
    header = PoseHeader(0.2, PoseHeaderDimensions(640, 480, 0), parts)
    return to_bytes(Pose(header, NumPyPoseBody(30, values[:, None], np.ones((len(values), 1, 553), np.float32))))


def sem_lex(root: Path, *, suffix: str) -> Path:
    table(
        root / "semlex_metadata.csv",
        "video_id,signer_id,duration,split,label_type,label",
        *(f"clip{number},1,1.0,test,asllex,apple_{number}" for number in range(2)),
    )
    (root / "poses").mkdir()
    for number in range(2):
        file = root / "poses" / f"clip{number}{suffix}"
        points = landmarks(5, seed=number)
        if suffix == ".npy":
            np.save(file, points)
        else:
            data = as_pose(points)
            file.write_bytes(data if suffix == ".pose" else packed(data, suffix.removeprefix(".pose")))
    return root


@pytest.mark.parametrize("suffix", [".pose", ".pose.gz", ".pose.zst"])
@pytest.mark.parametrize("kind", ["signclip", "fingerclip", "signclip_full_face"])
def test_the_poses_of_sem_lex_give_the_features_of_its_arrays(kind: str, suffix: str, tmp_path: Path) -> None:
    arrays = read_corpus("sem_lex", sem_lex(tmp_path / "arrays", suffix=".npy"), "test")
    files = read_corpus("sem_lex", sem_lex(tmp_path / "poses", suffix=suffix), "test")
    assert len(arrays) == len(files) == 2
    for one, other in zip(arrays.examples, files.examples, strict=True):
        np.testing.assert_array_equal(read_features(one, kind, PLAIN), read_features(other, kind, PLAIN))


def test_statistics_of_both_forms_are_the_same(tmp_path: Path) -> None:
    forms = [
        measure_corpus(read_corpus("sem_lex", sem_lex(tmp_path / suffix, suffix=suffix), "test")).facts
        for suffix in (".npy", ".pose")
    ]
    for one, other in zip(*forms, strict=True):
        assert (one.frames, one.left_hand, one.right_hand, one.face) == (5, 0, 0.8, 1)
        assert (other.frames, other.left_hand, other.right_hand, other.face) == (5, 0, 0.8, 1)


def test_sem_lex_with_nan_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = sem_lex(tmp_path / "semlex", suffix=".pose")
    out = tmp_path / "run"
    assert evaluate(["fingerspelling", "sem_lex", str(root), "--split", "test", "--out", str(out)]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["clips"], metrics["skipped"]) == (2, {})


# Packed poses, in every reader


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("asl_citizen", miniatures.asl_citizen),
        ("wlasl", miniatures.wlasl),
        ("signsuisse", miniatures.signsuisse),
        ("how2sign", miniatures.how2sign),
        ("chicago_fs_wild", miniatures.chicago),
        ("rwth_fingerspelling", miniatures.rwth),
        ("spreadthesign", miniatures.spreadthesign),
    ],
)
def test_a_data_set_of_packed_poses_is_the_same_data_set(
    name: str, build: Callable[[Path], Path], suffix: str, tmp_path: Path
) -> None:
    plain, small = place(build, tmp_path / "plain"), place(build, tmp_path / "packed")
    for pose in list(small.rglob("*.pose")):
        pose.with_name(pose.name + suffix).write_bytes(packed(pose.read_bytes(), suffix))
        pose.unlink()
    one, other = read_corpus(name, plain), read_corpus(name, small)
    assert len(one) > 0
    assert [example.id for example in one.examples] == [example.id for example in other.examples]
    for example, same in zip(one.examples, other.examples, strict=True):
        if example.path.suffix == ".pose":
            np.testing.assert_array_equal(read_pose(example).body.data.data, read_pose(same).body.data.data)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_span_of_a_packed_pose_is_cut(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.pose{suffix}"
    file.write_bytes(packed(read_data("letter_A.pose"), suffix) if suffix else read_data("letter_A.pose"))
    example = Example("a", file, "A", "A", "all", start_s=0.04, end_s=0.12)
    np.testing.assert_array_equal(read_pose(example).body.data.data, letter().body.data.data[1:3])


@pytest.mark.parametrize("fps", [0.0, math.nan, math.inf, -25.0])
def test_a_span_needs_a_frame_rate_and_a_whole_clip_does_not(fps: float, tmp_path: Path) -> None:
    file = tmp_path / "a.pose"
    file.write_bytes(to_bytes(with_fps(fps)))
    assert len(read_features(Example("a", file, "A", "A", "all"), "signclip", PLAIN)) == 4
    with pytest.raises(ClipSpanError, match="are no rate, so the span from 1 to 2 s cannot be found"):
        read_features(Example("a", file, "A", "A", "all", start_s=1, end_s=2), "signclip", PLAIN)


def test_packed_asl_citizen_is_evaluated(tmp_path: Path) -> None:
    root = tmp_path / "citizen_zst"
    table(
        root / "splits" / "test.csv",
        "Participant ID,Video file,Gloss,ASL-LEX Code", "P1,1-APPLE.mp4,APPLE,A_01", "P1,2-BRIDGE.mp4,BRIDGE,B_01",
    )  # fmt: skip
    (root / "poses").mkdir()
    for name in ("1-APPLE", "2-BRIDGE"):
        (root / "poses" / f"{name}.pose.zst").write_bytes(packed(read_data("letter_A.pose"), ".zst"))
    out = tmp_path / "run"
    assert evaluate(["fingerspelling", "asl_citizen", str(root), "--split", "test", "--out", str(out)]) == 0
    assert json.loads((out / "metrics.json").read_text())["clips"] == 2


def test_a_data_set_without_a_usable_file_says_what_lies_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "citizen"
    table(root / "splits" / "test.csv", "Participant ID,Video file,Gloss,ASL-LEX Code", "P1,1-APPLE.mp4,APPLE,A_01")
    for name in ("1-APPLE.npz", "notes.txt", "._1-APPLE.pose"):
        table(root / "poses" / name, "")
    assert evaluate(["fingerspelling", "asl_citizen", str(root), "--split", "test"]) == 1
    told = capsys.readouterr().err
    assert "1 rows were skipped" in told
    assert "no file 1-APPLE.mp4 in poses, which holds 1 .npz, 1 .txt" in told


def test_companions_of_macos_are_no_clips(tmp_path: Path) -> None:
    root = miniatures.asl_citizen(tmp_path)
    before = read_corpus("asl_citizen", root)
    for pose in list(root.rglob("*.pose")):
        pose.with_name(f"._{pose.name}").write_bytes(b"\0\x05\x16\x07")
    assert read_corpus("asl_citizen", root).examples == before.examples


# Folders


def test_a_missing_folder_says_what_lies_there_instead(tmp_path: Path) -> None:
    table(tmp_path / "splits" / "test.csv", "Participant ID,Video file,Gloss,ASL-LEX Code")
    (tmp_path / "Poses-v2").mkdir()
    with pytest.raises(FileMissingError, match=r"no folder poses or pose or videos .* holds Poses-v2/, splits/"):
        read_corpus("asl_citizen", tmp_path, "test")


def test_a_missing_table_says_what_lies_there_instead(tmp_path: Path) -> None:
    (tmp_path / "poses").mkdir()
    table(tmp_path / "data.csv", "path,text")
    with pytest.raises(FileMissingError, match=r"no manifest\.csv .* holds poses/, data\.csv"):
        read_corpus("manifest", tmp_path)
    with pytest.raises(FileMissingError, match=r"train\.csv does not exist; .* holds poses/, data\.csv"):
        read_corpus("asl_signs", tmp_path)
    with pytest.raises(FileMissingError, match="does not exist"):
        read_corpus("manifest", tmp_path / "nowhere")
    archive = table(tmp_path / "wlasl.zip", "PK")
    with pytest.raises(FileMissingError, match="is a file, not a folder; unpack it"):
        read_corpus("wlasl", archive)


def test_a_missing_folder_of_a_manifest_says_what_lies_there(tmp_path: Path) -> None:
    table(tmp_path / "manifest.csv", "path,text", "clips/a.pose,A")
    table(tmp_path / "poses" / "a.pose", "")
    (note,) = read_corpus("manifest", tmp_path).skipped
    assert note.reason.startswith("no file clips/a.pose; ")
    assert "holds poses/, manifest.csv" in note.reason


# Files of clips


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pose", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a Git LFS pointer"),
        ("a.npy", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a Git LFS pointer"),
        ("a.npy", b"<!doctype html>", "an HTML page"),
        ("a.pose", b"", "an empty file"),
        ("a.pose.zst", b"\x28\xb5\x2f\xfd", "ends too early"),
    ],
)
@pytest.mark.parametrize("span", [None, 0.1])
def test_a_clip_that_is_something_else_is_called_that(
    name: str, content: bytes, says: str, span: float | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipUnreadableError, match=says):
        read_features(Example("a", tmp_path / name, "A", "A", "all", start_s=span), "signclip", PLAIN)


def test_a_folder_with_nan_hands_is_read_as_the_service_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "a.pose"
    file.write_bytes(to_bytes(with_nan_hands()))
    again = tmp_path / "b.POSE"
    shutil.copy(file, again)
    one, other = (read_features(Example("a", path, "A", "A", "all"), "signclip", PLAIN) for path in (file, again))
    np.testing.assert_array_equal(one, other)
    assert not one.reshape(4, 203, 3)[:, 161:182].any()
