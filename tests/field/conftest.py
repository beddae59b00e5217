"""Fixtures of what people really send."""

from __future__ import annotations

from pathlib import Path

import pytest
from pose_format import Pose

import poses

GOLDEN = Path(__file__).parents[1] / "golden" / "poses"


@pytest.fixture(params=sorted(path.stem for path in GOLDEN.glob("*.pose")))
def golden_clip(request: pytest.FixtureRequest) -> Pose:
    """Each of the clips that the authors' outputs were made of."""
    return poses.read((GOLDEN / f"{request.param}.pose").read_bytes())
