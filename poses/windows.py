"""Windows of a recording, each with the features of a clip that was cut there.

Points are chosen once for a whole block of the recording. A window is then a slice of them, normalized by its own
shoulders as a cut clip is; the numbers are the same to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pose_format import Pose

from poses.errors import PoseContentError, PoseScaleError
from poses.feature_kinds import FeatureKind, choose_measured, find_kind
from poses.features import FeatureOptions, compute_features, is_flipped
from poses.landmarks import RIGHT_HAND_POINTS
from poses.parts import find_parts
from poses.points import Clip, Selection, choose_person, select
from poses.recordings import HeldRecording, Recording

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_RIGHT_HAND = Selection(RIGHT_HAND_POINTS)
# Signs in dictionaries take 0.5 to 2 s, fingerspelled letters in the lexicon 0.6 to 1.3 s.
LENGTHS_S = (0.5, 0.75, 1.0, 1.5, 2.0)
# A window that is off by half a stride then still shares 78 % of both with what it should hold.
STRIDE_SHARE = 0.25
# Every stride is this long, or 2, 4, … times as long: recordings that differ by such a time have the same windows.
HOP_S = 0.12
# Frames that are read and held at once; with MediaPipe's 586 points they take 19 MB.
FRAMES_AT_ONCE = 2048


@dataclass(frozen=True)
class WindowRules:
    """Which windows of a recording are looked at.

    Attributes:
        lengths_s: seconds of the windows.
        hop_s: seconds that every stride is a multiple of.
    """

    lengths_s: tuple[float, ...] = LENGTHS_S
    hop_s: float = HOP_S


DEFAULT_WINDOWS = WindowRules()


@dataclass(frozen=True)
class Window:
    """One window of a recording.

    Attributes:
        start: its first frame.
        stop: the frame after its last one.
        features: float32 (frames, dim); None where there is nothing to recognize: no hand, or no shoulders.
    """

    start: int
    stop: int
    features: npt.NDArray[np.float32] | None


def plan_windows(frames: int, fps: float, *, max_frames: int, rules: WindowRules = DEFAULT_WINDOWS) -> Ints:
    """Choose the windows of a recording.

    Args:
        frames: of the recording.
        fps: frames per second.
        max_frames: longest window that the model takes; longer ones are left out.
    Returns:
        int64 (windows, 2), first frame and the frame after the last, in the order of starts, then of lengths. A
        recording that is shorter than every window is one window.
    Raises:
        PoseContentError: the recording has no frame rate, or every window would be too long for the model.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise PoseContentError(f"{fps:g} frames per second, which is no rate; places in seconds cannot be given")
    hop = max(1, round(rules.hop_s * fps))
    lengths = sorted({max(1, round(length_s * fps)) for length_s in rules.lengths_s})
    fitting = [length for length in lengths if length <= max_frames]
    if not fitting:
        raise PoseContentError(f"at {fps:g} frames per second every window has more than {max_frames} frames")
    if frames < fitting[0]:
        return np.array([[0, frames]], dtype=np.int64)
    parts = []
    for length in fitting:
        starts = np.arange(0, frames - length + 1, _choose_stride(length, hop), dtype=np.int64)
        parts.append(np.column_stack([starts, starts + length]))
    windows = np.concatenate(parts)
    in_order: Ints = windows[np.lexsort((windows[:, 1], windows[:, 0]))]
    return in_order


def _choose_stride(length: int, hop: int) -> int:
    """Choose hop · 2^n frames, the most that are no more than a quarter of the window; at least one hop."""
    times = length * STRIDE_SHARE / hop
    return hop * 2 ** max(0, math.floor(math.log2(times))) if times > 0 else hop


def extract_windows(
    recording: Recording, windows: Ints, kind: str, options: FeatureOptions | None = None
) -> Iterator[Window]:
    """Compute the features of every window, as if it had been cut and posted by itself.

    The recording is read in blocks, so that memory does not grow with its length.

    Args:
        windows: int64 (windows, 2), in the order of starts, as plan_windows gives them.
        kind: a name of FEATURE_KINDS.
        options: what to do to each window first; flip "auto" is decided for each window. trim is not used, because a
            window is where the recording is cut.
    Raises:
        FeatureKindError, PersonError, PoseLayoutError: as poses.features.extract.
    """
    options = options or FeatureOptions()
    feature_kind = find_kind(kind)
    at = 0
    while at < len(windows):
        first = int(windows[at, 0])
        until = int(np.searchsorted(windows[:, 0], first + FRAMES_AT_ONCE))
        yield from _extract_block(recording, windows[at:until], feature_kind, options)
        at = until


def _extract_block(recording: Recording, windows: Ints, kind: FeatureKind, options: FeatureOptions) -> Iterator[Window]:
    # A function of its own, so that one block is gone before the next is read.
    first = int(windows[0, 0])
    block = _Block(recording.read(first, int(windows[:, 1].max())), kind, options)
    for start, stop in windows.tolist():
        yield Window(start, stop, block.extract(start - first, stop - first))


class _Block:
    """A part of a recording, with what all its windows share."""

    def __init__(self, pose: Pose, kind: FeatureKind, options: FeatureOptions) -> None:
        person = choose_person(pose, options.person)
        measured = choose_measured(kind, anonymize=options.anonymize)
        self._pose, self._kind, self._options = HeldRecording(pose), kind, options
        self._width = pose.header.dimensions.width
        may_flip = {"never": (False,), "always": (True,)}.get(options.flip, (False, True))
        self._clips = {flip: select(pose, person, measured, flip=flip) for flip in may_flip}
        self._hand_seen = _count_up(_find_hands(pose, person))
        if options.flip == "auto":
            self._moves = _count_up(_find_moves(pose, person))

    def extract(self, start: int, stop: int) -> npt.NDArray[np.float32] | None:
        if self._hand_seen[start] == self._hand_seen[stop]:
            return None
        clip = self._clips[self._is_flipped(start, stop)]
        part = Clip(clip.selection, clip.values[start:stop].copy(), clip.missing[start:stop])
        try:
            return compute_features(part, self._kind, anonymize=self._options.anonymize, width=self._width)
        except (PoseScaleError, PoseContentError):
            return None

    def _is_flipped(self, start: int, stop: int) -> bool:
        """Decide as poses.features.is_flipped does for a clip that was cut here."""
        if self._options.flip == "auto":
            return bool(self._moves[start + 1] == self._moves[stop])
        if self._options.flip == "authors":
            return is_flipped(self._pose.read(start, stop), self._options)
        return self._options.flip == "always"


def _find_moves(pose: Pose, person: int) -> Bools:
    """Find the frames in which the right hand differs from the frame before."""
    hand = np.nan_to_num(select(pose, person, _RIGHT_HAND).values)  # frames, 21, 3
    moves = np.zeros(len(hand), dtype=np.bool_)
    moves[1:] = (hand[1:] != hand[:-1]).any(axis=(1, 2))
    return moves


def _find_hands(pose: Pose, person: int) -> Bools:
    """Find the frames in which any point of a hand is seen; all frames where the layout names no hands."""
    parts = find_parts(pose.header)
    places = np.concatenate([parts.left_hand, parts.right_hand])
    if not len(places):
        return np.ones(len(pose.body.data), dtype=np.bool_)
    seen: Bools = (pose.body.confidence[:, person][:, places] != 0).any(axis=1)
    return seen


def _count_up(flags: Bools) -> Ints:
    """Count how many flags are set before each frame, and in all: int64 (frames + 1,)."""
    return np.concatenate([[0], np.cumsum(flags)]).astype(np.int64)
