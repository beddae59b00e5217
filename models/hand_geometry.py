"""The fixed geometry of both hands that the small fingerspelling model reads instead of raw coordinates.

Nothing here is learned. The steps, in order: cut the hands out of SignCLIP's 609 features, forget a resting hand, turn
a left-handed clip into a right-handed one, read every clip at a fixed number of moments, describe each moment by
directions and distances that survive another signer, another camera and another depth scale. The trainer calls the
steps one by one and augments between them; serving calls `HandGeometry`.
"""

import torch
from torch import Tensor, nn

LEFT_HAND_START = (33 + 128) * 3
"""First left-hand number in a frame of 609: behind 33 body and 128 face points; the right hand follows."""
HAND_POINTS = 21
LEFT, RIGHT = 0, 1
"""Rows of the hand axis everywhere in this file."""

# MediaPipe's hand: the wrist, then four points a finger from knuckle to tip, thumb first.
WRIST, INDEX_KNUCKLE, MIDDLE_KNUCKLE, LITTLE_KNUCKLE = 0, 5, 9, 17
TIPS = (4, 8, 12, 16, 20)
BONE_ENDS = tuple(range(1, HAND_POINTS))
BONE_STARTS = tuple(WRIST if end % 4 == 1 else end - 1 for end in BONE_ENDS)
TIP_PAIRS = tuple((a, b) for a in range(len(TIPS)) for b in range(a))

HAND_DIM = 2 * 3 * len(BONE_ENDS) + len(TIP_PAIRS) + len(TIPS) + 3 * HAND_POINTS + 1
PAIR_DIM = 2 * 3 + 3 + 2 * 3 * len(TIPS)
GEOMETRY_DIM = 2 * HAND_DIM + PAIR_DIM

MIRROR_BELOW = 0.3
"""Share of frames: a clip whose right hand is seen in fewer is left-handed. The lexicon has 0, and 0.8 and more."""
IDLE_BELOW = 0.75
"""Shoulder widths: a hand so far below the other rests. The lexicon's two-handed letters differ by 0.65 at most."""
SMALLEST_HAND = 1e-4
"""Shoulder widths: a missing hand has 21 equal points, extent 0 up to rounding; real ones measure 0.05 and more."""
SMALLEST_PALM = 0.01
"""Shoulder widths: keeps a degenerate hand's distances finite; the lexicon's palms measure 0.04 and more."""
FARTHEST = 4.0
"""Shoulder widths, or palms: larger numbers are tracking faults and would drown everything else in a frame."""
CROPS = ((0.05, 0.95), (0.15, 0.85), (0.15, 0.75), (0.25, 0.85))
"""Start and end of each reading, as shares of the clip. What lies outside is the way to the letter and back: a nearest
neighbour by bone directions names 60 % of the lexicon's letters from the middle half of clips, 46 % from all of them.
The widest reading keeps the movement that alone tells Č from C."""
STEPS = 8
"""Moments a reading: two thirds of the frames that a typical clip of 25 has there."""


def split_hands(pose_features: Tensor) -> tuple[Tensor, Tensor]:
    """Cut the hands out of SignCLIP's features and say where they were seen.

    A missing hand is 21 times the same point, whatever became of it: no extent. Depth is measured from each hand's
    own wrist, as MediaPipe does; how deep the wrist lies differs between estimators and tells no letter.

    Args:
        pose_features: float32 (batch, frames, 609), in shoulder widths.
    Returns:
        points float32 (batch, frames, 2, 21, 3), left then right, 0 where not seen; seen bool (batch, frames, 2).
    """
    batch, frames, _ = pose_features.shape
    points = pose_features[:, :, LEFT_HAND_START:].reshape(batch, frames, 2, HAND_POINTS, 3)  # 126 -> hand, point, xyz
    extent = (points.amax(dim=3) - points.amin(dim=3)).amax(dim=-1)
    seen = extent > SMALLEST_HAND
    depth = points[..., 2:] - points[..., WRIST : WRIST + 1, 2:]
    points = torch.cat((points[..., :2], depth), dim=-1)
    return points * seen[..., None, None], seen


