"""Known clips that vote: near ones count, far ones do not, and their numbers keep all digits."""

import math

import pytest
import torch
from pydantic import ValidationError

from models.architecture import SignClip
from models.checkpoints.loading import load_model, write_safetensors
from models.exemplars import SPREAD, Exemplars, average_geometry, measure_closeness
from tests.models.conftest import small_config

VOTING = {"pose_frontend": "hand_geometry", "feature_dim": 609, "projection": "l2", "exemplars": 3}
MASK = torch.ones(1, 12, dtype=torch.bool)


def test_closeness_falls_with_the_mean_squared_difference() -> None:
    points = torch.tensor([[1.0, 2.0], [1.0, 2.4], [9.0, 9.0]])
    closeness = measure_closeness(points[:1], points)
    assert closeness.tolist()[0] == pytest.approx([1.0, math.exp(-0.08 / SPREAD), 0.0], abs=1e-6)


def test_votes_are_those_of_near_points_and_far_from_all_there_are_none() -> None:
    exemplars = Exemplars(2, 4, 3)
    exemplars.points.copy_(torch.tensor([[0.0] * 4, [5.0] * 4]))
    exemplars.votes.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    geometry = torch.tensor([0.0, 5.0, 20.0])[:, None, None, None].expand(3, 2, 8, 4)
    expected = [[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(exemplars(geometry), torch.tensor(expected))


def test_a_vector_is_the_towers_and_the_votes(tmp_path) -> None:
    torch.manual_seed(0)
    plain = SignClip(small_config(**{**VOTING, "exemplars": 0}), vocab_size=20).eval()
    frames = torch.randn(1, 12, 609)
    geometry = plain.pose_tower.geometry(frames, MASK)
    voting = SignClip(small_config(**VOTING), vocab_size=20).eval()
    voting.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        alone = plain.encode_pose(frames, MASK)
        torch.testing.assert_close(voting.encode_pose(frames, MASK), alone)  # new points have no votes
        exemplars = voting.pose_tower.exemplars
        exemplars.points[1] = average_geometry(geometry)[0]
        exemplars.votes[1, 3] = 0.5
        expected = alone.clone()
        expected[0, 3] += 0.5
        torch.testing.assert_close(voting.encode_pose(frames, MASK), expected / expected.norm())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_votes_keep_their_digits_in_every_number_format(tmp_path, dtype) -> None:
    module = SignClip(small_config(**VOTING), vocab_size=20)
    module.pose_tower.exemplars.votes.copy_(torch.full((3, 32), 10.001))
    path = tmp_path / "model.safetensors"
    write_safetensors(path, module.state_dict(), {})
    loaded = load_model(path, module.config, dtype=dtype)
    assert torch.equal(loaded.pose_tower.exemplars.votes, module.pose_tower.exemplars.votes)
    assert loaded.pose_tower.mlp.linear1.weight.dtype == dtype
    vectors = loaded.encode_pose(torch.randn(1, 12, 609), MASK)
    assert vectors.isfinite().all()


@pytest.mark.parametrize("change", [{"pose_frontend": "mlp"}, {"projection": "none"}, {"exemplars": -1}])
def test_a_model_that_cannot_hear_votes_is_refused(change) -> None:
    with pytest.raises(ValidationError, match="exemplars"):
        small_config(**{**VOTING, **change})
