"""How well a model names clips among the 26 letters, and how a resting hand in the picture changes that."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from corpora.arrays import Float32Array, FloatArray, Int64Array
from evaluation.retrieval import rank_first_right
from models.architecture import SignClip
from models.batching import pad
from models.hand_geometry import HAND_POINTS, LEFT_HAND_START, split_hands

CLIPS_AT_ONCE = 128
# The lowest x and y of a resting left wrist, and the range above them, in shoulder widths: from belly to thigh.
RESTING_PLACE = ((0.1, 0.7), (0.6, 0.7))
# Standard deviation of a resting hand's place between frames, in shoulder widths.
TREMOR = 0.01


def pad_batches(features: Sequence[Float32Array]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pad clips in batches of CLIPS_AT_ONCE.

    Args:
        features: float32 (frames, features) each, as served.
    Yields:
        float32 (clips, frames, features), and bool (clips, frames), True where a frame is real.
    """
    for start in range(0, len(features), CLIPS_AT_ONCE):
        padded, mask = pad(features[start : start + CLIPS_AT_ONCE], dtype=np.float32)
        yield torch.from_numpy(padded), torch.from_numpy(mask)


def embed_letters(model: SignClip, features: Sequence[Float32Array]) -> Float32Array:
    """Embed clips of any lengths.

    Args:
        model: in evaluation mode.
        features: float32 (frames, features) each, as served.
    Returns:
        float32 (clips, embed_dim), raw.
    """
    with torch.inference_mode():
        vectors = [model.encode_pose(frames, mask) for frames, mask in pad_batches(features)]
    embedded: Float32Array = torch.cat(vectors).numpy()
    return embedded


def rank_letters(poses: FloatArray, texts: FloatArray, letters: Int64Array) -> Int64Array:
    """Rank the letter of each clip among all letters, which have the same prompts for all clips.

    Args:
        poses: float (clips, embed_dim).
        texts: float (letters, embed_dim).
        letters: int64 (clips,), rows of texts.
    Returns:
        int64 (clips,), from 1.
    """
    return _rank_columns(np.einsum("cd,ld->cl", poses, texts), letters)


def rank_letters_of_clips(poses: FloatArray, texts: FloatArray, letters: Int64Array) -> Int64Array:
    """Rank the letter of each clip among all letters, with prompts of its own for each clip.

    Args:
        poses: float (clips, embed_dim).
        texts: float (clips, letters, embed_dim).
        letters: int64 (clips,), places in the second dimension of texts.
    Returns:
        int64 (clips,), from 1.
    """
    return _rank_columns(np.einsum("cd,cld->cl", poses, texts), letters)


def _rank_columns(scores: FloatArray, columns: Int64Array) -> Int64Array:
    return rank_first_right(scores, np.arange(scores.shape[1]) == columns[:, None])


def summarize_ranks(ranks: Int64Array) -> dict[str, float]:
    """Summarize ranks, int64 (clips,), as R@1 and R@5 in percent and the median rank."""
    return {
        "R@1": 100 * float((ranks <= 1).mean()),
        "R@5": 100 * float((ranks <= 5).mean()),
        "median_rank": float(np.median(ranks)),
    }


def bootstrap_interval(hits: FloatArray, groups: Sequence[str], *, draws: int = 2000) -> tuple[float, float]:
    """Bootstrap a 95 % interval of the mean over whole groups, because the clips of one signer are not independent.

    Args:
        hits: float (clips,).
        groups: of each clip, for example its language.
        draws: number of bootstrap samples.
    Returns:
        The interval's lower and upper bound.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, weights=hits)
    counts = np.bincount(numbers)
    drawn = np.random.default_rng(0).integers(len(names), size=(draws, len(names)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def add_resting_left_hand(features: Sequence[Float32Array], *, seed: int = 0) -> list[Float32Array]:
    """Add a resting left hand to every clip that shows none.

    Its shape is the hand of another clip at the start of the movement, as a left hand with the fingers down.

    Args:
        features: float32 (frames, 609) each; not changed.
        seed: of places, donors and tremor.
    Returns:
        float32 (frames, 609) each.
    """
    rng = np.random.default_rng(seed)
    hands = [split_hands(torch.from_numpy(clip)[None]) for clip in features]
    mirror = np.array([[[1, 1, 1]], [[-1, 1, 1]]])
    starts = np.concatenate([(points[0, 0].numpy() * mirror)[seen[0, 0].numpy()] for points, seen in hands])
    low, span = np.array(RESTING_PLACE)
    changed = []
    for clip, (_, seen) in zip(features, hands, strict=True):
        shape = starts[rng.integers(len(starts))]
        place = np.append(low + span * rng.random(2), 0)
        tremor = rng.normal(0, TREMOR, (len(clip), 1, 3))
        if seen[0, :, 0].any():
            changed.append(clip)
            continue
        resting = _turn_fingers_down(shape - shape[0]) + place + tremor  # frames, 21, 3
        clip = clip.copy()
        clip[:, LEFT_HAND_START : LEFT_HAND_START + 3 * HAND_POINTS] = resting.reshape(len(clip), -1)
        changed.append(clip)
    return changed


def _turn_fingers_down(shape: FloatArray) -> FloatArray:
    # Turned in the plane of the picture until the middle knuckle is below the wrist.
    x, y = shape[9, :2] / max(float(np.linalg.norm(shape[9, :2])), 1e-6)
    turned: FloatArray = shape @ np.array([[y, x, 0], [-x, y, 0], [0, 0, 1]])
    return turned
