"""Augmentations: nothing when switched off, what they say when on, repeatable always."""

import pytest
import torch

from models.hand_geometry import LEFT, RIGHT
from training.fingerspelling.augmentation import (
    add_idle_hand,
    augment,
    lower_hands,
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
        lowered=torch.zeros(64, 12),
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
    positions, lowered = sample_frames(torch.full((50,), frames), 12, strength=HandAugmentation(), rng=rng)
    assert positions.min() >= 0
    assert positions.max() <= frames - 1
    assert lowered.min() >= 0
    assert lowered.max() <= 1
    still, on_their_way = sample_frames(torch.full((1,), frames), 12, strength=OFF, rng=rng)
    torch.testing.assert_close(still[0], torch.linspace(0, frames - 1, 12))
    assert not on_their_way.any()


def test_a_signer_who_holds_still_is_seen_in_the_first_and_last_frame():
    strength = HandAugmentation(**{**OFF.__dict__, "holding": 1.0, "longest_hold": 4.0})
    rng = torch.Generator().manual_seed(0)
    positions, lowered = sample_frames(torch.full((500,), 25), 12, strength=strength, rng=rng)
    assert (positions == 0).float().mean() > 0.2
    assert (positions == 24).float().mean() > 0.2
    assert not lowered.any()
    assert (positions.diff(dim=1) >= 0).all()


def test_raised_hands_come_from_below_and_go_back():
    strength = HandAugmentation(**{**OFF.__dict__, "raising": 1.0})
    rng = torch.Generator().manual_seed(0)
    positions, lowered = sample_frames(torch.full((500,), 25), 12, strength=strength, rng=rng)
    inside = (positions > 0) & (positions < 24)
    assert not lowered[inside].any()
    assert lowered[:, 0].mean() > lowered[:, 1].mean() > lowered[:, 2].mean()
    assert lowered[:, -1].mean() > 0.2


def test_lowered_hands_are_below_and_their_fingers_hang(hands):
    points = torch.where(hands[1][..., None, None], hands[0], torch.zeros(()))
    lowered = torch.zeros(64, 12)
    lowered[:, 0] = 1
    changed = lower_hands(points, lowered, torch.Generator().manual_seed(0))
    assert torch.equal(changed[:, 1:], points[:, 1:])
    wrist, knuckle = (changed[:, 0, RIGHT, point] for point in (0, 9))
    down = wrist[:, 1] - points[:, 0, RIGHT, 0, 1]
    assert 0.2 <= down.min() < down.max() <= 1.0
    torch.testing.assert_close(knuckle[:, 0], wrist[:, 0], atol=1e-5, rtol=0)
    assert (knuckle[:, 1] > wrist[:, 1]).all()
    before, after = (p[:, 0, RIGHT] - p[:, 0, RIGHT, :1] for p in (points, changed))
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1))


def test_a_share_of_clips_has_no_depth(hands):
    points, _ = _augmented(hands, HandAugmentation(**{**OFF.__dict__, "no_depth": 0.5, "leaning": 1.0, "lean": 20.0}))
    flat = ~points[..., 2].flatten(1).any(dim=1)
    assert 16 < flat.sum() < 48
    assert _augmented(hands, OFF)[0][..., 2].any()


def test_leaning_turns_a_clip_as_a_whole(hands):
    points, seen = _augmented(hands, HandAugmentation(**{**OFF.__dict__, "leaning": 1.0, "lean": 20.0}), depth=1.0)
    assert torch.equal(seen, hands[1])
    shapes = [p[:, :, RIGHT].flatten(1, 2) for p in (hands[0], points)]
    torch.testing.assert_close(*(torch.cdist(shape, shape) for shape in shapes), atol=1e-3, rtol=1e-3)
    assert (points - hands[0]).abs().max() > 0.05


def test_lost_hands_are_lost_together_in_a_share_of_the_frames(hands):
    pairs = hands[0], torch.ones_like(hands[1])
    _, seen = _augmented(pairs, HandAugmentation(**{**OFF.__dict__, "lost_hands": 1.0}))
    assert torch.equal(seen[..., 0], seen[..., 1])
    assert 0.5 < seen.float().mean() < 0.8


def test_augmentation_is_annealed():
    data = HandData(kind="hands", annealing=0.2, annealed_strength=0.5)
    assert data.anneal(0, 100) == data.anneal(80, 100) == HandAugmentation()
    assert data.anneal(90, 100).noise == pytest.approx(0.75 * HandAugmentation().noise)
    assert data.anneal(100, 100).rotation == pytest.approx(0.5 * HandAugmentation().rotation)
    for kept in ("crop", "holding", "no_depth", "lost_hands"):
        assert getattr(data.anneal(100, 100), kept) == getattr(HandAugmentation(), kept)
