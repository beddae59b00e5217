"""Changes to hands that leave the sign the same, for a whole batch at once.

They act between reading a clip's moments and describing them (models.hand_geometry), on points in shoulder widths,
always right-dominant. Every strength is a standard deviation unless it says share.
"""

import math
from dataclasses import asdict, dataclass

import torch
from pydantic import ConfigDict
from torch import Generator, Tensor

from models.hand_geometry import HAND_POINTS, LEFT, RIGHT, WRIST, drop_idle_hand

MIRROR = torch.tensor([-1.0, 1.0, 1.0])
IDLE_ACROSS = (-0.1, 0.9)
IDLE_DOWN = (0.2, 1.3)
"""Shoulder widths from between the shoulders, to the signer's left and down, where a hand may rest: chest to hip.

Lower than that `drop_idle_hand` finds it, at serving and here."""


@dataclass(frozen=True)
class Augmentation:
    """Strengths; the defaults are those of the shipped model. All zero changes nothing."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    least_crop: float = 0.05
    crop: float = 0.35
    time_jitter: float = 0.3
    time_warp: float = 0.1
    rotation: float = 7.0
    scale: float = 0.1
    shear: float = 0.06
    depth: float = 0.25
    corrected_depth: float = 0.25
    hand_rotation: float = 12.0
    shift: float = 0.15
    hand_shift: float = 0.04
    noise: float = 0.004
    point_dropout: float = 0.05
    mirrored_pairs: float = 0.2
    left_dropout: float = 0.05
    frame_dropout: float = 0.08
    idle_left: float = 0.2

    def scaled(self, factor: float) -> "Augmentation":
        """Weaken every strength by a factor; where clips are cut stays, for no reading at serving is whole."""
        weaker = {name: value * factor for name, value in asdict(self).items()}
        return Augmentation(**{**weaker, "least_crop": self.least_crop, "crop": self.crop})


def draw_moments(frame_counts: Tensor, steps: int, strength: Augmentation, chance: Generator) -> Tensor:
    """Pick moments from a random part of each clip, at a slightly uneven pace.

    Args:
        frame_counts: int (batch,).
        steps: moments per clip.
        strength: between `least_crop` and `crop` of the clip are cut off either end, `time_warp` is the largest bend of
            the pace as a share of the part read, `time_jitter` a share of the distance between moments.
    Returns:
        float32 (batch, steps), in frames; between 0 and frame_counts - 1.
    """
    batch = len(frame_counts)
    start, cut, bend = torch.rand(3, batch, 1, generator=chance)
    span = strength.crop - strength.least_crop
    start, end = strength.least_crop + start * span, 1 - strength.least_crop - cut * span
    pace = torch.linspace(0, 1, steps)
    bent = pace + (2 * bend - 1) * strength.time_warp * torch.sin(math.pi * pace)
    jitter = torch.randn(batch, steps, generator=chance) * strength.time_jitter / max(steps - 1, 1)
    shares = start + (end - start) * (bent + jitter)
    return shares.clamp(0, 1) * (frame_counts - 1)[:, None]


def _normal(shape: tuple[int, ...], chance: Generator) -> Tensor:
    return torch.randn(shape, generator=chance)


def _happens(shape: tuple[int, ...], share: float, chance: Generator) -> Tensor:
    return torch.rand(shape, generator=chance) < share


def _turns(angles: Tensor) -> Tensor:
    # Rotation matrices (..., 3, 3) by Rodrigues' formula; angles (..., 3) is axis times radians.
    x, y, z = angles.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(skew)


def _picture_matrices(batch: int, strength: Augmentation, chance: Generator) -> Tensor:
    # (batch, 3, 3): what another camera does to a whole clip, in the picture's plane, and its error in depth.
    turn = _normal((batch,), chance) * math.radians(strength.rotation)
    matrices = torch.zeros(batch, 3, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = turn.cos()
    matrices[:, 1, 0] = turn.sin()
    matrices[:, 0, 1] = -turn.sin()
    shear = torch.eye(3).repeat(batch, 1, 1)
    shear[:, 0, 1] = _normal((batch,), chance) * strength.shear
    shear[:, 0, 0] = 1 + _normal((batch,), chance) * strength.scale
    shear[:, 1, 1] = 1 + _normal((batch,), chance) * strength.scale
    matrices[:, 2, 2] = (_normal((batch,), chance) * strength.depth).exp()
    return matrices @ shear


def add_idle_hand(points: Tensor, seen: Tensor, share: float, chance: Generator) -> tuple[Tensor, Tensor]:
    """Let the left hand of some one-handed clips rest in view; the lexicon's own clips never show one.

    Its shape is some other clip's right hand, mirrored, turned at random and still but for a tremor.

    Args:
        points, seen: (batch, steps, 2, 21, 3) and (batch, steps, 2), right-dominant.
        share: of the clips without a left hand.
    Returns:
        new points and seen.
    """
    batch, steps = seen.shape[:2]
    donor = torch.randperm(batch, generator=chance)
    moment = torch.randint(steps, (batch,), generator=chance)
    added = ~seen[:, :, LEFT].any(dim=1) & _happens((batch,), share, chance) & seen[donor, moment, RIGHT]
    shape = points[donor, moment, RIGHT] * MIRROR  # (batch, 21, 3)
    turns = _turns(_normal((batch, 3), chance) * torch.tensor([0.5, 0.5, 1.5]))
    shape = (shape - shape[:, WRIST : WRIST + 1]) @ turns
    across, down = torch.rand(2, batch, generator=chance)
    across = IDLE_ACROSS[0] + (IDLE_ACROSS[1] - IDLE_ACROSS[0]) * across
    down = IDLE_DOWN[0] + (IDLE_DOWN[1] - IDLE_DOWN[0]) * down
    place = torch.stack((across, down, torch.zeros(batch)), dim=-1)
    tremor = _normal((batch, steps, 1, 3), chance) * 0.01
    resting = (shape + place[:, None])[:, None] + tremor  # (batch, steps, 21, 3)
    points, seen = points.clone(), seen.clone()
    points[:, :, LEFT] = torch.where(added[:, None, None, None], resting, points[:, :, LEFT])
    seen[:, :, LEFT] |= added[:, None]
    return points, seen


def augment(
    points: Tensor, seen: Tensor, depth_corrections: Tensor, strength: Augmentation, chance: Generator
) -> tuple[Tensor, Tensor]:
    """Change a batch of clips at random; no clip's change depends on another, but for borrowed idle hands.

    Args:
        points: float32 (batch, steps, 2, 21, 3), right-dominant, in shoulder widths.
        seen: bool (batch, steps, 2).
        depth_corrections: float32 (batch,), what each clip's depth lacks; applied to a `corrected_depth` share.
        strength: see Augmentation; `rotation` and `hand_rotation` in degrees.
        chance: where all randomness comes from.
    Returns:
        points and seen, in the same shapes.
    """
    batch, steps = seen.shape[:2]
    corrected = _happens((batch,), strength.corrected_depth, chance)
    points = points.clone()
    points[..., 2] *= torch.where(corrected, depth_corrections, torch.ones(batch))[:, None, None, None]

    # One hand alone is always turned into a right one; of two, presence cannot tell which is the signer's better one.
    mirrored = (seen[:, :, LEFT] & seen[:, :, RIGHT]).any(dim=1) & _happens((batch,), strength.mirrored_pairs, chance)
    points = torch.where(mirrored[:, None, None, None, None], points.flip(2) * MIRROR, points)
    seen = torch.where(mirrored[:, None, None], seen.flip(2), seen)

    dropped = _happens((batch,), strength.left_dropout, chance) & seen[:, :, RIGHT].any(dim=1)
    seen = seen & ~torch.stack((dropped, torch.zeros_like(dropped)), dim=-1)[:, None]
    points, seen = add_idle_hand(points, seen, strength.idle_left, chance)
    points, seen = drop_idle_hand(points, seen)

    wrists = points[..., WRIST : WRIST + 1, :]
    turns = _turns(_normal((batch, 2, 3), chance) * math.radians(strength.hand_rotation))
    relative = (points - wrists) @ turns[:, None]
    kept = ~_happens((batch, steps, 2, HAND_POINTS, 1), strength.point_dropout, chance)
    relative = relative * kept + _normal(tuple(points.shape), chance) * strength.noise
    shift = _normal((batch, 1, 1, 1, 3), chance) * strength.shift
    shift = shift + _normal((batch, 1, 2, 1, 3), chance) * strength.hand_shift
    points = wrists + shift * torch.tensor([1.0, 1.0, 0.0]) + relative
    points = points @ _picture_matrices(batch, strength, chance)[:, None, None].transpose(-1, -2)

    seen = seen & ~_happens((batch, steps, 2), strength.frame_dropout, chance)
    return points * seen[..., None, None], seen
