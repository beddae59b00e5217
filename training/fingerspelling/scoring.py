"""How well clips are named among the 26 letters, and what becomes of that when the picture changes."""

from collections.abc import Sequence

import numpy as np
import torch

from evaluation.retrieval import rank_first_right
from models.architecture import SignClip
from models.batching import pad
from models.hand_geometry import HAND_POINTS, LEFT_HAND_START, split_hands

CLIPS_AT_ONCE = 128
RESTING_PLACE = ((0.1, 0.7), (0.6, 0.7))
"""Lowest x and y of a resting left wrist, and the range above them, in shoulder widths: from belly to thigh."""
TREMOR = 0.01


def embed_clips(model: SignClip, features: Sequence[np.ndarray]) -> np.ndarray:
    """Embed clips of any lengths; float32 (clips, embed_dim), raw vectors.

    Args:
        model: in evaluation mode.
        features: float32 (frames, features) each, as served.
    """
    batches = [features[start : start + CLIPS_AT_ONCE] for start in range(0, len(features), CLIPS_AT_ONCE)]
    with torch.inference_mode():
        vectors = [model.encode_pose(*map(torch.from_numpy, pad(batch, dtype=np.float32))) for batch in batches]
    return torch.cat(vectors).numpy()


def letter_ranks(poses: np.ndarray, texts: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Rank each clip's letter among all; int (clips,), from 1.

    Args:
        poses: (clips, embed_dim).
        texts: (letters, embed_dim), or (clips, letters, embed_dim) where each clip has prompts of its own.
        letters: int (clips,), rows of texts.
    """
    scores = np.einsum("cd,cld->cl" if texts.ndim == 3 else "cd,ld->cl", poses, texts)
    return rank_first_right(scores, np.arange(scores.shape[1]) == letters[:, None])


def summarize_ranks(ranks: np.ndarray) -> dict[str, float]:
    """Condense ranks into R@1 and R@5 in percent and the median rank."""
    return {
        "R@1": 100 * float((ranks <= 1).mean()),
        "R@5": 100 * float((ranks <= 5).mean()),
        "median_rank": float(np.median(ranks)),
    }


def spread_over_groups(hits: np.ndarray, groups: Sequence[str], *, draws: int = 2000) -> tuple[float, float]:
    """Bootstrap a 95 % interval of the mean over whole groups, as clips of one signer stand or fall together.

    Args:
        hits: float (clips,).
        groups: of each clip, e.g. its language.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, weights=hits)
    counts = np.bincount(numbers)
    drawn = np.random.default_rng(0).integers(len(names), size=(draws, len(names)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def add_resting_left_hand(features: Sequence[np.ndarray], *, seed: int = 0) -> list[np.ndarray]:
    """Put a left hand at rest into every clip that shows none.

    Its shape is another clip's hand at the start of its movement, as a left hand, fingers down.

    Args:
        features: float32 (frames, 609) each; not changed.
        seed: of places, donors and tremor.
    """
    chance = np.random.default_rng(seed)
    hands = [split_hands(torch.from_numpy(clip)[None]) for clip in features]
    mirror = np.array([[[1, 1, 1]], [[-1, 1, 1]]])
    starts = np.concatenate([(points[0, 0].numpy() * mirror)[seen[0, 0].numpy()] for points, seen in hands])
    low, span = np.array(RESTING_PLACE)
    changed = []
    for clip, (_, seen) in zip(features, hands, strict=True):
        shape = starts[chance.integers(len(starts))]
        place = np.append(low + span * chance.random(2), 0)
        tremor = chance.normal(0, TREMOR, (len(clip), 1, 3))
        if seen[0, :, 0].any():
            changed.append(clip)
            continue
        resting = _fingers_down(shape - shape[0]) + place + tremor  # (frames, 21, 3)
        clip = clip.copy()
        clip[:, LEFT_HAND_START : LEFT_HAND_START + 3 * HAND_POINTS] = resting.reshape(len(clip), -1)
        changed.append(clip)
    return changed


def _fingers_down(shape: np.ndarray) -> np.ndarray:
    # Turn in the picture's plane until the middle knuckle hangs below the wrist.
    x, y = shape[9, :2] / max(float(np.linalg.norm(shape[9, :2])), 1e-6)
    return shape @ np.array([[y, x, 0], [-x, y, 0], [0, 0, 1]])
