"""What a clip holds, and what about it will not embed well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader
from pose_format.utils.generic import hands_components, pose_shoulders

from poses.errors import PoseContentError
from poses.flip import Hand, active_hand
from poses.points import choose_person

# Under this share of frames a hand counts as rarely seen; training on fingerspelling mirrors clips whose right hand is
# seen less often.
_RARELY_SEEN = 0.3
# The corpora behind the models have 24 to 30 frames a second. At half or double that, motion has another speed than in
# any clip they saw: their temporal augmentation has a standard deviation of 20 %.
_LOWEST_FPS, _HIGHEST_FPS = 12.0, 60.0
# Measured from between the shoulders, hands of signers in full view reach 2 shoulder widths and feet 4; what is twice
# as far away is no part of the body.
_FARTHEST_SHOULDER_WIDTHS = 8.0


@dataclass(frozen=True)
class QualityReport:
    """What a clip holds; ``dataclasses.asdict`` makes JSON of it.

    Attributes:
        frames: in the clip.
        fps: frames per second.
        duration_s: frames over fps.
        people: in the file; what follows is about one of them.
        left_hand: share of frames, 0 to 1, in which a point of the hand is seen; None if the layout has no left hand.
        right_hand: the same for the right hand.
        face: the same for the face.
        shoulders: share of frames in which both are seen; None if the layout has no shoulders.
        active_hand: which hand signs; None when it cannot be told.
        warnings: short sentences, each true of this clip; none for a good one.
    """

    frames: int
    fps: float
    duration_s: float
    people: int
    left_hand: float | None
    right_hand: float | None
    face: float | None
    shoulders: float | None
    active_hand: Hand | None
    warnings: tuple[str, ...]


def report(pose: Pose, person: int | None = None) -> QualityReport:
    """Describe one person's clip.

    Args:
        pose: any readable pose, holistic or not; not changed.
        person: index of the person; without it the first is described, and a warning says so if there are several.
    Raises:
        PersonError: the chosen person is not there.
        PoseEmptyError: no frames or no people.
        PoseContentError: fps is not a positive number.
    """
    frames, people = pose.body.data.shape[:2]
    chosen = choose_person(pose, 0 if person is None else person)
    fps = float(pose.body.fps)
    if not (math.isfinite(fps) and fps > 0):
        raise PoseContentError(f"{fps} frames per second; a positive number is needed")
    clip = _Measured(pose, chosen)
    warnings = list(_warnings(clip, fps))
    if person is None and people > 1:
        warnings.insert(0, f"{people} people; this describes person 0")
    return QualityReport(
        frames=frames,
        fps=fps,
        duration_s=frames / fps,
        people=people,
        left_hand=clip.left_hand,
        right_hand=clip.right_hand,
        face=clip.face,
        shoulders=clip.shoulders,
        active_hand=active_hand(pose, chosen),
        warnings=tuple(warnings),
    )


def share_with_body(pose: Pose, component: str = "POSE_LANDMARKS") -> float:
    """Share of frames, 0 to 1, in which anybody's body is seen at all; 0 if the layout has no such component."""
    places = _component_places(pose.header).get(component, [])
    seen = pose.body.confidence[:, :, places] != 0  # frames, people, points
    return float(seen.any(axis=(1, 2)).mean()) if places and len(seen) else 0.0


