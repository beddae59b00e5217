"""The fixed geometry of both hands that the small fingerspelling model reads instead of raw coordinates.

Nothing here is learned. The steps are, in order: cut the hands out of SignCLIP's 609 features, drop a resting hand,
turn a left-handed clip into a right-handed one, read every clip at a fixed number of sampled frames, and describe each
of them by directions and distances. These do not depend on the signer, the camera and the scale of depth. The trainer
calls the steps one by one and augments between them; serving calls `HandGeometry`.
"""

import torch
from torch import Tensor, nn

# First number of the left hand in a frame of 609. 33 body and 128 face points come before it, the right hand after it.
LEFT_HAND_START = (33 + 128) * 3
HAND_POINTS = 21
# Rows of the hand axis everywhere in this file.
LEFT, RIGHT = 0, 1

# MediaPipe's hand: the wrist, then four points of each finger from knuckle to tip, thumb first.
WRIST, INDEX_KNUCKLE, MIDDLE_KNUCKLE, LITTLE_KNUCKLE = 0, 5, 9, 17
TIPS = (4, 8, 12, 16, 20)
BONE_ENDS = tuple(range(1, HAND_POINTS))
BONE_STARTS = tuple(WRIST if end % 4 == 1 else end - 1 for end in BONE_ENDS)
TIP_PAIRS = tuple((a, b) for a in range(len(TIPS)) for b in range(a))

HAND_DIM = 2 * 3 * len(BONE_ENDS) + len(TIP_PAIRS) + len(TIPS) + 3 * HAND_POINTS + 1
PAIR_DIM = 2 * 3 + 3 + 2 * 3 * len(TIPS)
GEOMETRY_DIM = 2 * HAND_DIM + PAIR_DIM

# Share of frames. A clip is left-handed if it shows the right hand in fewer; the lexicon has 0, or 0.8 and more.
MIRROR_BELOW = 0.3
# Shoulder widths. A hand that is so far below the other one rests. In the lexicon's two-handed letters the hands differ
# by 0.65 at most.
IDLE_BELOW = 0.75
# Shoulder widths. The 21 points of a missing hand are equal, so its extent is a rounding error; real hands measure 0.05
# and more.
SMALLEST_HAND = 1e-4
# Shoulder widths. It keeps the distances of a degenerate hand finite; the palms of the lexicon measure 0.04 and more.
SMALLEST_PALM = 0.01
# Shoulder widths, or palms. Larger numbers are faults of the tracker, and would outweigh all others in a frame.
FARTHEST = 4.0
# Start and end of each crop, as shares of the clip. What lies outside is the way to the letter and back: a nearest
# neighbour by the directions of bones names 60 % of the lexicon's letters from the middle half of clips, and 46 % from
# whole clips. The widest crop keeps the movement that alone tells Č from C.
CROPS = ((0.05, 0.95), (0.15, 0.85), (0.15, 0.75), (0.25, 0.85))
# Sampled frames of a crop: two thirds of the frames that a typical clip, of 25 frames, has there.
STEPS = 8


def split_hands(pose_features: Tensor) -> tuple[Tensor, Tensor]:
    """Cut the hands out of SignCLIP's features, and find the frames that show them.

    A missing hand is 21 times the same point, so it has no extent. Depth is measured from the wrist of each hand, as
    MediaPipe does, because the depth of the wrist itself differs between estimators and distinguishes no letters.

    Args:
        pose_features: float32 (batch, frames, 609), in shoulder widths.
    Returns:
        points float32 (batch, frames, 2, 21, 3), left then right, 0 where a hand is not seen; seen bool
        (batch, frames, 2).
    """
    batch, frames, _ = pose_features.shape
    points = pose_features[:, :, LEFT_HAND_START:].reshape(batch, frames, 2, HAND_POINTS, 3)  # 126 -> hand, point, xyz
    extent = (points.amax(dim=3) - points.amin(dim=3)).amax(dim=-1)
    seen = extent > SMALLEST_HAND
    depth = points[..., 2:] - points[..., WRIST : WRIST + 1, 2:]
    points = torch.cat((points[..., :2], depth), dim=-1)
    return points * seen[..., None, None], seen


