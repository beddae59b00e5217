"""`python -m video`: folders in, folders out, resumed; what a pose looks like."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.video.make_videos import clip
from video.__main__ import main
from video.drawing import draw, save
from video.folders import Batch, Failure, plan, write_failures

GOLDEN_POSES = Path(__file__).parents[1] / "golden" / "poses"


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos, one of them bad, beside the folder of their poses."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "a.mp4").write_bytes(clip(5, seed=1))
    (folder / "in" / "deep" / "b.WEBM").write_bytes(clip(6, seed=2, container="webm", codec="libvpx"))
    (folder / "in" / "bad.mp4").write_bytes(b"no video")
    (folder / "in" / "notes.txt").write_text("no video either")
    assert main(["estimate", str(folder / "in"), "--out", str(folder / "out"), "--jobs", "2"]) == 1
    return folder


def test_a_folder_becomes_a_folder(estimated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = estimated / "out"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["a.pose", "deep/b.pose", "failures.csv"]
    with (out / "failures.csv").open(encoding="utf-8") as file:
        (failure,) = csv.DictReader(file)
    assert failure["video"].endswith("bad.mp4")
    assert failure["code"] == "not_a_video"


def test_what_is_done_is_skipped_and_what_failed_is_tried_again(
    estimated: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(estimated, work)
    before = (work / "out" / "a.pose").stat().st_mtime_ns
    (work / "in" / "bad.mp4").write_bytes(clip(4))
    assert main(["estimate", str(work / "in"), "--out", str(work / "out")]) == 0
    told = capsys.readouterr().out
    assert "2 of 3 are there already" in told
    assert "1 poses, 4 frames" in told
    assert (work / "out" / "a.pose").stat().st_mtime_ns == before
    assert (work / "out" / "bad.pose").exists()
    assert not (work / "out" / "failures.csv").exists()


def test_an_interrupted_run_leaves_nothing_half_done(tmp_path: Path) -> None:
    video = tmp_path / "long.mp4"
    video.write_bytes(clip(80))

    def interrupt(task: object, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Batch(jobs=1, on_frame=interrupt).run(plan([video], tmp_path / "out").tasks)
    assert not (tmp_path / "out").exists()


def test_videos_that_would_share_a_pose_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "a.mov"):
        (tmp_path / name).write_bytes(b"x")
    assert main(["estimate", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "would both become" in capsys.readouterr().err
    assert main(["estimate", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "out")]) == 1


def test_oddities_of_a_folder_cost_the_others_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "holiday.mp4").mkdir(parents=True)
    (folder / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (folder / "a.mp4").write_bytes(clip(4))
    assert main(["estimate", str(folder), str(folder / "a.mp4"), "--out", str(out)]) == 1
    assert [path.name for path in out.glob("*.pose")] == ["a.pose"]
    with (out / "failures.csv").open(encoding="utf-8") as file:
        assert [(Path(row["video"]).name, row["code"]) for row in csv.DictReader(file)] == [("gone.mp4", "file")]
    assert main(["estimate", str(folder / "holiday.mp4"), "--out", str(out)]) == 1
    assert "there are no videos" in capsys.readouterr().err


def test_an_interrupted_run_lists_what_failed_and_blames_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "b.mp4").write_bytes(clip(80))

    def interrupt(self: object, task: object, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("video.commands._Progress.frame", interrupt)
    assert main(["estimate", str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 130
    with (tmp_path / "out" / "failures.csv").open(encoding="utf-8") as file:
        assert [Path(row["video"]).name for row in csv.DictReader(file)] == ["a.mp4"]


def test_view_warns_of_another_clip(estimated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip(12))
    command = ["view", str(estimated / "out" / "a.pose"), "--out", str(tmp_path / "x.png"), "--video"]
    assert main([*command, str(other)]) == 0
    assert "has other frames than the 5" in capsys.readouterr().err
    assert main([*command, str(estimated / "in" / "a.mp4")]) == 0
    assert not capsys.readouterr().err


@pytest.mark.parametrize("over_video", [False, True])
def test_view_draws_every_frame(estimated: Path, tmp_path: Path, over_video: bool) -> None:
    pose = estimated / "out" / "a.pose"
    background = ["--video", str(estimated / "in" / "a.mp4")] if over_video else []
    for suffix in ("mp4", "gif"):
        target = tmp_path / f"clip.{suffix}"
        assert main(["view", str(pose), "--out", str(target), *background]) == 0
        with av.open(str(target)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 5
        assert frames[0].shape == (192, 192, 3)
    sheet = tmp_path / "sheet.png"
    assert main(["view", str(pose), "--out", str(sheet), *background]) == 0
    assert cv2.imread(str(sheet)).shape == (2 * 192, 4 * 192, 3)


def test_the_skeleton_lies_on_the_person() -> None:
    from poses import read

    pose = read((GOLDEN_POSES / "house.pose").read_bytes())
    picture = next(draw(pose))
    drawn = (picture != 255).any(axis=2)
    seen = pose.body.confidence[0, 0, :33] > 0.9
    for x, y, _ in pose.body.data.data[0, 0, :33][seen]:
        if 2 <= x < drawn.shape[1] - 2 and 2 <= y < drawn.shape[0] - 2:
            assert drawn[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].any()
    # World landmarks are not in the image; they would be in its corner.
    assert not drawn[:8, :8].any()


def test_an_unknown_suffix_is_refused(estimated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(estimated / "out" / "a.pose"), "--out", str(tmp_path / "clip.bmp")]) == 1
    assert ".mp4, .gif, .png" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_a_drawing_is_whole_or_not_there(suffix: str, tmp_path: Path) -> None:
    """Also in a folder that is not there yet; a drawing that fails leaves the earlier one."""
    target = tmp_path / "new" / f"clip{suffix}"
    white = np.full((64, 64, 3), 255, np.uint8)
    assert save([white, white], target, fps=25.0, frames=2) == 2
    before = target.read_bytes()
    assert before

    def draw_half() -> Iterator[np.ndarray]:
        yield white
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(draw_half(), target, fps=25.0, frames=2)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_list_of_failures_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Failure(tmp_path / "a.mp4", "video_empty", "nothing decodes")
    write_failures([failure], tmp_path)
    before = (tmp_path / "failures.csv").read_text()
    monkeypatch.setattr(csv, "writer", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_failures([failure, failure], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["failures.csv"]
    assert (tmp_path / "failures.csv").read_text() == before
