"""Folders of videos as people have them: pairs of one name, companions of macOS, clips that show nobody."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from poses import read
from tests.field.inputs import read_data
from tests.video.make_videos import clip, encode, moving
from video.__main__ import main
from video.folders import BatchError, plan

NOBODY = [np.full((96, 96, 3), 90, np.uint8)] * 4


def estimate(folder: Path, out: Path, *options: str) -> tuple[int, list[str], dict[str, str]]:
    """Run the command: its status, the poses that there are, and the codes of what failed by name."""
    status = main(["estimate", str(folder), "--out", str(out), "--jobs", "1", *options])
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.pose"))
    failures = out / "failures.csv"
    if not failures.exists():
        return status, made, {}
    with failures.open(encoding="utf-8") as file:
        return status, made, {Path(row["video"]).name: row["code"] for row in csv.DictReader(file)}


def test_one_bad_pair_of_names_does_not_stop_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.mp4").write_bytes(clip(3))
    (folder / "a.webm").write_bytes(clip(3, container="webm", codec="libvpx"))
    (folder / "b.mp4").write_bytes(clip(3))
    (folder / "deep" / "a.mp4").write_bytes(clip(3))
    assert estimate(folder, tmp_path / "out") == (
        1, ["b.pose", "deep/a.pose"], {"a.mp4": "same_pose", "a.webm": "same_pose"}
    )  # fmt: skip
    assert "would both become" in (told := capsys.readouterr().err)
    assert "--keep-suffixes" in told
    assert estimate(folder, tmp_path / "kept", "--keep-suffixes") == (
        0, ["a.mp4.pose", "a.webm.pose", "b.mp4.pose", "deep/a.mp4.pose"], {}
    )  # fmt: skip


def test_three_of_one_name_and_one_given_twice(tmp_path: Path) -> None:
    for name in ("x.mp4", "x.mov", "x.mpg", "y.mp4"):
        (tmp_path / name).write_bytes(b"x")
    planned = plan([tmp_path, tmp_path / "y.mp4"], tmp_path / "out")
    assert [task.video.name for task in planned.tasks] == ["y.mp4"]
    assert [failure.video.name for failure in planned.failures] == ["x.mov", "x.mp4", "x.mpg"]
    assert all("would all become" in failure.detail for failure in planned.failures)


def test_companions_and_hidden_files_are_no_videos(tmp_path: Path) -> None:
    (tmp_path / ".Trash").mkdir()
    for name in ("a.mp4", "._a.mp4", ".hidden.mov", ".Trash/b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert [task.video.name for task in plan([tmp_path], tmp_path / "out").tasks] == ["a.mp4"]
    # What is named itself is taken at its word.
    assert len(plan([tmp_path / "._a.mp4"], tmp_path / "out").tasks) == 1


def test_a_companion_that_is_named_itself_is_called_that(tmp_path: Path) -> None:
    companion = tmp_path / "._a.mp4"
    companion.write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(100))
    assert main(["estimate", str(companion), "--out", str(tmp_path / "out")]) == 1
    (row,) = csv.DictReader((tmp_path / "out" / "failures.csv").read_text(encoding="utf-8").splitlines())
    assert row["code"] == "not_a_video"
    assert "take that one" in row["detail"]


@pytest.mark.parametrize("suffix", [".mpg", ".MPEG", ".vob", ".flv", ".wmv", ".ogv", ".m2ts", ".3gp"])
def test_archives_suffixes_are_looked_for(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    assert len(plan([tmp_path], tmp_path / "out").tasks) == 1


def test_a_folder_of_program_streams_becomes_poses(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1_1_1_cam2.mpg").write_bytes(read_data("rwth_like.mpg"))
    assert estimate(tmp_path / "in", tmp_path / "out") == (0, ["1_1_1_cam2.pose"], {})
    assert len(read((tmp_path / "out" / "1_1_1_cam2.pose").read_bytes()).body.data) == 36


def test_clips_with_nobody_in_view_are_listed_as_the_service_refuses_them(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "nobody.mp4").write_bytes(encode(NOBODY))
    (folder / "somebody.mp4").write_bytes(clip(4))
    (folder / "late.mp4").write_bytes(encode([*NOBODY, *moving(2, 96, 96)]))
    status, made, failed = estimate(folder, tmp_path / "out")
    assert (status, made) == (1, ["somebody.pose"])
    assert failed == {"nobody.mp4": "video_nobody_in_view", "late.mp4": "video_nobody_in_view"}
    assert estimate(folder, tmp_path / "all", "--min-seen", "0") == (
        0, ["late.pose", "nobody.pose", "somebody.pose"], {}
    )  # fmt: skip


def test_a_folder_without_videos_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "._a.mp4").write_bytes(b"")
    with pytest.raises(BatchError, match=r"there are no videos in .*; there are no files\. Videos end in"):
        plan([tmp_path], tmp_path / "out")
    for name in ("a.pose", "b.POSE", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(BatchError, match=r"there are 2 \.pose, 1 \.txt\. Videos end in .*\.mpg"):
        plan([tmp_path], tmp_path / "out")


@pytest.mark.parametrize("share", ["-0.1", "1.5", "nan", "half"])
def test_a_share_that_is_none_is_a_usage_error(share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["estimate", str(tmp_path), "--out", str(tmp_path / "out"), "--min-seen", share])
    assert end.value.code == 2
    assert "0 to 1" in capsys.readouterr().err
