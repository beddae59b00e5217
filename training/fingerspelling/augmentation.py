"""Augmentation of hands that keeps the sign, for a whole batch at once.

It acts after frames are sampled and before they are described (models.hand_geometry), on points in shoulder widths with
the right hand as the dominant one. training.sections.hands.HandAugmentation describes the strengths.
"""

import math

import torch
from torch import Generator, Tensor

from models.hand_geometry import HAND_POINTS, LEFT, MIDDLE_KNUCKLE, RIGHT, WRIST, drop_idle_hand
from training.sections.hands import HandAugmentation

MIRROR = torch.tensor([-1.0, 1.0, 1.0])
# Where an idle left hand may be, in shoulder widths from the middle of the shoulders: to the signer's left, and down,
# from chest to hip. Lower hands are found by `drop_idle_hand`, here and when clips are served.
IDLE_ACROSS = (-0.1, 0.9)
IDLE_DOWN = (0.2, 1.3)
# Lengths of a clip that a hand takes from the lap: 0.3 s beside letters of 1 s. Trimming leaves no more of the way.
RAISING = 0.3
# How far a hand may be below the place where the clip begins, in shoulder widths: as far as trimming leaves it.
LOWERED = (0.2, 1.0)
# The share of frames that a clip with lost hands loses.
LOST = (0.1, 0.6)


def sample_frames(
    frame_counts: Tensor, count: int, *, strength: HandAugmentation, rng: Generator
) -> tuple[Tensor, Tensor]:
    """Sample frames from a random part of each clip, at a slightly uneven pace.

    A share of clips has time before and after: the signer holds still there, or raises and lowers the hands.

    Args:
        frame_counts: int64 (pairs,).
        count: sampled frames a clip.
        strength: between `least_crop` and `crop` of the clip are cut off at either end, `time_warp` is the largest bend
            of the pace, as a share of the sampled part, and `time_jitter` a share of the distance between samples.
            `holding` and `raising` are the shares of clips with time around, `longest_hold` how much.
        rng: the source of all random numbers.
    Returns:
        float32 (pairs, sampled frames) both: positions in frames from 0 to frame_counts - 1, and how far hands are on
        their way down, from 0 to 1.
    """
    pairs = len(frame_counts)
    start, cut, bend = torch.rand(3, pairs, 1, generator=rng)
    span = strength.crop - strength.least_crop
    start, end = strength.least_crop + start * span, 1 - strength.least_crop - cut * span
    pace = torch.linspace(0, 1, count)
    bent = pace + (2 * bend - 1) * strength.time_warp * torch.sin(math.pi * pace)
    jitter = torch.randn(pairs, count, generator=rng) * strength.time_jitter / max(count - 1, 1)
    shares = start + (end - start) * (bent + jitter)
    kind = torch.rand(pairs, 1, generator=rng)
    holds, raises = kind < strength.holding, kind > 1 - strength.raising
    before, after = torch.rand(2, pairs, 1, generator=rng) * (holds * strength.longest_hold + raises * RAISING)
    shares = shares * (1 + before + after) - before
    positions: Tensor = shares.clamp(0, 1) * (frame_counts - 1)[:, None]
    lowered: Tensor = ((shares - shares.clamp(0, 1)).abs() / RAISING).clamp(max=1) * raises
    return positions, lowered


def _draw_normal(shape: tuple[int, ...], rng: Generator) -> Tensor:
    return torch.randn(shape, generator=rng)


def _draw_events(shape: tuple[int, ...], share: float, rng: Generator) -> Tensor:
    return torch.rand(shape, generator=rng) < share


def _make_rotations(angles: Tensor) -> Tensor:
    # Rotation matrices (..., 3, 3) by Rodrigues' formula; angles (..., 3) is axis times radians.
    x, y, z = angles.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).reshape(*angles.shape, 3)  # (..., 3, 3)
    rotations: Tensor = torch.linalg.matrix_exp(skew)
    return rotations


