"""Drawn clips that show no letter: hands at rest, hands that wave or sign something else, and a tracker gone wrong.

They stand for what a camera sees when nobody spells. They are drawn from the lexicon's hands, so no clips of anybody
else are needed. The same seed draws the same clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pose_format import Pose

from corpora.arrays import FloatArray
from poses import cut_frames, read
from poses.landmarks import BODY, Point
from training.fingerspelling.lexicon import LetterClip
from training.fingerspelling.webcam import LOWERED, Frames, add_lowered_hands

SIDES = ("RIGHT", "LEFT")
_WRIST, _INDEX, _MIDDLE, _LITTLE = 0, 5, 9, 17
# The five fingers, from the thumb on, each from its lowest point to its tip.
_FINGERS = tuple(slice(start, start + 4) for start in (1, 5, 9, 13, 17))
# Where the right wrist of a signer goes, in shoulder widths from between the shoulders, across and down: from beyond
# the own shoulder to the other one, and from the forehead to the belly. The left one goes to the mirrored places.
_ACROSS, _DOWN = (-1.3, 0.4), (-0.9, 0.9)
# Frames of a clip at 25 a second: signs of dictionaries take 0.6 to 2 s.
_FRAMES = (15, 50)
# Standard deviation of a hand's turn between two places of a sign, in degrees, around each axis.
_TURN = 30.0
_WAVES_HZ, _WAVE_DEGREES = (1.0, 3.0), (10.0, 35.0)
# Standard deviations of a point of a hand that a tracker loses, in shoulder widths.
_LOST_NOISE = (0.03, 0.3)
Draw = Callable[[Sequence[Frames], np.random.Generator], Pose]


def read_poses(clips: Sequence[LetterClip]) -> list[Pose]:
    """Read the poses of clips.

    Raises:
        PoseError: a file is damaged.
        OSError: a file cannot be read.
    """
    return [read(clip.path.read_bytes()) for clip in clips]


def draw_others(poses: Sequence[Pose], count: int, *, seed: int) -> dict[str, list[Pose]]:
    """Draw clips of every kind.

    Args:
        poses: clips with hands, of one person each; at least one shows a right hand in its middle frame.
        count: clips of each kind.
        seed: of all random numbers.
    Returns:
        By the name of the kind.
    """
    sources = [Frames(pose) for pose in poses]
    sources = [frames for frames in sources if _shows_hand(frames, "RIGHT")]
    drawn = {}
    for number, (kind, draw) in enumerate(KINDS.items()):
        rng = np.random.default_rng((seed, number))
        drawn[kind] = [draw(sources, rng) for _ in range(count)]
    return drawn


def draw_rest(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    """Draw hands that hang all the time."""
    return cut_frames(_lower(sources, rng), 0, int(rng.integers(10, 36)))


def draw_raising(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    """Draw hands that come up, and turn back before a letter is there."""
    pose = _lower(sources, rng)
    # Two seconds at 25 frames a second; hands need the last twelve of them, and pass the elbows half way.
    up = np.asarray(pose.body.data)[30 : int(rng.integers(44, 47)), 0]
    confidence = np.asarray(pose.body.confidence)[30 : 30 + len(up), 0]
    frames = Frames(pose)
    return frames.build(np.concatenate((up, up[::-1])), np.concatenate((confidence, confidence[::-1])))


def draw_wave(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    """Draw a raised hand with straight fingers that swings from side to side."""
    frames, shape = _pick(sources, rng), _straighten(_compose_hand(sources, rng))
    count = int(rng.integers(*_FRAMES))
    phase = 2 * math.pi * rng.uniform(*_WAVES_HZ) * np.arange(count) / 25 + rng.uniform(0, 2 * math.pi)
    swing = np.radians(rng.uniform(*_WAVE_DEGREES)) * np.sin(phase)
    turns = np.stack((np.zeros(count), np.zeros(count), swing), axis=-1)
    place = np.array([rng.uniform(-1.2, -0.4), rng.uniform(-0.8, 0.3)])
    places = place + np.stack((0.8 * np.sin(swing), 0.2 * (1 - np.cos(swing))), axis=-1)
    return _film(frames, {"RIGHT": (places, _turn(shape, turns))})


def draw_sign(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    """Draw one or two hands that move between places and change their shape on the way."""
    frames, count = _pick(sources, rng), int(rng.integers(*_FRAMES))
    stops = int(rng.integers(2, 5))
    shapes = np.stack([_compose_hand(sources, rng) for _ in range(min(stops, int(rng.integers(1, 3))))])
    shapes = np.concatenate((shapes, np.repeat(shapes[-1:], stops - len(shapes), axis=0)))
    turns = np.radians(rng.normal(0, _TURN, (stops, 3)))
    places = np.stack((rng.uniform(*_ACROSS, stops), rng.uniform(*_DOWN, stops)), axis=-1)
    moved = _turn(_interpolate(shapes, count), _interpolate(turns, count))
    hands = {"RIGHT": (_interpolate(places, count), moved)}
    if rng.random() < 0.4:
        mirror = np.array([-1.0, 1.0, 1.0])
        hands["LEFT"] = (hands["RIGHT"][0] * mirror[:2], moved * mirror)
    return _film(frames, hands)


def draw_noise(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    """Draw what a tracker gives that takes something else for a hand: points that jump from frame to frame."""
    frames, shape = _pick(sources, rng), _compose_hand(sources, rng)
    count = int(rng.integers(*_FRAMES))
    place = np.array([rng.uniform(*_ACROSS), rng.uniform(*_DOWN)]) + rng.normal(0, 0.1, (count, 2))
    noise = rng.normal(0, rng.uniform(*_LOST_NOISE), (count, 21, 3))
    return _film(frames, {str(rng.choice(SIDES)): (place, shape + noise - noise[:, :1])})


KINDS: Mapping[str, Draw] = {
    "rest": draw_rest,
    "raising": draw_raising,
    "waving": draw_wave,
    "other signs": draw_sign,
    "noise": draw_noise,
}


def _pick(sources: Sequence[Frames], rng: np.random.Generator) -> Frames:
    return sources[int(rng.integers(len(sources)))]


def _lower(sources: Sequence[Frames], rng: np.random.Generator) -> Pose:
    frames = _pick(sources, rng)
    return add_lowered_hands(frames.pose, 50 / frames.fps, seed=int(rng.integers(2**31)))


def _shows_hand(frames: Frames, side: str) -> bool:
    middle = len(frames.values) // 2
    return bool((frames.confidence[middle, frames.find_hand(side)] > 0).all())


def _read_hand(frames: Frames) -> FloatArray:
    """Read the right hand in the middle of a clip: (21, 3), from its wrist, in shoulder widths; z in the same unit."""
    _, width = frames.measure_shoulders()
    stored = frames.values[len(frames.values) // 2, frames.find_hand("RIGHT")].astype(np.float64)
    points: FloatArray = (stored - stored[_WRIST]) / width
    points[:, 2] *= frames.pose.header.dimensions.width
    return points


def _compose_hand(sources: Sequence[Frames], rng: np.random.Generator) -> FloatArray:
    """Compose a hand of the palm of one clip and the fingers of five others: (21, 3), as _read_hand."""
    hand = _read_hand(_pick(sources, rng))
    axes, size = _find_palm(hand)
    for finger in _FINGERS:
        donor = _read_hand(_pick(sources, rng))
        donor_axes, donor_size = _find_palm(donor)
        bent = (donor[finger] - donor[finger.start]) @ donor_axes.T @ axes * (size / donor_size)
        hand[finger] = hand[finger.start] + bent
    return hand


def _straighten(hand: FloatArray) -> FloatArray:
    """Straighten all fingers, in the direction in which each leaves the palm."""
    straight = hand.copy()
    for finger in _FINGERS:
        lengths = np.linalg.norm(np.diff(hand[finger], axis=0), axis=-1)
        out = hand[finger.start] / max(float(np.linalg.norm(hand[finger.start])), 1e-6)
        straight[finger.start + 1 : finger.stop] = hand[finger.start] + np.cumsum(lengths)[:, None] * out
    return straight


def _find_palm(hand: FloatArray) -> tuple[FloatArray, float]:
    """Find the palm's axes, rows of (3, 3): along it, out of it, across it; and its length."""
    along = hand[_MIDDLE] - hand[_WRIST]
    size = max(float(np.linalg.norm(along)), 1e-3)
    out = np.cross(along, hand[_LITTLE] - hand[_INDEX])
    out = out / max(float(np.linalg.norm(out)), 1e-9)
    axes: FloatArray = np.stack((along / size, out, np.cross(out, along / size)))
    return axes, size


