"""`python -m poses`: what a pose holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pose_format import Pose

from poses.__main__ import main
from tests.poses.make_poses import hold


def test_inspect_reports_what_is_there(
    capsys: pytest.CaptureFixture[str], golden_bytes: Callable[[str], bytes], tmp_path: Path
) -> None:
    file = tmp_path / "house.pose"
    file.write_bytes(golden_bytes("house"))
    assert main(["inspect", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "frames       73" in printed
    assert main(["inspect", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["body"], facts["components"]["FACE_LANDMARKS"]) == (73, 1.0, 468)
    start, end = facts["signing"]
    assert 0 < start < end < 73
    assert f"signing      frames {start} to {end - 1}, which trimming keeps" in printed


def test_inspect_says_why_trimming_keeps_a_clip_whole(
    capsys: pytest.CaptureFixture[str],
    make_pose: Callable[..., Pose],
    to_bytes: Callable[[Pose], bytes],
    tmp_path: Path,
) -> None:
    file = tmp_path / "down.pose"
    file.write_bytes(to_bytes(hold(make_pose(8, people=2))))
    assert main(["inspect", str(file)]) == 0
    assert "signing      no wrist is above its elbow in any frame" in capsys.readouterr().out


def test_what_is_no_pose_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bad.mp4"
    file.write_bytes(b"no video")
    assert main(["inspect", str(file)]) == 1
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["estimate", "view"])
def test_a_moved_command_names_its_new_place(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "clip.mp4", "--out", "x"]) == 2
    assert f"python -m video {command}" in capsys.readouterr().err