def drop_idle_hand(points: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Forget the hand that hangs or lies far below the other: the lexicon's clips have none, real signers do.

    Args:
        points, seen: of `split_hands`; seen is False in padding.
    Returns:
        points and seen, in the same shapes.
    """
    counts = seen.sum(dim=1)  # (batch, 2)
    heights = (points[..., WRIST, 1] * seen).sum(dim=1) / counts.clamp_min(1)
    lower = heights - heights.flip(1) > IDLE_BELOW  # the picture's y grows downwards
    idle = lower & (counts > 0) & (counts.flip(1) > 0)
    seen = seen & ~idle[:, None]
    return points * seen[..., None, None], seen


def mirror_left_handed(points: Tensor, seen: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the clips that show almost no right hand, so that the signing hand is the right one.

    Presence decides, not motion: in this data motion picks the wrong hand of two-handed letters.

    Args:
        points, seen: of `split_hands`.
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
    """Spread `steps` moments evenly over the part of each clip between two shares of its length.

    Args:
        frame_counts: int (batch,), real frames of each clip.
        start, end: float32 (batch,), shares in 0-1.
    Returns:
        float32 (batch, steps), in frames; between 0 and frame_counts - 1.
    """
    last = (frame_counts - 1).to(start.dtype)
    shares = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    moments = (start[:, None] + (end - start)[:, None] * shares) * last[:, None]
    return moments.minimum(last[:, None])


def read_sampled_frames(
    points: Tensor, seen: Tensor, moments: Tensor, rows: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Read clips at fractional frames, each hand between the neighbouring frames that show it.

    Args:
        points, seen: of `split_hands`.
        moments: float32 (batch, steps), in frames.
        rows: int (batch,), which clip each row of moments reads; by default its own.
    Returns:
        points float32 (batch, steps, 2, 21, 3) and seen bool (batch, steps, 2).
    """
    before = moments.floor().long()
    after = moments.ceil().long()
    share = (moments - before)[..., None]
    rows = (torch.arange(len(moments), device=moments.device) if rows is None else rows)[:, None]
    weight_before = (1 - share) * seen[rows, before]
    weight_after = share * seen[rows, after]
    weight = weight_before + weight_after
    total = points[rows, before] * weight_before[..., None, None] + points[rows, after] * weight_after[..., None, None]
    # Half a moment's weight, or the hand flickers in for a moment that lies beside another frame.
    shown = weight >= 0.5
    return total / weight.clamp_min(0.5)[..., None, None] * shown[..., None, None], shown


def _unit(vectors: Tensor) -> Tensor:
    # A bone without length (a degenerate hand) gets the direction 0 instead of NaN.
    lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths.clamp_min(SMALLEST_HAND)


def _palm_axes(points: Tensor) -> Tensor:
    # (..., 3 axes, xyz): along the palm, out of it, across it. Gram-Schmidt in this order keeps the palm's length true.
    wrist = points[..., WRIST, :]
    along = _unit(points[..., MIDDLE_KNUCKLE, :] - wrist)
    across = points[..., LITTLE_KNUCKLE, :] - points[..., INDEX_KNUCKLE, :]
    out = _unit(torch.linalg.cross(along, across))
    return torch.stack((along, out, torch.linalg.cross(out, along)), dim=-2)


def _palm_size(points: Tensor) -> Tensor:
    # Mean length of the three outer sides of the palm's skeleton: steadier than one bone when the hand turns.
    knuckles = points[..., (INDEX_KNUCKLE, MIDDLE_KNUCKLE, LITTLE_KNUCKLE), :]
    lengths: Tensor = (knuckles - points[..., WRIST : WRIST + 1, :]).norm(dim=-1)
    return lengths.mean(dim=-1).clamp_min(SMALLEST_PALM)


def describe_hands(points: Tensor, seen: Tensor) -> Tensor:
    """Describe each moment by directions and distances.

    Per hand: 20 unit bones, the same bones seen from the palm, distances tip to tip and tip to wrist and the
    wrist-relative hand, both in palms, and whether the hand is there. Of the pair: both wrists, the way from one to
    the other, each hand's tips from the other wrist, in shoulder widths. What is not seen is 0.

    Args:
        points: float32 (..., 2, 21, 3), left then right, in shoulder widths.
        seen: bool (..., 2).
    Returns:
        float32 (..., GEOMETRY_DIM), each number within -4 and 4.
    """
    shown = seen.to(points.dtype)[..., None]
    wrists = points[..., WRIST, :]
    tips = points[..., TIPS, :]
    palm = _palm_size(points)[..., None]
    bones = _unit(points[..., BONE_ENDS, :] - points[..., BONE_STARTS, :])
    palm_bones = bones @ _palm_axes(points).transpose(-1, -2)
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
    """Read every clip from each of CROPS.

    Args:
        points, seen: of `split_hands`, right-dominant.
        frame_counts: int (batch,), real frames of each clip.
        steps: moments a reading.
    Returns:
        float32 (batch, crops, steps, GEOMETRY_DIM).
    """
    readings = []
    for start, end in CROPS:
        share = points.new_ones(len(points))
        moments = choose_sampled_frames(frame_counts, share * start, share * end, steps)
        readings.append(describe_hands(*read_sampled_frames(points, seen, moments)))
    return torch.stack(readings, dim=1)


class HandGeometry(nn.Module):
    """From SignCLIP's 609 features to the geometry of both hands at `steps` moments, read from `crops` parts of a clip.

    Attributes:
        steps: moments per reading; the sequence length the pose tower sees.
        crops: readings per clip. The clip's embedding is the mean of its readings' unit vectors.
        out_dim: numbers per moment.
    """

    def __init__(self, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps
        self.crops = len(CROPS)
        self.out_dim = GEOMETRY_DIM

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Describe whole clips; the same for any batch mates and any padding.

        Args:
            pose_features: float32 (batch, frames, 609), of kind `signclip_depth`.
            frame_mask: bool (batch, frames), True where a frame is real; real frames come first.
        Returns:
            float32 (batch, crops, steps, out_dim).
        """
        # Padding becomes frames without hands, whatever stands in it.
        points, seen = split_hands(pose_features.masked_fill(~frame_mask[..., None], 0.0))
        points, seen = drop_idle_hand(points, seen)
        points, seen = mirror_left_handed(points, seen, frame_mask)
        return describe_readings(points, seen, frame_mask.sum(dim=1), self.steps)
