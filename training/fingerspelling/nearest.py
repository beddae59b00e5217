"""A baseline without learning: a clip shows the letter of the most similar clip, by dynamic time warping."""

from collections.abc import Sequence

import numpy as np
import torch

from corpora.arrays import BoolArray, Float32Array, FloatArray, Int64Array
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
# The share of a clip that is compared. Outside it the hands move to the letter and back.
MIDDLE = (0.25, 0.75)


def describe_bones(features: Sequence[Float32Array]) -> tuple[Float32Array, BoolArray]:
    """Describe the middle of each clip by the directions of the hands' bones.

    Args:
        features: float32 (frames, 609) each.
    Returns:
        float32 (clips, 8, 2, 60), each hand with norm 1, or 0 if it is not seen; and bool (clips, 8, 2), whether each
        hand is seen.
    """
    pose_features, frame_mask = map(torch.from_numpy, pad(features, dtype=np.float32))
    points, seen = mirror_left_handed(*split_hands(pose_features), frame_mask)
    shares = torch.tensor(MIDDLE).expand(len(features), 2)
    sampled = choose_sampled_frames(frame_mask.sum(dim=1), shares[:, 0], shares[:, 1], STEPS)
    points, seen = read_sampled_frames(points, seen, sampled)
    bones = points[..., BONE_ENDS, :] - points[..., BONE_STARTS, :]
    bones = bones / bones.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_HAND)
    return (bones.flatten(-2) / len(BONE_ENDS) ** 0.5).numpy(), seen.numpy()


def measure_warped_distances(query: Sequence[Float32Array], support: Sequence[Float32Array]) -> Float32Array:
    """Compare every query clip with every support clip by dynamic time warping.

    The cost of two sampled frames is, for each hand, 1 minus the mean cosine of its bones. It is 1 if only one of the
    clips shows the hand, and 0 if neither does.

    Args:
        query, support: float32 (frames, 609) each.
    Returns:
        float32 (query, support).
    """
    bones, seen = describe_bones(query)
    support_bones, support_seen = describe_bones(support)
    cosine = np.einsum("aihd,bjhd->abij", bones, support_bones, optimize=True)
    either = seen[:, None, :, None] | support_seen[None, :, None]  # query, support, 8, 8, 2
    cost = either.sum(axis=-1) - cosine
    total = np.full((len(query), len(support), STEPS + 1, STEPS + 1), np.inf, dtype=np.float32)
    total[:, :, 0, 0] = 0
    for i in range(STEPS):
        for j in range(STEPS):
            before = np.minimum(np.minimum(total[:, :, i, j], total[:, :, i, j + 1]), total[:, :, i + 1, j])
            total[:, :, i + 1, j + 1] = before + cost[:, :, i, j]
    return total[:, :, STEPS, STEPS]


def rank_by_nearest(
    distances: FloatArray, letters: Int64Array, *, support_letters: Int64Array, count: int
) -> Int64Array:
    """Rank the letter of each query clip by the nearest support clip of every letter.

    Args:
        distances: float (query, support).
        letters: int64 (query,), from 0 to count - 1.
        support_letters: int64 (support,). A letter that no support clip shows comes last.
        count: number of letters.
    Returns:
        int64 (query,), from 1.
    """
    nearest = np.full((len(distances), count), np.inf, dtype=distances.dtype)
    for letter in range(count):
        if (support_letters == letter).any():
            nearest[:, letter] = distances[:, support_letters == letter].min(axis=1)
    own = nearest[np.arange(len(letters)), letters][:, None]
    earlier = np.arange(count) < letters[:, None]
    ranks: Int64Array = ((nearest < own) | ((nearest == own) & earlier)).sum(axis=1) + 1
    return ranks
