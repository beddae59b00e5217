"""The arithmetic of the views, without a page: what is near, what is joined, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose

from poses import read
from search.banks import build_bank, leave_out, score_neighbours
from tests.playground.javascript import needs_node, run_javascript
from tests.poses.make_poses import build_pose, write_pose

SAMPLES = Path(__file__).parents[2] / "samples"

pytestmark = needs_node


def make_examples(seed: int, labels: str) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(labels), 6))
    return [
        {"label": label, "vector": vector.tolist(), "space": "s", "clip": "c"}
        for label, vector in zip(labels, vectors, strict=True)
    ]


@pytest.mark.parametrize("labels", ["ABCABCAABBB", "AB", "A"])
def test_taught_signs_are_ranked_as_the_service_ranks_neighbours(tmp_path, labels):
    examples = make_examples(1, labels)
    query = np.random.default_rng(2).normal(size=6)
    script = """
    const { rankLabels, findLimit } = await load("views/bank.js");
    const [examples, query] = JSON.parse(asked[0]);
    answer = { ranked: rankLabels(examples, query), limit: findLimit(examples) };
    """
    found = run_javascript(tmp_path, script, json.dumps([examples, query.tolist()]))
    vectors = np.array([example["vector"] for example in examples])
    bank = build_bank(vectors, list(labels))
    scores = score_neighbours(query[None], bank)[0]
    assert {one["label"]: one["score"] for one in found["ranked"]} == pytest.approx(
        dict(zip(bank.classes, scores.tolist(), strict=True)), abs=1e-6
    )
    ranked = [one["score"] for one in found["ranked"]]
    assert ranked == sorted(ranked, reverse=True)
    counts = {one["label"]: one["count"] for one in found["ranked"]}
    assert counts == {name: labels.count(name) for name in bank.classes}
    if len(set(labels)) == 1:
        assert found["limit"] is None
    else:
        left_out = leave_out(bank, "neighbours")
        foreign = [
            score
            for row, label in zip(left_out, labels, strict=True)
            for name, score in zip(bank.classes, row, strict=True)
            if name != label
        ]
        assert found["limit"] == pytest.approx(max(foreign), abs=1e-6)


def test_what_is_no_example_is_left_out_of_a_session(tmp_path):
    script = """
    const { readExamples } = await load("views/bank.js");
    const good = { label: "A", vector: [1, 2], space: "s", clip: "c" };
    const changes = [{ vector: [] }, { vector: ["1"] }, { label: 1 }, { space: null }];
    const bad = [null, 3, {}, ...changes.map((change) => ({ ...good, ...change }))];
    answer = [[...bad, good], null, { length: 1 }].map((bank) => readExamples(bank).length);
    """
    assert run_javascript(tmp_path, script) == [1, 0, 0]


def test_texts_share_what_none_of_these_leaves(tmp_path):
    script = """
    const { rankMatches } = await load("views/matches.js");
    const scores = { probabilities: [[0.2, 0.8]], cosine: [[0.1, 0.4]] };
    const texts = ["A", "B"];
    answer = [scores, { ...scores, none_of_these: [0.5] }].map((found) => rankMatches(found, texts, "none"));
    """
    without, within = run_javascript(tmp_path, script)
    assert [(match["text"], match["share"]) for match in without] == [("B", 0.8), ("A", 0.2)]
    assert [(match["text"], match["share"]) for match in within] == [("none", 0.5), ("B", 0.4), ("A", 0.1)]
    assert within[0]["cosine"] is None


def test_shares_are_never_rounded_to_none_or_all(tmp_path):
    script = """
    const { writePercent } = await load("numbers.js");
    answer = [0, 0.0004, 0.004, 0.005, 0.934, 0.99, 0.9999, 1].map((share) => writePercent(share, "en"));
    """
    found = ["0%", "< 1%", "< 1%", "1%", "93%", "99%", "> 99%", "100%"]
    assert run_javascript(tmp_path, script) == found


JOIN = """
const { joinPoses } = await load("pose/joining.js");
const clips = await Promise.all(asked.slice(1).map(readBytes));
try {
  await writeFile(asked[0], joinPoses(clips));
} catch (error) {
  answer = error.code;
}
"""


def test_joined_clips_are_one_recording(tmp_path):
    poses = [build_pose(3, seed=1), build_pose(5, seed=2), build_pose(1, seed=3)]
    paths = [tmp_path / f"{number}.pose" for number in range(3)]
    for path, pose in zip(paths, poses, strict=True):
        path.write_bytes(write_pose(pose))
    joined = tmp_path / "joined.pose"
    assert run_javascript(tmp_path, JOIN, joined, *paths) is None
    whole = Pose.read(joined.read_bytes())
    expected = np.concatenate([np.asarray(pose.body.data.data) for pose in poses])
    assert np.array_equal(np.asarray(whole.body.data.data), expected)
    assert np.array_equal(whole.body.confidence, np.concatenate([pose.body.confidence for pose in poses]))
    assert len(read(joined.read_bytes()).body.data) == 9


def write_clips(folder: Path, *rates: float, frames: int) -> tuple[list[Path], list[Pose]]:
    poses = [build_pose(frames, seed=seed) for seed in range(len(rates))]
    paths = [folder / f"{seed}.pose" for seed in range(len(rates))]
    for path, pose, rate in zip(paths, poses, rates, strict=True):
        pose.body.fps = rate
        path.write_bytes(write_pose(pose))
    return paths, poses


def test_clips_of_other_rates_take_as_long_in_a_recording_as_they_took(tmp_path):
    paths, poses = write_clips(tmp_path, 25.0, 50.0, 12.5, 30.0, frames=10)
    joined = tmp_path / "joined.pose"
    assert run_javascript(tmp_path, JOIN, joined, *paths) is None
    whole = Pose.read(joined.read_bytes())
    chosen = [
        [*range(10)],
        [1, 3, 5, 7, 9],
        [frame for frame in range(10) for _ in range(2)],
        [0, 1, 3, 4, 5, 6, 7, 9],
    ]
    assert whole.body.fps == 25
    assert len(whole.body.data) / 25 == pytest.approx(10 / 25 + 10 / 50 + 10 / 12.5 + 10 / 30, abs=0.02)
    values = [np.asarray(pose.body.data.data)[frames] for pose, frames in zip(poses, chosen, strict=True)]
    assert np.array_equal(np.asarray(whole.body.data.data), np.concatenate(values))
    confidence = [pose.body.confidence[frames] for pose, frames in zip(poses, chosen, strict=True)]
    assert np.array_equal(whole.body.confidence, np.concatenate(confidence))


def test_clips_that_all_say_no_rate_are_joined_frame_by_frame(tmp_path):
    paths, _ = write_clips(tmp_path, 0.0, 0.0, frames=3)
    joined = tmp_path / "joined.pose"
    assert run_javascript(tmp_path, JOIN, joined, *paths) is None
    assert len(Pose.read(joined.read_bytes()).body.data) == 6


@pytest.mark.parametrize("rates", [(25.0, 0.0), (0.0, 25.0), (25.0, float("nan")), (25.0, -1.0), (25.0, 1e-9)])
def test_a_clip_whose_rate_is_none_is_not_joined_with_others(tmp_path, rates):
    paths, _ = write_clips(tmp_path, *rates, frames=3)
    assert run_javascript(tmp_path, JOIN, tmp_path / "joined.pose", *paths) == "rates_differ"


@pytest.mark.parametrize("other", [{"people": 2}, {"components": ("POSE_LANDMARKS",)}, {"face_points": 478}])
def test_clips_that_differ_are_not_joined(tmp_path, other):
    paths = [tmp_path / "one.pose", tmp_path / "other.pose"]
    paths[0].write_bytes(write_pose(build_pose(3)))
    paths[1].write_bytes(write_pose(build_pose(3, **other)))
    assert run_javascript(tmp_path, JOIN, tmp_path / "joined.pose", *paths) == "layouts_differ"


def test_a_drawing_has_lines_of_hands_and_body_and_no_legs(tmp_path):
    path = tmp_path / "clip.pose"
    path.write_bytes((SAMPLES / "ase_A.pose").read_bytes())
    script = """
    const { readPose } = await load("pose/reader.js");
    const { findDrawing, fitBox } = await load("pose/skeleton.js");
    const pose = readPose(await readBytes(asked[0]));
    const drawing = findDrawing(pose);
    const names = pose.components.flatMap(({ name, points }) => points.map((point) => `${name}/${point}`));
    const lines = drawing.lines.map(([from, to, part]) => [names[from], names[to], part]);
    answer = { lines, box: fitBox(pose, drawing) };
    """
    found = run_javascript(tmp_path, script, path)
    parts = {part for _, _, part in found["lines"]}
    assert parts == {"body", "left", "right", "face"}
    ends = {end for from_, to, _ in found["lines"] for end in (from_, to)}
    assert "POSE_LANDMARKS/LEFT_SHOULDER" in ends
    assert not any(word in end for end in ends for word in ("KNEE", "HEEL", "WORLD", "POSE_LANDMARKS/NOSE"))
    assert sum(part == "left" for _, _, part in found["lines"]) == 21
    for start, end, part in found["lines"]:
        assert start.split("/")[0] == end.split("/")[0], part
    # The box holds every point that is seen and drawn, with room around it.
    pose = Pose.read(path.read_bytes())
    names = [f"{part.name}/{point}" for part in pose.header.components for point in part.points]
    drawn = [place for place, name in enumerate(names) if name in ends]
    seen = pose.body.confidence[:, 0, drawn] > 0
    points = np.asarray(pose.body.data.data)[:, 0, drawn, :2][seen]
    box = found["box"]
    low, high = points.min(axis=0), points.max(axis=0)
    assert box["left"] < low[0]
    assert box["top"] < low[1]
    assert box["left"] + box["width"] > high[0]
    assert box["top"] + box["height"] > high[1]
    assert box["width"] < 1.2 * (high - low).max()


def test_files_have_names_that_shells_take_as_they_are(tmp_path):
    script = """
    const { nameFile } = await load("requests.js");
    const names = ["A (ase)", "Größe; rm -rf", "../../etc/passwd", "$(id)", "手語", "-x", "clip.pose"];
    answer = names.map((name) => nameFile({ name }));
    """
    assert run_javascript(tmp_path, script) == [
        "A_ase.pose", "Gro_e_rm_-rf.pose", "etc_passwd.pose", "id.pose", "clip.pose", "x.pose", "clip.pose",
    ]  # fmt: skip
