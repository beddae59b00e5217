"""What clips of a webcam have and the lexicon's lack: hands that come and go, rest, are lost, or have no depth.

Each function takes a pose of one signer and returns a changed copy. robustness.py scores a model on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from corpora.arrays import Float32Array, FloatArray
from poses import FeatureOptions, Trim, extract
from poses.landmarks import BODY, LEFT_HAND, LEFT_SHOULDER, RIGHT_HAND, RIGHT_SHOULDER, Point
from poses.points import find_places, make_layout_key
from training.fingerspelling.lexicon import FEATURE_KIND

# How long a hand takes from the lap to the signing space: 0.5 s in the dictionary clip tests/golden/poses/house.pose.
RAISING_S = 0.5
# Where a lowered wrist is, below its elbow, in shoulder widths: as far as the wrists in house.pose.
LOWERED = 0.8
# Standard deviation of a resting hand's place between frames, in shoulder widths.
TREMOR = 0.005
_HANDS = {"LEFT": LEFT_HAND, "RIGHT": RIGHT_HAND}
_HAND_POINTS = 21
_KNUCKLE = 9  # of the middle finger
_BODY_HAND = ("WRIST", "PINKY", "INDEX", "THUMB")
Change = Callable[[Pose], Pose]
"""Changes a pose of one signer; returns a copy."""


def change_clips(poses: Sequence[Pose], change: Change, *, trim: Trim) -> list[Float32Array]:
    """Compute the features of changed poses, float32 (frames, 609) each, as the service does."""
    return [extract(change(pose), FEATURE_KIND, FeatureOptions(trim=trim)) for pose in poses]


class Frames:
    """The points of one person, copied: values float32 (frames, points, 3) and confidence float32 (frames, points)."""

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self.places = find_places(make_layout_key(pose.header))
        self.values = np.array(pose.body.data.data[:, 0], dtype=np.float32)
        self.confidence = np.array(pose.body.confidence[:, 0], dtype=np.float32)
        self.fps = float(pose.body.fps)

    def build(self, values: npt.NDArray[np.float32], confidence: npt.NDArray[np.float32]) -> Pose:
        """Build a pose of changed points."""
        return Pose(self.pose.header, NumPyPoseBody(self.fps, values[:, None], confidence[:, None]))

    def find_hand(self, side: str) -> slice:
        """Find the 21 points of a hand."""
        start = self.places[Point(_HANDS[side], "WRIST")]
        return slice(start, start + _HAND_POINTS)

    def find_body(self, side: str) -> list[int]:
        """Find the points of the body that move with a hand, the wrist first."""
        return [self.places[Point(BODY, f"{side}_{name}")] for name in _BODY_HAND]

    def measure_shoulders(self) -> tuple[FloatArray, float]:
        """Measure the point between the shoulders, (3,), and their distance in the picture, as means over frames."""
        ends = self.values[:, [self.places[RIGHT_SHOULDER], self.places[LEFT_SHOULDER]]].astype(np.float64)
        width = np.linalg.norm(ends[:, 0, :2] - ends[:, 1, :2], axis=-1).mean()
        return ends.mean(axis=(0, 1)), float(width)


def add_lowered_hands(pose: Pose, seconds: float, *, seed: int = 0) -> Pose:
    """Add the time before and after: hands hang at first, are raised for the clip, and hang again.

    Args:
        seconds: at either end, RAISING_S of which the movement takes.
        seed: of the tremor.
    """
    frames, rng = Frames(pose), np.random.default_rng(seed)
    count = round(seconds * frames.fps)
    raising = RAISING_S * frames.fps
    share = ease(np.clip((np.arange(count, dtype=np.float64) - count + raising) / raising, 0.0, 1.0))
    before = lower_hands(frames, 0, share, rng)
    after = lower_hands(frames, -1, share[::-1], rng)
    return _surround(frames, before, after)


def add_stillness(pose: Pose, seconds: float) -> Pose:
    """Hold the first and the last frame for some seconds each."""
    frames = Frames(pose)
    count = round(seconds * frames.fps)
    first, last = (
        (np.repeat(frames.values[[row]], count, axis=0), np.repeat(frames.confidence[[row]], count, axis=0))
        for row in (0, -1)
    )
    return _surround(frames, first, last)


def add_hands_out_of_view(pose: Pose, seconds: float, *, seed: int = 0) -> Pose:
    """Add some seconds before and after in which the tracker sees no hand, because both hang below the picture."""
    frames, rng = Frames(pose), np.random.default_rng(seed)
    share = np.zeros(round(seconds * frames.fps))
    ends = []
    for row in (0, -1):
        values, confidence = lower_hands(frames, row, share, rng)
        for side in _HANDS:
            hand = frames.find_hand(side)
            values[:, hand] = confidence[:, hand] = 0
        ends.append((values, confidence))
    return _surround(frames, *ends)


def hold_longer(pose: Pose, seconds: float) -> Pose:
    """Hold the frame in the middle for some seconds more."""
    frames = Frames(pose)
    middle, count = len(frames.values) // 2, round(seconds * frames.fps)
    rows = np.r_[: middle + 1, np.full(count, middle), middle + 1 : len(frames.values)]
    return frames.build(frames.values[rows], frames.confidence[rows])


def change_pace(pose: Pose, factor: float) -> Pose:
    """Sign so many times as fast, at the same frames per second, without new points between frames."""
    frames = Frames(pose)
    rows = np.floor(np.arange(max(2, round(len(frames.values) / factor))) * factor).astype(np.intp)
    rows = rows.clip(max=len(frames.values) - 1)
    return frames.build(frames.values[rows], frames.confidence[rows])


def remove_depth(pose: Pose) -> Pose:
    """Set z to 0 everywhere, as exporters of flat poses do."""
    frames = Frames(pose)
    return frames.build(frames.values * np.array([1, 1, 0], dtype=np.float32), frames.confidence)


def lose_hands(pose: Pose, share: float, *, seed: int = 0) -> Pose:
    """Lose both hands in a share of the frames, each frame by itself."""
    frames = Frames(pose)
    lost = np.random.default_rng(seed).random(len(frames.values)) < share
    for side in _HANDS:
        hand = frames.find_hand(side)
        frames.values[lost, hand] = frames.confidence[lost, hand] = 0
    return frames.build(frames.values, frames.confidence)


def add_noise(pose: Pose, strength: float, *, seed: int = 0) -> Pose:
    """Move each seen point at random; strength is a standard deviation in shoulder widths."""
    frames = Frames(pose)
    _, width = frames.measure_shoulders()
    noise = np.random.default_rng(seed).normal(0, strength * width, frames.values.shape).astype(np.float32)
    noise[..., 2] /= max(pose.header.dimensions.width, 1)  # z is stored in widths of the picture
    frames.values += noise * (frames.confidence != 0)[..., None]
    return frames.build(frames.values, frames.confidence)


def turn(pose: Pose, *, roll: float = 0, yaw: float = 0, pitch: float = 0, depth: float = 1.0) -> Pose:
    """Turn the signer around the middle of the shoulders, in degrees: in the picture, to a side, or forward.

    Args:
        depth: how many times deeper the clip's video was than its header says.
    """
    frames = Frames(pose)
    center, _ = frames.measure_shoulders()
    unit = np.array([1, 1, depth * pose.header.dimensions.width])  # z in pixels
    points = (frames.values.astype(np.float64) - center) * unit
    for first, second, degrees in ((0, 1, roll), (0, 2, yaw), (1, 2, pitch)):
        angle = math.radians(degrees)
        a, b = points[..., first].copy(), points[..., second].copy()
        points[..., first] = math.cos(angle) * a - math.sin(angle) * b
        points[..., second] = math.sin(angle) * a + math.cos(angle) * b
    turned = (points / unit + center).astype(np.float32)
    seen = (frames.confidence != 0)[..., None]
    return frames.build(np.where(seen, turned, frames.values), frames.confidence)


def ease(part: FloatArray) -> FloatArray:
    """Turn parts of a movement's time (frames,) into parts of its way: with the least jerk, as arms move."""
    way: FloatArray = part**3 * (10 - 15 * part + 6 * part**2)
    return way


