"""Fixtures of what people really send, and the application that they send it to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pose_format import Pose

import poses
from tests.app.conftest import app_settings, client, engine, estimators, make_client, make_video_client

GOLDEN = Path(__file__).parents[1] / "golden" / "poses"
# The application over fakes, as its own tests have it.
__all__ = ["app_settings", "client", "engine", "estimators", "make_client", "make_video_client"]


@pytest.fixture(params=sorted(path.stem for path in GOLDEN.glob("*.pose")))
def golden_clip(request: pytest.FixtureRequest) -> Pose:
    """Each of the clips that the authors' outputs were made of."""
    return poses.read((GOLDEN / f"{request.param}.pose").read_bytes())