def _draw_cameras(pairs: int, strength: HandAugmentation, rng: Generator) -> Tensor:
    # (pairs, 3, 3): the effect of another camera on a whole clip, in the plane of the picture, and its error in depth.
    turn = _draw_normal((pairs,), rng) * math.radians(strength.rotation)
    matrices = torch.zeros(pairs, 3, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = turn.cos()
    matrices[:, 1, 0] = turn.sin()
    matrices[:, 0, 1] = -turn.sin()
    shear = torch.eye(3).repeat(pairs, 1, 1)
    shear[:, 0, 1] = _draw_normal((pairs,), rng) * strength.shear
    shear[:, 0, 0] = 1 + _draw_normal((pairs,), rng) * strength.scale
    shear[:, 1, 1] = 1 + _draw_normal((pairs,), rng) * strength.scale
    matrices[:, 2, 2] = (_draw_normal((pairs,), rng) * strength.depth).exp()
    return matrices @ shear


def add_idle_hand(points: Tensor, seen: Tensor, *, share: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Add an idle left hand to some one-handed clips, because the lexicon's own clips never show one.

    Its shape is the mirrored right hand of another clip, turned at random. It is still except for a tremor.

    Args:
        points: float32 (pairs, sampled frames, 2, 21, 3), with the right hand as the dominant one; not changed.
        seen: bool (pairs, sampled frames, 2); not changed.
        share: of the clips without a left hand.
        rng: the source of all random numbers.
    Returns:
        New points and seen, in the same shapes.
    """
    pairs, count = seen.shape[:2]
    donor = torch.randperm(pairs, generator=rng)
    frame = torch.randint(count, (pairs,), generator=rng)
    added = ~seen[:, :, LEFT].any(dim=1) & _draw_events((pairs,), share, rng) & seen[donor, frame, RIGHT]
    shape = points[donor, frame, RIGHT] * MIRROR  # pairs, 21, 3
    rotations = _make_rotations(_draw_normal((pairs, 3), rng) * torch.tensor([0.5, 0.5, 1.5]))
    shape = (shape - shape[:, WRIST : WRIST + 1]) @ rotations
    across, down = torch.rand(2, pairs, generator=rng)
    across = IDLE_ACROSS[0] + (IDLE_ACROSS[1] - IDLE_ACROSS[0]) * across
    down = IDLE_DOWN[0] + (IDLE_DOWN[1] - IDLE_DOWN[0]) * down
    place = torch.stack((across, down, torch.zeros(pairs)), dim=-1)
    tremor = _draw_normal((pairs, count, 1, 3), rng) * 0.01
    idle = (shape + place[:, None])[:, None] + tremor  # pairs, sampled frames, 21, 3
    points, seen = points.clone(), seen.clone()
    points[:, :, LEFT] = torch.where(added[:, None, None, None], idle, points[:, :, LEFT])
    seen[:, :, LEFT] |= added[:, None]
    return points, seen


def lower_hands(points: Tensor, lowered: Tensor, rng: Generator) -> Tensor:
    """Move hands down, and turn them until their fingers hang.

    Args:
        points: float32 (pairs, sampled frames, 2, 21, 3); not changed.
        lowered: float32 (pairs, sampled frames), how far hands are on their way, from 0 to 1.
        rng: the source of all random numbers.
    Returns:
        Points in the same shape.
    """
    relative = points - points[..., WRIST : WRIST + 1, :]
    knuckle = relative[..., MIDDLE_KNUCKLE, :]
    angles = torch.atan2(knuckle[..., 0], knuckle[..., 1]) * lowered[..., None]  # pairs, sampled frames, 2
    cos, sin = angles.cos()[..., None], angles.sin()[..., None]
    x, y, z = relative.unbind(-1)
    turned = torch.stack((cos * x - sin * y, sin * x + cos * y, z), dim=-1)
    low, high = LOWERED
    way = low + (high - low) * torch.rand(len(points), 1, generator=rng)  # pairs, 1
    down = torch.zeros_like(points[..., :1, :])
    down[..., 1] = (way * lowered)[..., None, None]
    changed: Tensor = points - relative + turned + down
    return torch.where(lowered[..., None, None, None] > 0, changed, points)


def augment(
    points: Tensor,
    seen: Tensor,
    *,
    lowered: Tensor,
    depth_corrections: Tensor,
    strength: HandAugmentation,
    rng: Generator,
) -> tuple[Tensor, Tensor]:
    """Change a batch of clips at random. Clips are changed independently, except that idle hands have donors.

    Args:
        points: float32 (pairs, sampled frames, 2, 21, 3), in shoulder widths, with the right hand as the dominant one.
        seen: bool (pairs, sampled frames, 2).
        lowered: float32 (pairs, sampled frames), of sample_frames.
        depth_corrections: float32 (pairs,), the factor of each clip's depth; a share of clips gets it.
        strength: of each change.
        rng: the source of all random numbers.
    Returns:
        Points and seen, in the same shapes.
    """
    pairs = len(seen)
    corrected = _draw_events((pairs,), strength.corrected_depth, rng)
    points = lower_hands(points, lowered, rng) * seen[..., None, None]
    depths = torch.where(corrected, depth_corrections, torch.ones(pairs))
    flat = _draw_events((pairs,), strength.no_depth, rng)
    points[..., 2] *= torch.where(flat, torch.zeros(pairs), depths)[:, None, None, None]

    # A single hand is always turned into a right one. Of two hands, presence does not tell which is dominant.
    mirrored = (seen[:, :, LEFT] & seen[:, :, RIGHT]).any(dim=1) & _draw_events((pairs,), strength.mirrored_pairs, rng)
    points = torch.where(mirrored[:, None, None, None, None], points.flip(2) * MIRROR, points)
    seen = torch.where(mirrored[:, None, None], seen.flip(2), seen)

    dropped = _draw_events((pairs,), strength.left_dropout, rng) & seen[:, :, RIGHT].any(dim=1)
    seen = seen & ~torch.stack((dropped, torch.zeros_like(dropped)), dim=-1)[:, None]
    points, seen = add_idle_hand(points, seen, share=strength.idle_left, rng=rng)
    points, seen = drop_idle_hand(points, seen)

    points = _move_hands(points, strength, rng)
    points = points @ _draw_cameras(pairs, strength, rng)[:, None, None].transpose(-1, -2)
    leans = _draw_events((pairs, 1), strength.leaning, rng)
    lean = _make_rotations(_draw_normal((pairs, 3), rng) * math.radians(strength.lean) * leans)
    points = points @ lean[:, None, None]
    # A leaning signer in a flat pose has no depth either.
    points[..., 2] *= (~flat)[:, None, None, None]
    seen = _lose_frames(seen, strength, rng)
    return points * seen[..., None, None], seen


def _move_hands(points: Tensor, strength: HandAugmentation, rng: Generator) -> Tensor:
    """Turn and move each hand, drop points onto the wrist, and add noise: points (pairs, sampled frames, 2, 21, 3)."""
    pairs, count = points.shape[:2]
    wrists = points[..., WRIST : WRIST + 1, :]
    rotations = _make_rotations(_draw_normal((pairs, 2, 3), rng) * math.radians(strength.hand_rotation))
    relative = (points - wrists) @ rotations[:, None]
    kept = ~_draw_events((pairs, count, 2, HAND_POINTS, 1), strength.point_dropout, rng)
    relative = relative * kept + _draw_normal(tuple(points.shape), rng) * strength.noise
    shift = _draw_normal((pairs, 1, 1, 1, 3), rng) * strength.shift
    shift = shift + _draw_normal((pairs, 1, 2, 1, 3), rng) * strength.hand_shift
    moved: Tensor = wrists + shift * torch.tensor([1.0, 1.0, 0.0]) + relative
    return moved


def _lose_frames(seen: Tensor, strength: HandAugmentation, rng: Generator) -> Tensor:
    """Lose hands in single frames, and both hands in many frames of some clips: seen (pairs, sampled frames, 2)."""
    pairs, count = seen.shape[:2]
    seen = seen & ~_draw_events((pairs, count, 2), strength.frame_dropout, rng)
    low, high = LOST
    lost = _draw_events((pairs,), strength.lost_hands, rng) * (low + (high - low) * torch.rand(pairs, generator=rng))
    return seen & (torch.rand(pairs, count, generator=rng) >= lost[:, None])[..., None]
