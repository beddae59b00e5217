"""The honest baseline without learning: a clip is the letter of the most similar clip, by dynamic time warping."""

from collections.abc import Sequence

import numpy as np
import torch

from models.batching import pad
from models.hand_geometry import (
    BONE_ENDS,
    BONE_STARTS,
    SMALLEST_HAND,
    choose_sampled_frames,
    mirror_left_handed,
    read_sampled_frames,
    split_hands,
)

STEPS = 8
MIDDLE = (0.25, 0.75)
"""Share of a clip that is compared: what lies outside is the way to the letter and back."""


def bone_directions(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Describe the middle of each clip by the directions of its hands' bones.

    Args:
        features: float32 (frames, 609) each.
    Returns:
        float32 (clips, 8, 2, 60), each hand of norm 1, or 0 where not seen; seen bool (clips, 8, 2).
    """
    pose_features, frame_mask = map(torch.from_numpy, pad(features, dtype=np.float32))
    points, seen = mirror_left_handed(*split_hands(pose_features), frame_mask)
    shares = torch.tensor(MIDDLE).expand(len(features), 2)
    sampled = choose_sampled_frames(frame_mask.sum(dim=1), shares[:, 0], shares[:, 1], STEPS)
    points, seen = read_sampled_frames(points, seen, sampled)
    bones = points[..., BONE_ENDS, :] - points[..., BONE_STARTS, :]
    bones = bones / bones.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_HAND)
    return (bones.flatten(-2) / len(BONE_ENDS) ** 0.5).numpy(), seen.numpy()


def warped_distances(asked: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray:
    """Compare every clip with every other by dynamic time warping; float32 (asked, known).

    A moment costs, per hand, 1 minus the mean cosine of its bones: 1 when only one of the clips shows that hand, 0 when
    neither does.
    """
    bones, seen = bone_directions(asked)
    known_bones, known_seen = bone_directions(known)
    cosine = np.einsum("aihd,bjhd->abij", bones, known_bones, optimize=True)
    either = seen[:, None, :, None] | known_seen[None, :, None]  # (asked, known, 8, 8, 2)
    cost = either.sum(axis=-1) - cosine
    total = np.full((len(asked), len(known), STEPS + 1, STEPS + 1), np.inf, dtype=np.float32)
    total[:, :, 0, 0] = 0
    for i in range(STEPS):
        for j in range(STEPS):
            before = np.minimum(np.minimum(total[:, :, i, j], total[:, :, i, j + 1]), total[:, :, i + 1, j])
            total[:, :, i + 1, j + 1] = before + cost[:, :, i, j]
    return total[:, :, STEPS, STEPS]


def nearest_ranks(distances: np.ndarray, letters: np.ndarray, known_letters: np.ndarray, *, count: int) -> np.ndarray:
    """Rank each clip's letter by its nearest known clip; int (asked,), from 1.

    Args:
        distances: (asked, known).
        letters, known_letters: int, 0 to count - 1; a letter no known clip shows comes last.
    """
    nearest = np.full((len(distances), count), np.inf, dtype=distances.dtype)
    for letter in range(count):
        if (known_letters == letter).any():
            nearest[:, letter] = distances[:, known_letters == letter].min(axis=1)
    own = nearest[np.arange(len(letters)), letters][:, None]
    earlier = np.arange(count) < letters[:, None]
    return ((nearest < own) | ((nearest == own) & earlier)).sum(axis=1) + 1