class _Measured:
    """One person's confidence and coordinates, and the shares of frames in which parts of the body are seen."""

    def __init__(self, pose: Pose, person: int) -> None:
        self.confidence = pose.body.confidence[:, person]  # frames, points
        self.values = np.asarray(pose.body.data)[:, person]  # frames, points, dims
        self.seen: npt.NDArray[np.bool_] = self.confidence != 0
        places = _component_places(pose.header)
        left, right = _hand_names(pose.header)
        faces = [place for name, places_ in places.items() if "face" in name.lower() for place in places_]
        self.right_hand_places = places.get(right, [])
        self.shoulder_places = _shoulder_places(pose.header)
        # World landmarks are metres from the hips, not pixels of the image.
        self.image_places = [place for name, places_ in places.items() if "WORLD" not in name for place in places_]
        self.left_hand = self._share_any(places.get(left, []))
        self.right_hand = self._share_any(self.right_hand_places)
        self.face = self._share_any(faces)
        self.shoulders = self._share_all(self.shoulder_places)

    def _share_any(self, places: list[int]) -> float | None:
        return float(self.seen[:, places].any(axis=1).mean()) if places else None

    def _share_all(self, places: list[int]) -> float | None:
        return float(self.seen[:, places].all(axis=1).mean()) if places else None

    def farthest_shoulder_widths(self) -> float:
        """How far from between the shoulders the farthest seen point is in the image; 0 without shoulders."""
        if not self.shoulders:
            return 0.0
        together = self.seen[:, self.shoulder_places].all(axis=1)
        shoulders = self.values[together][:, self.shoulder_places, :2].astype(np.float64)  # frames, 2, 2
        width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1).mean()
        if not width > 0:
            return 0.0
        x, y = np.moveaxis(self.values[:, self.image_places, :2] - shoulders.mean(axis=(0, 1)), -1, 0)  # frames, points
        return float(np.hypot(x, y)[self.seen[:, self.image_places]].max() / width)


def _component_places(header: PoseHeader) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    start = 0
    for component in header.components:
        places[component.name] = list(range(start, start + len(component.points)))
        start += len(component.points)
    return places


def _hand_names(header: PoseHeader) -> tuple[str, str]:
    """The left and the right hand's component in the formats that pose-format knows; else names that none has."""
    try:
        (left, right), _, _ = hands_components(header)
    except (ValueError, NotImplementedError):
        return "", ""
    return left, right


def _shoulder_places(header: PoseHeader) -> list[int]:
    try:
        return [header.get_point_index(component, point) for component, point in pose_shoulders(header)]
    except (ValueError, NotImplementedError):  # an unknown format, or one without its body
        return []


def _warnings(clip: _Measured, fps: float) -> Iterator[str]:
    if len(clip.seen) == 1:
        yield "single frame"
    if not _LOWEST_FPS < fps < _HIGHEST_FPS:
        yield f"{fps:g} frames per second; models saw 24 to 30"
    yield from _hand_warnings(clip)
    if clip.shoulders is None:
        yield "no shoulders in the layout"
    elif clip.shoulders == 0:
        yield "no shoulders in any frame"
    elif clip.shoulders < 1:
        yield f"shoulders missing in {_percent(1 - clip.shoulders)} of frames"
    farthest = clip.farthest_shoulder_widths()
    if farthest > _FARTHEST_SHOULDER_WIDTHS:
        yield f"coordinates up to {farthest:.0f} shoulder widths from the body"
    low, high = float(clip.confidence.min()), float(clip.confidence.max())
    if low < 0 or high > 1:
        yield f"confidence from {low:.2g} to {high:.2g}, outside 0 to 1"


def _hand_warnings(clip: _Measured) -> Iterator[str]:
    # A sign may need one hand only, and models expect that to be the right one: an absent left hand is no fault.
    if clip.left_hand is None and clip.right_hand is None:
        yield "no hands in the layout"
    elif clip.right_hand is None:
        yield "no right hand in the layout"
    elif clip.right_hand == 0:
        yield "no right hand in any frame" if clip.left_hand else "no hand in any frame"
    elif clip.right_hand < _RARELY_SEEN:
        yield f"right hand in only {_percent(clip.right_hand)} of frames"
    elif len(clip.seen) > 1:
        hand = clip.values[:, clip.right_hand_places]
        if (hand == hand[0]).all():
            yield "the right hand never moves"


def _percent(share: float) -> str:
    # Of long clips, a rounded 0 % or 100 % would say of some frames what is true of all others.
    if share < 0.01:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share <= 0.99 else "over 99 %"