def _interpolate(stops: FloatArray, count: int) -> FloatArray:
    """Go from stop to stop (stops, …) in count frames, slowly at each: (count, …)."""
    at = np.linspace(0, len(stops) - 1, count)
    before = np.minimum(at.astype(np.intp), len(stops) - 2)
    share = at - before
    share = (share**2 * (3 - 2 * share)).reshape(-1, *[1] * (stops.ndim - 1))
    path: FloatArray = stops[before] * (1 - share) + stops[before + 1] * share
    return path


def _turn(shapes: FloatArray, angles: FloatArray) -> FloatArray:
    """Turn shapes (21, 3) or (frames, 21, 3) around their wrists by angles (frames, 3), in radians around each axis."""
    turned = np.broadcast_to(shapes, (len(angles), 21, 3)).copy()
    for axis, (first, second) in enumerate(((1, 2), (2, 0), (0, 1))):
        cos, sin = np.cos(angles[:, axis])[:, None], np.sin(angles[:, axis])[:, None]
        a, b = turned[..., first].copy(), turned[..., second].copy()
        turned[..., first], turned[..., second] = cos * a - sin * b, sin * a + cos * b
    return turned


def _film(frames: Frames, hands: Mapping[str, tuple[FloatArray, FloatArray]]) -> Pose:
    """Build a clip of the first frame's body with hands at places (frames, 2) in shapes (frames, 21, 3).

    Both are in shoulder widths, places from between the shoulders. A side that is not given hangs out of view.
    """
    count = len(next(iter(hands.values()))[0])
    values = np.repeat(frames.values[:1], count, axis=0)
    confidence = np.repeat(frames.confidence[:1], count, axis=0)
    center, width = frames.measure_shoulders()
    for side in SIDES:
        hand, body = frames.find_hand(side), frames.find_body(side)
        elbow = frames.values[0, frames.places[Point(BODY, f"{side}_ELBOW")], :2]
        wrist = np.repeat(elbow[None] + np.array([[0, LOWERED * width]]), count, axis=0)
        values[:, hand] = confidence[:, hand] = 0
        if side in hands:
            places, shapes = hands[side]
            wrist = center[:2] + places * width
            values[:, hand, :2] = wrist[:, None] + shapes[..., :2] * width
            values[:, hand, 2] = shapes[..., 2] * width / frames.pose.header.dimensions.width
            confidence[:, hand] = 1
        values[:, body, :2], confidence[:, body] = wrist[:, None], 1
    return frames.build(values, confidence)
