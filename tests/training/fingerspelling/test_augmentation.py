"""Augmentations: nothing when switched off, what they say when on, repeatable always."""

import pytest
import torch

from models.hand_geometry import LEFT, RIGHT
from training.fingerspelling.augmentation import (
    add_idle_hand,
    augment,
    sample_frames,
)
from training.sections.hands import HandAugmentation, HandData

OFF = HandAugmentation(**dict.fromkeys(HandAugmentation.model_fields, 0.0))


@pytest.fixture
def hands() -> tuple[torch.Tensor, torch.Tensor]:
    """Sixty-four right hands at twelve sampled frames, no left ones."""
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(64, 12, 2, 21, 3, generator=rng) * 0.1 + 0.3
    seen = torch.ones(64, 12, 2, dtype=torch.bool)
    seen[:, :, LEFT] = False
    return points * seen[..., None, None], seen


def _augmented(hands, strength, *, seed=0, depth=1.4):
    return augment(
        *hands,
        depth_corrections=torch.full((64,), depth),
        strength=strength,
        rng=torch.Generator().manual_seed(seed),
    )


def test_off_changes_nothing(hands):
    points, seen = _augmented(hands, OFF)
    torch.testing.assert_close(points, hands[0], rtol=0, atol=1e-6)
    assert torch.equal(seen, hands[1])


def test_same_chance_same_result(hands):
    first, second, other = (_augmented(hands, HandAugmentation(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], other[0])


def test_input_is_left_alone(hands):
    before = hands[0].clone()
    _augmented(hands, HandAugmentation())
    assert torch.equal(hands[0], before)


def test_unseen_hands_stay_zero(hands):
    points, seen = _augmented(hands, HandAugmentation())
    assert (points[~seen] == 0).all()


def test_depth_is_corrected_for_the_chosen_share(hands):
    points, _ = _augmented(hands, HandAugmentation(**{**OFF.__dict__, "corrected_depth": 0.5}))
    ratio = (points[:, 0, RIGHT, 5, 2] / hands[0][:, 0, RIGHT, 5, 2]).round(decimals=3)
    assert sorted({round(value, 2) for value in ratio.tolist()}) == [1.0, 1.4]
    torch.testing.assert_close(points[..., :2], hands[0][..., :2], rtol=0, atol=1e-6)


def test_pairs_are_mirrored_single_hands_never(hands):
    strength = HandAugmentation(**{**OFF.__dict__, "mirrored_pairs": 1.0})
    torch.testing.assert_close(_augmented(hands, strength, depth=1.0)[0], hands[0], rtol=0, atol=1e-6)
    points = hands[0] + 0.5
    pairs = points, torch.ones_like(hands[1])
    mirrored, _ = _augmented(pairs, strength, depth=1.0)
    torch.testing.assert_close(mirrored, points.flip(2) * torch.tensor([-1.0, 1.0, 1.0]), rtol=0, atol=1e-6)


def test_idle_hand_keeps_still_and_leaves_the_other(hands):
    points, seen = add_idle_hand(*hands, share=1.0, rng=torch.Generator().manual_seed(0))
    assert seen.all()
    assert torch.equal(points[:, :, RIGHT], hands[0][:, :, RIGHT])
    assert points[:, :, LEFT].std(dim=1).max() < 0.05


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_sampled_frames_stay_inside(frames):
    rng = torch.Generator().manual_seed(0)
    positions = sample_frames(torch.full((50,), frames), 12, strength=HandAugmentation(), rng=rng)
    assert positions.min() >= 0
    assert positions.max() <= frames - 1
    still = sample_frames(torch.full((1,), frames), 12, strength=OFF, rng=rng)
    torch.testing.assert_close(still[0], torch.linspace(0, frames - 1, 12))


def test_augmentation_is_annealed():
    data = HandData(kind="hands", annealing=0.2, annealed_strength=0.5)
    assert data.anneal(0, 100) == data.anneal(80, 100) == HandAugmentation()
    assert data.anneal(90, 100).noise == pytest.approx(0.75 * HandAugmentation().noise)
    assert data.anneal(100, 100).rotation == pytest.approx(0.5 * HandAugmentation().rotation)
    assert data.anneal(100, 100).crop == HandAugmentation().crop
