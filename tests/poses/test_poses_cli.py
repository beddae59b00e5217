"""`python -m poses`: what a pose holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from poses.__main__ import main


def test_inspect_reports_what_is_there(
    capsys: pytest.CaptureFixture[str], golden_bytes: Callable[[str], bytes], tmp_path: Path
) -> None:
    file = tmp_path / "house.pose"
    file.write_bytes(golden_bytes("house"))
    assert main(["inspect", str(file)]) == 0
    assert "frames       73" in capsys.readouterr().out
    assert main(["inspect", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["body"], facts["components"]["FACE_LANDMARKS"]) == (73, 1.0, 468)


def test_what_is_no_pose_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bad.mp4"
    file.write_bytes(b"no video")
    assert main(["inspect", str(file)]) == 1
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["estimate", "view"])
def test_a_moved_command_names_its_new_place(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "clip.mp4", "--out", "x"]) == 2
    assert f"python -m video {command}" in capsys.readouterr().err