def lower_hands(
    frames: Frames, row: int, share: FloatArray, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Make frames of one frame in which hands are on their way.

    Args:
        row: the frame, from 0; -1 is the last one.
        share: float (frames,), 0 where hands hang, 1 where they are as in the frame.
        rng: of the tremor.
    Returns:
        Values float32 (frames, points, 3) and confidence float32 (frames, points).
    """
    values = np.repeat(frames.values[[row]], len(share), axis=0)
    confidence = np.repeat(frames.confidence[[row]], len(share), axis=0)
    _, width = frames.measure_shoulders()
    for side in _HANDS:
        body, hand = frames.find_body(side), frames.find_hand(side)
        elbow = frames.values[row, frames.places[Point(BODY, f"{side}_ELBOW")], :2]
        has_hand = bool(frames.confidence[row, hand].any())
        wrist = frames.values[row, hand.start if has_hand else body[0], :2]
        lowered = elbow + np.array([0, LOWERED * width])
        way = (1 - share)[:, None] * (lowered - wrist) + rng.normal(0, TREMOR * width, (len(share), 2))
        values[:, body, :2] += way[:, None].astype(np.float32)
        values[:, body] *= confidence[:, body, None] != 0
        if has_hand:
            values[:, hand, :2] = _turn_fingers_down(values[0, hand, :2], 1 - share) + way[:, None]
    return values, confidence


def _turn_fingers_down(shape: FloatArray, share: FloatArray) -> FloatArray:
    # shape (21, 2) for each share (frames,): turned around the wrist, by share of the way until the fingers hang.
    relative = (shape - shape[0]).astype(np.float64)
    x, y = relative[_KNUCKLE]
    angles = share * math.atan2(x, y)  # 0 where the knuckle is right below the wrist
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    turned = np.stack((cos * relative[:, 0] - sin * relative[:, 1], sin * relative[:, 0] + cos * relative[:, 1]), -1)
    placed: FloatArray = turned + shape[0]
    return placed


def _surround(
    frames: Frames,
    before: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    after: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> Pose:
    values = np.concatenate((before[0], frames.values, after[0]))
    return frames.build(values, np.concatenate((before[1], frames.confidence, after[1])))
