"""From files to features, where the process that estimates videos is lost."""

from __future__ import annotations

import pytest

from bulk import preparation
from bulk.options import EmbedOptions
from bulk.preparation import Preparer, Task
from models.catalog import load_catalog
from tests.miniatures import GOLDEN
from video.errors import EstimatorLostError
from video.estimates import Estimate, VideoFacts


class LostEstimator:
    """Is lost as often as it is told, and then estimates."""

    losses = 0

    def __init__(self, _: object) -> None:
        self.calls = 0

    def estimate(self, video: bytes, **_: object) -> Estimate:
        self.calls += 1
        if self.calls <= self.losses:
            raise EstimatorLostError("the process was lost")
        return Estimate((GOLDEN / "ase_A.pose").read_bytes(), VideoFacts(64, 64, 25.0, 21, 0.84, 0, "h264"))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("losses", "code"), [(0, None), (2, None), (3, "estimator_lost")])
def test_a_video_is_tried_again_when_its_process_was_lost(losses, code, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "EstimatorProcess", LostEstimator)
    monkeypatch.setattr(LostEstimator, "losses", losses)
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"pixels")
    preparer = Preparer(load_catalog()["fingerspelling"], EmbedOptions())
    prepared = preparer.prepare(Task(str(video)), lambda: None)
    preparer.close()
    assert (prepared.failure and prepared.failure.code) == code
    assert (prepared.features is None) == (code is not None)
