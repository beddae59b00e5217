"""Continuous recordings that are drawn from single clips: letters, the ways between them, and hands that do nothing.

Where each letter is, is known to the frame, so that spotting can be scored. The same seed draws the same recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from training.fingerspelling.webcam import RAISING_S, TREMOR, Frames, ease, lower_hands

Float32Array = npt.NDArray[np.float32]
# Frames per second of every recording. The clips of the lexicon have 25, give or take one.
FPS = 25.0
# How long hands take from one letter to the next: spelling at 2 to 3 letters a second leaves about so much.
_WAY_S = (0.2, 0.5)
# How long hands hang, or move about without a letter, between two words.
_PAUSE_S = (0.5, 2.5)
# Share of the pauses in which a raised hand moves about instead of hanging.
_FIDGETING = 0.5
# How far such a hand drifts, in shoulder widths, and how many drifts a second it makes.
_DRIFT, _DRIFTS_PER_S = 0.25, 2.0


@dataclass(frozen=True)
class LetterSpan:
    """A letter of a recording: its first frame, the frame after its last one, and what it is."""

    start: int
    stop: int
    letter: str


@dataclass(frozen=True)
class DrawnRecording:
    """A recording, and where its letters are."""

    pose: Pose
    spans: tuple[LetterSpan, ...]


@dataclass
class _Film:
    """Frames that are put one after another."""

    values: list[Float32Array] = field(default_factory=list)
    confidence: list[Float32Array] = field(default_factory=list)
    frames: int = 0

    def add(self, values: Float32Array, confidence: Float32Array) -> None:
        self.values.append(values.astype(np.float32))
        self.confidence.append(confidence.astype(np.float32))
        self.frames += len(values)


def draw_recording(
    words: Sequence[Sequence[tuple[Pose, str]]], *, seed: int, lead_s: float | None = None
) -> DrawnRecording:
    """Draw a recording of some words.

    Args:
        words: the clips of each word's letters, and what the letters are; all of one layout, and of one signer if the
            recording is to look like one.
        seed: of pauses, ways and tremor.
        lead_s: seconds of hanging hands at the start; None draws them.
    """
    rng = np.random.default_rng(seed)
    film, spans = _Film(), []
    hanging_s = rng.uniform(*_PAUSE_S) if lead_s is None else lead_s
    for word in words:
        first, last = Frames(word[0][0]), Frames(word[-1][0])
        _add_pause(film, first, hanging_s, rng)
        before: Frames | None = None
        for pose, letter in word:
            frames = Frames(pose)
            if before is not None:
                film.add(*_move_on(before, frames, rng.uniform(*_WAY_S)))
            spans.append(LetterSpan(film.frames, film.frames + len(frames.values), letter))
            film.add(frames.values, frames.confidence)
            before = frames
        film.add(*lower_hands(last, -1, _raise(RAISING_S)[::-1], rng))
        hanging_s = rng.uniform(*_PAUSE_S)
    film.add(*lower_hands(last, -1, np.zeros(round(hanging_s * FPS)), rng))
    header = words[0][0][0].header
    body = NumPyPoseBody(FPS, np.concatenate(film.values)[:, None], np.concatenate(film.confidence)[:, None])
    return DrawnRecording(Pose(header, body), tuple(spans))


def _add_pause(film: _Film, frames: Frames, seconds: float, rng: np.random.Generator) -> None:
    """Let hands hang, or move about, and then come up to the first frame of a clip."""
    count = round(seconds * FPS)
    film.add(*lower_hands(frames, 0, np.zeros(count), rng))
    film.add(*lower_hands(frames, 0, _raise(RAISING_S), rng))
    if rng.random() < _FIDGETING:
        film.add(*_fidget(frames, rng.uniform(*_PAUSE_S), rng))


def _raise(seconds: float) -> npt.NDArray[np.float64]:
    count = max(1, round(seconds * FPS))
    return ease(np.arange(count, dtype=np.float64) / count)


def _fidget(frames: Frames, seconds: float, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
    """Let the hands of the first frame drift about, with their fingers as they come up, and end where they began."""
    count = max(2, round(seconds * FPS))
    values = np.repeat(frames.values[[0]], count, axis=0)
    confidence = np.repeat(frames.confidence[[0]], count, axis=0)
    _, width = frames.measure_shoulders()
    stops = max(3, round(seconds * _DRIFTS_PER_S))
    for side in ("LEFT", "RIGHT"):
        places = [*range(*frames.find_hand(side).indices(values.shape[1])), *frames.find_body(side)]
        ends = rng.normal(0, _DRIFT * width / 2, (stops, 2))
        ends[[0, -1]] = 0
        at = np.linspace(0, stops - 1, count)
        before = np.minimum(at.astype(np.int64), stops - 2)
        part = ease(at - before)[:, None]
        drift = ends[before] * (1 - part) + ends[before + 1] * part + rng.normal(0, TREMOR * width, (count, 2))
        seen = confidence[:, places, None] != 0
        values[:, places, :2] += np.where(seen, drift[:, None], 0).astype(np.float32)
    return values, confidence


def _move_on(before: Frames, after: Frames, seconds: float) -> tuple[Float32Array, Float32Array]:
    """Move from the last frame of one clip to the first of the next; what only one of them shows is not seen."""
    count = max(1, round(seconds * FPS))
    part = ease(np.arange(1, count + 1, dtype=np.float64) / (count + 1))[:, None, None]
    seen = (before.confidence[-1] != 0) & (after.confidence[0] != 0)
    values = before.values[-1] * (1 - part) + after.values[0] * part
    confidence = np.repeat(np.minimum(before.confidence[-1], after.confidence[0])[None], count, axis=0)
    shown = np.where(seen[:, None], values, 0).astype(np.float32)
    return shown, np.where(seen, confidence, 0).astype(np.float32)
