"""Poses that the page writes are those of the service, to the byte; poses that it reads are what pose-format reads."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses import read
from poses.features import extract
from poses.headers import ReadLimits
from poses.quality import report
from poses.reading import unpack_pose
from tests.playground.javascript import PLAYGROUND, needs_node, run_javascript
from tests.poses.make_poses import build_pose, write_pose

SAMPLE = Path(__file__).parents[2] / "samples" / "ase_A.pose"
POINTS = 576

pytestmark = needs_node

WRITE = """
const { writePose } = await load("pose/writer.js");
const floats = (bytes) => new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const [data, confidence] = [floats(await readBytes(asked[0])), floats(await readBytes(asked[1]))];
await writeFile(asked[2], await writePose({ width: 540, height: 720, fps: 29.97, data, confidence }));
"""
READ = """
const { readPose, unpackPose } = await load("pose/reader.js");
const pose = readPose(await unpackPose(await readBytes(asked[0])));
await writeFile(asked[1], new Uint8Array(pose.data.buffer));
await writeFile(asked[2], new Uint8Array(pose.confidence.buffer));
const { data, confidence, ...rest } = pose;
answer = rest;
"""
REFUSE = """
const { readPose, unpackPose } = await load("pose/reader.js");
answer = [];
for (const path of asked) {
  try {
    readPose(await unpackPose(await readBytes(path)));
    answer.push(null);
  } catch (error) {
    answer.push(error.name === "PoseError" ? error.code : String(error));
  }
}
"""
MEASURE = """
const { readPose } = await load("pose/reader.js");
const { measureQuality } = await load("pose/quality.js");
answer = [];
for (const path of asked) {
  const { seen, ...found } = measureQuality(readPose(await readBytes(path)));
  answer.push(found);
}
"""


@pytest.fixture(scope="module")
def estimated() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    confidence = rng.random((5, POINTS), dtype=np.float32)
    confidence[2, 501:522] = 0
    return rng.normal(300, 200, (5, POINTS, 3)).astype(np.float32), confidence


def test_the_header_is_the_one_that_the_service_writes():
    from checks.pose_header import HEADER, build_bytes

    assert HEADER.parent == PLAYGROUND / "pose"
    assert HEADER.read_bytes() == build_bytes()


def test_a_written_pose_is_that_of_the_service_to_the_byte(tmp_path, estimated):
    from video.holistic import build_header

    data, confidence = estimated
    paths = [tmp_path / name for name in ("data", "confidence", "page.pose")]
    paths[0].write_bytes(data.tobytes())
    paths[1].write_bytes(confidence.tobytes())
    run_javascript(tmp_path, WRITE, *paths)
    file = io.BytesIO()
    Pose(build_header(540, 720), NumPyPoseBody(np.float32(29.97), data[:, None], confidence[:, None])).write(file)
    written = paths[2].read_bytes()
    assert written == file.getvalue()
    # Both readers agree that it is what was written.
    pose = Pose.read(written)
    assert pose.body.data.filled(0).shape == (5, 1, POINTS, 3)
    assert np.array_equal(np.asarray(pose.body.data.data)[:, 0], data)
    assert np.array_equal(pose.body.confidence[:, 0], confidence)
    assert len(read(written).body.data) == 5


def test_points_that_do_not_fit_are_not_written(tmp_path, estimated):
    script = """
    const { writePose } = await load("pose/writer.js");
    const [data, confidence] = [new Float32Array(576 * 3), new Float32Array(576)];
    const pose = { width: 540, height: 720, fps: 25, data, confidence };
    const none = new Float32Array(0);
    const changes = [
      { data: data.subarray(3) }, { data: none, confidence: none }, { width: 0 }, { height: 70000 }, { width: 1.5 }, {},
    ];
    answer = [];
    for (const change of changes) {
      answer.push(await writePose({ ...pose, ...change }).then(() => "written", (error) => error.name));
    }
    """
    assert run_javascript(tmp_path, script) == ["RangeError"] * 5 + ["written"]


def make_two_people() -> bytes:
    component = PoseHeaderComponent("HAND_LEFT", ["a", "b"], [(0, 1)], np.array([[255, 0, 9]]), "XYC")
    header = PoseHeader(0.2, PoseHeaderDimensions(64, 48, 0), [component])
    values = np.arange(3 * 2 * 2 * 2, dtype=np.float32).reshape(3, 2, 2, 2)
    file = io.BytesIO()
    Pose(header, NumPyPoseBody(12.5, values, np.ones((3, 2, 2), np.float32))).write(file)
    return file.getvalue()


FILES = {
    "sample": SAMPLE.read_bytes(),
    "gzip": gzip.compress(SAMPLE.read_bytes()),
    "two people": make_two_people(),
    "version 0.1": write_pose(build_pose(3), version=0.1),
}


@pytest.mark.parametrize("name", FILES)
def test_it_reads_what_pose_format_reads(tmp_path, name):
    path = tmp_path / "clip.pose"
    path.write_bytes(FILES[name])
    outputs = [tmp_path / "data", tmp_path / "confidence"]
    found = run_javascript(tmp_path, READ, path, *outputs)
    content = gzip.decompress(FILES[name]) if name == "gzip" else FILES[name]
    pose = Pose.read(content)
    frames, people, points, dims = pose.body.data.shape
    assert (found["frames"], found["people"], found["points"], found["dims"]) == (frames, people, points, dims)
    assert (found["width"], found["height"]) == (pose.header.dimensions.width, pose.header.dimensions.height)
    assert found["fps"] == pose.body.fps
    assert found["version"] == round(pose.header.version, 3)
    for component, expected in zip(found["components"], pose.header.components, strict=True):
        assert component["name"] == expected.name
        assert component["points"] == expected.points
        assert component["limbs"] == [list(limb) for limb in expected.limbs]
        assert component["colors"] == np.asarray(expected.colors).tolist()
    data = np.frombuffer(outputs[0].read_bytes(), "<f4").reshape(frames, points, dims)
    assert np.array_equal(data, np.asarray(pose.body.data.data)[:, 0])
    confidence = np.frombuffer(outputs[1].read_bytes(), "<f4").reshape(frames, points)
    assert np.array_equal(confidence, pose.body.confidence[:, 0])


def test_points_that_are_no_numbers_are_not_seen(tmp_path):
    pose = Pose.read(make_two_people())
    pose.body.data.data[1, 0, 1, 0] = np.nan
    pose.body.confidence[2, 0, 0] = np.inf
    file = io.BytesIO()
    pose.write(file)
    path, outputs = tmp_path / "clip.pose", [tmp_path / "data", tmp_path / "confidence"]
    path.write_bytes(file.getvalue())
    run_javascript(tmp_path, READ, path, *outputs)
    confidence = np.frombuffer(outputs[1].read_bytes(), "<f4").reshape(3, 2)
    assert confidence.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert np.isfinite(np.frombuffer(outputs[0].read_bytes(), "<f4")).all()


def test_damaged_files_are_refused_with_what_is_wrong(tmp_path):
    whole = make_two_people()
    start = len(whole) - 3 * 2 * 2 * 3 * 4
    cases = {
        "not_a_pose": b"\x00\x00\x00\x20ftypisom and so on",
        "version_unknown": struct.pack("<f", 0.3) + whole[4:],
        "truncated": whole[:-1],
        "trailing_bytes": whole + b"\0",
        "empty": whole[: start - 6] + struct.pack("<IH", 0, 1),
        "limb_ends_nowhere": whole.replace(struct.pack("<HHH", 0, 1, 255), struct.pack("<HHH", 0, 2, 255)),
        "format_unknown": whole.replace(b"XYC", b"XYW"),
        "packing_damaged": gzip.compress(whole)[:-9],
    }
    more = {f"cut at {size}": whole[:size] for size in range(0, start, 7)}
    paths = []
    for number, content in enumerate([*cases.values(), *more.values()]):
        paths.append(tmp_path / f"{number}.pose")
        paths[-1].write_bytes(content)
    found = run_javascript(tmp_path, REFUSE, *paths)
    assert found[: len(cases)] == list(cases)
    assert set(found[len(cases) :]) <= {"not_a_pose", "truncated"}


def test_a_claim_of_gigabytes_is_refused_before_anything_is_allocated(tmp_path):
    whole = make_two_people()
    start = len(whole) - 3 * 2 * 2 * 3 * 4
    path = tmp_path / "clip.pose"
    path.write_bytes(whole[: start - 6] + struct.pack("<IH", 2**32 - 1, 65535) + whole[start:])
    assert run_javascript(tmp_path, REFUSE, path) == ["truncated"]


THIN = """
const { thinPose } = await load("pose/thinning.js");
await writeFile(asked[1], thinPose(await readBytes(asked[0])));
"""


@pytest.mark.parametrize("name", ["ase_A", "gsg_L"])
def test_a_thinned_pose_means_the_same_in_a_third_of_the_bytes(tmp_path, name):
    kinds = ("signclip", "signclip_depth")
    whole = unpack_pose(next(SAMPLE.parent.glob(f"{name}.pose*")).read_bytes(), limits=ReadLimits())
    (tmp_path / "whole.pose").write_bytes(whole)
    run_javascript(tmp_path, THIN, tmp_path / "whole.pose", tmp_path / "thin.pose")
    thin = (tmp_path / "thin.pose").read_bytes()
    assert len(gzip.compress(thin)) < len(gzip.compress(whole)) / 3
    for kind in kinds:
        before, after = (extract(read(content), kind) for content in (whole, thin))
        # In shoulder widths. A pixel of these pictures is 1 % of them.
        assert np.abs(before - after).max() < 0.005, kind
    points = [point for part in read(whole).header.components for point in part.points]
    seen = [read(content).body.confidence > 0 for content in (whole, thin)]
    assert not (seen[1] & ~seen[0]).any()
    lost = {points[place] for place in np.flatnonzero((seen[0] & ~seen[1]).any(axis=(0, 1)))}
    assert "1" in lost  # the tip of the nose, which no contour has
    assert "61" not in lost  # a corner of the mouth


# What a warning of the page begins with in the service's report.
WARNINGS = {
    "several_people": "2 people",
    "single_frame": "single frame",
    "no_rate": "0 frames per second",
    "odd_rate": "5 frames per second",
    "no_hand": "no hand in any frame",
    "no_right_hand": "no right hand in any frame",
    "right_hand_rare": "right hand in only",
    "right_hand_still": "the right hand never moves",
    "no_shoulders": "no shoulders in any",
    "shoulders_missing": "shoulders missing",
}
RIGHT, LEFT, SHOULDER = "RIGHT_HAND_LANDMARKS", "LEFT_HAND_LANDMARKS", "POSE_LANDMARKS/LEFT_SHOULDER"


def make_flawed_poses() -> dict[str, Pose]:
    poses = {
        "good": build_pose(10),
        "left only": build_pose(10, missing={RIGHT: slice(None)}),
        "no hand": build_pose(10, missing={RIGHT: slice(None), LEFT: slice(None)}),
        "rare": build_pose(10, missing={RIGHT: slice(2, None)}),
        "still": build_pose(10),
        "no shoulders": build_pose(10, missing={SHOULDER: slice(None)}),
        "some shoulders": build_pose(10, missing={SHOULDER: slice(5, None)}),
        "single": build_pose(1),
        "people": build_pose(10, people=2),
        "slow": build_pose(10),
        "no rate": build_pose(10),
    }
    places = [name for part in poses["still"].header.components for name in [part.name] * len(part.points)]
    hand = [place for place, name in enumerate(places) if name == RIGHT]
    poses["still"].body.data[:, :, hand] = poses["still"].body.data[:1, :, hand]
    poses["slow"].body.fps, poses["no rate"].body.fps = 5, 0
    return poses


def test_the_report_says_what_the_service_says(tmp_path):
    names, paths = [], []
    for name, pose in make_flawed_poses().items():
        names.append(name)
        paths.append(tmp_path / f"{len(paths)}.pose")
        paths[-1].write_bytes(write_pose(pose))
    found = run_javascript(tmp_path, MEASURE, *paths)
    told = set()
    for name, path, page in zip(names, paths, found, strict=True):
        service = report(read(path.read_bytes()))
        assert page["frames"] == service.frames, name
        for part, share in page["shares"].items():
            assert share == pytest.approx(getattr(service, part)), (name, part)
        said = [warning for warning in service.warnings if warning.startswith(tuple(WARNINGS.values()))]
        assert len(said) == len(page["warnings"]), name
        for warning, (code, _) in zip(said, page["warnings"], strict=True):
            assert warning.startswith(WARNINGS[code]), name
        told.update(code for code, _ in page["warnings"])
    assert told == set(WARNINGS)
