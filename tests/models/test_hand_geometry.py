"""What the fixed hand geometry promises: it sees hands, and nothing of batch, padding, place, size or handedness."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.hand_geometry import (
    GEOMETRY_DIM,
    IDLE_BELOW,
    LEFT_HAND_START,
    HandGeometry,
    choose_sampled_frames,
    describe_hands,
    drop_idle_hand,
    mirror_left_handed,
    read_sampled_frames,
    split_hands,
)
from poses import extract, read

GOLDEN = Path(__file__).parents[1] / "golden" / "poses"
MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def letter() -> torch.Tensor:
    """ASL's A, one-handed; (frames, 609)."""
    return torch.from_numpy(extract(read((GOLDEN / "ase_A.pose").read_bytes()), "signclip_depth"))


def _hands(features: torch.Tensor) -> torch.Tensor:
    return features[..., LEFT_HAND_START:].unflatten(-1, (2, 21, 3))


def _with_hands(hands: torch.Tensor) -> torch.Tensor:
    features = torch.zeros(*hands.shape[:-3], 609)
    features[..., LEFT_HAND_START:] = hands.flatten(-3)
    return features


def _two_handed(frames: int, *, seed: int = 0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    hands = torch.randn(frames, 2, 21, 3, generator=chance) * 0.1
    return _with_hands(hands + torch.tensor([[[0.4, 0.3, 0.0]], [[-0.4, 0.3, 0.0]]]))


def _describe(features: torch.Tensor) -> torch.Tensor:
    return HandGeometry()(features[None], torch.ones(1, len(features), dtype=torch.bool))[0]


def test_shape_and_bounds(letter):
    geometry = HandGeometry()
    described = _describe(letter)
    assert described.shape == (geometry.crops, geometry.steps, geometry.out_dim)
    assert geometry.out_dim == GEOMETRY_DIM
    assert list(geometry.parameters()) == []
    assert described.abs().max() <= 4


@pytest.mark.parametrize("junk", [0.0, 7.0, math.nan])
def test_batch_mates_and_padding_do_not_matter(letter, junk):
    clips = [letter, _two_handed(3), _two_handed(40, seed=1), torch.zeros(1, 609)]
    batch = torch.full((len(clips), 64, 609), junk)
    mask = torch.zeros(len(clips), 64, dtype=torch.bool)
    for row, clip in enumerate(clips):
        batch[row, : len(clip)] = clip
        mask[row, : len(clip)] = True
    together = HandGeometry()(batch, mask)
    for row, clip in enumerate(clips):
        torch.testing.assert_close(together[row], _describe(clip), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 300])
def test_clips_of_any_length(frames):
    assert _describe(_two_handed(frames)).isfinite().all()


def test_no_hands_is_all_zero():
    assert (_describe(torch.zeros(5, 609)) == 0).all()
    same_point = _with_hands(torch.full((5, 2, 21, 3), -1.25))
    assert (_describe(same_point) == 0).all()


def test_degenerate_hand_is_finite():
    hands = torch.zeros(4, 2, 21, 3)
    hands[:, 1, 20] = 0.3
    assert _describe(_with_hands(hands)).isfinite().all()


def test_missing_hands_are_found(letter):
    _, seen = split_hands(letter[None])
    hidden = letter.clone()
    hidden[3:5, LEFT_HAND_START:] = 0
    _, seen_less = split_hands(hidden[None])
    assert seen[0, :, 1].all()
    assert not seen[..., 0].any()
    assert not seen_less[0, 3:5].any()
    assert seen_less[0, 5:, 1].all()


def test_mirrored_one_handed_clip_is_the_same(letter):
    mirrored = _with_hands(
        _hands(letter).flip(-3) * MIRROR * (_hands(letter).flip(-3).abs().amax((-2, -1)) > 0)[..., None, None]
    )
    torch.testing.assert_close(_describe(mirrored), _describe(letter), rtol=0, atol=1e-6)


def test_two_handed_clip_keeps_its_hands():
    points, seen = split_hands(_two_handed(6)[None])
    mask = torch.ones(1, 6, dtype=torch.bool)
    torch.testing.assert_close(mirror_left_handed(points, seen, mask), (points, seen))


def test_resting_hand_is_forgotten(letter):
    hands = _hands(letter).clone()
    right_height = hands[:, 1, 0, 1].mean()
    hands[:, 0] = hands[:, 1] * MIRROR
    hands[:, 0, :, 1] += IDLE_BELOW + 0.1 - (hands[:, 0, 0, 1].mean() - right_height)
    torch.testing.assert_close(_describe(_with_hands(hands)), _describe(letter), rtol=0, atol=1e-6)
    points, seen = split_hands(_two_handed(6)[None])
    assert drop_idle_hand(points, seen)[1].all()


def test_place_changes_only_where_the_wrists_are(letter):
    moved = _with_hands(
        _hands(letter) + torch.tensor([0.3, -0.2, 0.0]) * (_hands(letter).abs().amax((-2, -1)) > 0)[..., None, None]
    )
    changed = (_describe(moved) - _describe(letter)).abs().amax((0, 1)) > 1e-5
    assert changed.sum() == 2


def test_hand_size_and_camera_turn():
    chance = torch.Generator().manual_seed(2)
    hand = torch.randn(1, 1, 2, 21, 3, generator=chance) * 0.1
    hand = hand - hand[..., :1, :]
    seen = torch.ones(1, 1, 2, dtype=torch.bool)
    small, large = describe_hands(hand, seen), describe_hands(hand * 1.7, seen)
    per_hand = (GEOMETRY_DIM - 39) // 2
    torch.testing.assert_close(small[..., : 2 * per_hand], large[..., : 2 * per_hand], rtol=0, atol=1e-4)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=chance))[0]
    turn = turn * torch.linalg.det(turn).sign()
    turned = describe_hands(hand @ turn, seen)
    # Bones as the palm sees them, and distances: 60 + 15 numbers behind the first 60.
    torch.testing.assert_close(turned[..., 60:135], small[..., 60:135], rtol=0, atol=1e-4)


def test_moments_between_frames_skip_missing_hands():
    points = torch.ones(1, 3, 2, 21, 3) * torch.tensor([0.0, 1.0, 2.0])[None, :, None, None, None]
    seen = torch.tensor([[[True, True], [True, False], [True, True]]])
    read_points, read_seen = read_sampled_frames(points, seen, torch.tensor([[0.0, 0.25, 0.75, 2.0]]))
    assert read_points[0, :, 0, 0, 0].tolist() == [0.0, 0.25, 0.75, 2.0]
    assert read_seen[0, :, 1].tolist() == [True, True, False, True]
    assert read_points[0, 1, 1, 0, 0] == 0.0


def test_moments_stay_inside():
    counts = torch.tensor([1, 2, 33])
    moments = choose_sampled_frames(counts, torch.tensor([0.0, 0.25, 0.0]), torch.tensor([1.0, 0.95, 1.0]), 12)
    assert moments.shape == (3, 12)
    assert (moments <= (counts - 1)[:, None]).all()
    assert moments[2].tolist() == pytest.approx(np.linspace(0, 32, 12), abs=1e-4)