def drop_idle_hand(points: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Drop a hand that hangs or lies far below the other one. Real signers rest a hand; the lexicon's clips do not.

    Args:
        points: float32 (batch, frames, 2, 21, 3), of `split_hands`.
        seen: bool (batch, frames, 2), False in padding.
    Returns:
        points and seen, in the same shapes.
    """
    counts = seen.sum(dim=1)  # (batch, 2)
    heights = (points[..., WRIST, 1] * seen).sum(dim=1) / counts.clamp_min(1)
    lower = heights - heights.flip(1) > IDLE_BELOW  # because y grows downwards in a picture
    idle = lower & (counts > 0) & (counts.flip(1) > 0)
    seen = seen & ~idle[:, None]
    return points * seen[..., None, None], seen


def mirror_left_handed(points: Tensor, seen: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the clips that show almost no right hand, so that the signing hand is the right one.

    Presence decides, not motion, because in this data motion picks the wrong hand of two-handed letters.

    Args:
        points: float32 (batch, frames, 2, 21, 3), of `split_hands`.
        seen: bool (batch, frames, 2).
        frame_mask: bool (batch, frames), True where a frame is real.
    Returns:
        points and seen, in the same shapes.
    """
    counts = (seen & frame_mask[..., None]).sum(dim=1)
    left, right = counts[:, LEFT], counts[:, RIGHT]
    mirrored = (right < MIRROR_BELOW * frame_mask.sum(dim=1)) & (left > right)
    flipped = points.flip(2) * points.new_tensor([-1.0, 1.0, 1.0])
    points = torch.where(mirrored[:, None, None, None, None], flipped, points)
    return points, torch.where(mirrored[:, None, None], seen.flip(2), seen)


def choose_sampled_frames(frame_counts: Tensor, start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Choose frames to sample, evenly over the part of each clip between two shares of its length.

    Args:
        frame_counts: int (batch,), real frames of each clip.
        start, end: float32 (batch,), shares from 0 to 1.
        steps: frames to sample.
    Returns:
        float32 (batch, steps), fractional frame numbers from 0 to frame_counts - 1.
    """
    last = (frame_counts - 1).to(start.dtype)
    shares = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    sampled = (start[:, None] + (end - start)[:, None] * shares) * last[:, None]
    return sampled.minimum(last[:, None])


def read_sampled_frames(
    points: Tensor, seen: Tensor, sampled: Tensor, rows: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Read clips at fractional frames. Each hand is interpolated between the neighbouring frames that show it.

    Args:
        points: float32 (clips, frames, 2, 21, 3), of `split_hands`.
        seen: bool (clips, frames, 2).
        sampled: float32 (batch, steps), fractional frame numbers.
        rows: int (batch,), the clip that each row of `sampled` reads; None: the clip of the same row.
    Returns:
        points float32 (batch, steps, 2, 21, 3) and seen bool (batch, steps, 2).
    """
    before = sampled.floor().long()
    after = sampled.ceil().long()
    share = (sampled - before)[..., None]
    rows = (torch.arange(len(sampled), device=sampled.device) if rows is None else rows)[:, None]
    weight_before = (1 - share) * seen[rows, before]
    weight_after = share * seen[rows, after]
    weight = weight_before + weight_after
    total = points[rows, before] * weight_before[..., None, None] + points[rows, after] * weight_after[..., None, None]
    # Half of the weight at least, because else a hand flickers in where the nearer frame does not show it.
    shown = weight >= 0.5
    return total / weight.clamp_min(0.5)[..., None, None] * shown[..., None, None], shown


def _normalize(vectors: Tensor) -> Tensor:
    # A bone without length, of a degenerate hand, gets the direction 0 instead of NaN.
    lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths.clamp_min(SMALLEST_HAND)


def _find_palm_axes(points: Tensor) -> Tensor:
    # (..., 3 axes, xyz): along the palm, out of it, across it. In this order Gram-Schmidt keeps the palm's direction.
    wrist = points[..., WRIST, :]
    along = _normalize(points[..., MIDDLE_KNUCKLE, :] - wrist)
    across = points[..., LITTLE_KNUCKLE, :] - points[..., INDEX_KNUCKLE, :]
    out = _normalize(torch.linalg.cross(along, across))
    return torch.stack((along, out, torch.linalg.cross(out, along)), dim=-2)


def _measure_palms(points: Tensor) -> Tensor:
    # Mean length of three bones of the palm, which changes less than one bone when the hand turns.
    knuckles = points[..., (INDEX_KNUCKLE, MIDDLE_KNUCKLE, LITTLE_KNUCKLE), :]
    lengths: Tensor = (knuckles - points[..., WRIST : WRIST + 1, :]).norm(dim=-1)
    return lengths.mean(dim=-1).clamp_min(SMALLEST_PALM)


def describe_hands(points: Tensor, seen: Tensor) -> Tensor:
    """Describe each sampled frame by directions and distances.

    Of each hand: the directions of 20 bones, the same directions seen from the palm, the distances from tip to tip and
    from tip to wrist, the hand relative to its wrist, all in palms, and whether the hand is seen. Of the pair, in
    shoulder widths: both wrists, the vector from one to the other, and each hand's tips relative to the other wrist.
    What is not seen is 0.

    Args:
        points: float32 (..., 2, 21, 3), left then right, in shoulder widths.
        seen: bool (..., 2).
    Returns:
        float32 (..., GEOMETRY_DIM), each number within -4 and 4.
    """
    shown = seen.to(points.dtype)[..., None]
    wrists = points[..., WRIST, :]
    tips = points[..., TIPS, :]
    palm = _measure_palms(points)[..., None]
    bones = _normalize(points[..., BONE_ENDS, :] - points[..., BONE_STARTS, :])
    palm_bones = bones @ _find_palm_axes(points).transpose(-1, -2)
    first, second = zip(*TIP_PAIRS, strict=True)
    tip_to_tip = (tips[..., first, :] - tips[..., second, :]).norm(dim=-1) / palm
    tip_to_wrist = (tips - wrists[..., None, :]).norm(dim=-1) / palm
    relative = (points - wrists[..., None, :]) / palm[..., None]
    parts = (bones.flatten(-2), palm_bones.flatten(-2), tip_to_tip, tip_to_wrist, relative.flatten(-2))
    hands = torch.cat((*parts, torch.ones_like(palm)), dim=-1) * shown  # (..., 2, HAND_DIM)

    both = shown.prod(dim=-2)
    between = (wrists[..., LEFT, :] - wrists[..., RIGHT, :]) * both
    reach = (tips - wrists.flip(-2)[..., None, :]).flatten(-3) * both  # (..., 2 * 5 * 3)
    described = torch.cat((hands.flatten(-2), (wrists * shown).flatten(-2), between, reach), dim=-1)
    return described.clamp(-FARTHEST, FARTHEST)


def describe_readings(points: Tensor, seen: Tensor, frame_counts: Tensor, steps: int) -> Tensor:
    """Describe the sampled frames of each of CROPS.

    Args:
        points: float32 (batch, frames, 2, 21, 3), right-dominant.
        seen: bool (batch, frames, 2).
        frame_counts: int (batch,), real frames of each clip.
        steps: sampled frames of a crop.
    Returns:
        float32 (batch, crops, steps, GEOMETRY_DIM).
    """
    readings = []
    for start, end in CROPS:
        share = points.new_ones(len(points))
        sampled = choose_sampled_frames(frame_counts, share * start, share * end, steps)
        readings.append(describe_hands(*read_sampled_frames(points, seen, sampled)))
    return torch.stack(readings, dim=1)


class HandGeometry(nn.Module):
    """Turns SignCLIP's 609 features into the geometry of both hands, at sampled frames of several parts of a clip.

    Attributes:
        steps: sampled frames of a crop, which is the length of the pose tower's sequence.
        crops: parts of a clip. The clip's embedding is the mean of the unit vectors of its crops.
        out_dim: numbers for each sampled frame.
    """

    def __init__(self, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps
        self.crops = len(CROPS)
        self.out_dim = GEOMETRY_DIM

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Describe whole clips. The result does not depend on other clips of the batch, nor on padding.

        Args:
            pose_features: float32 (batch, frames, 609), of kind `signclip_depth`.
            frame_mask: bool (batch, frames), True where a frame is real; real frames come first.
        Returns:
            float32 (batch, crops, steps, out_dim).
        """
        # Padding becomes frames without hands, whatever numbers it holds.
        points, seen = split_hands(pose_features.masked_fill(~frame_mask[..., None], 0.0))
        points, seen = drop_idle_hand(points, seen)
        points, seen = mirror_left_handed(points, seen, frame_mask)
        return describe_readings(points, seen, frame_mask.sum(dim=1), self.steps)
