"""What a clip holds, and what about it will not embed well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pose_format import Pose

from poses.active_hand import Hand, find_active_hand
from poses.measures import Measures
from poses.orientation import find_orientation_warning
from poses.parts import find_parts
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
# Interpolated clips of the lexicon are off by 0.03; what is off by more was no confidence.
_ODD_CONFIDENCE = 0.05
# Shares of the picture: shoulders lie between its borders, 0 and 1, and feet may lie a few heights below it. In
# shoulder widths, the shoulders' middle is 0 and their distance 1.
_SHARES_REACH, _SHARES_WIDTH = 4.0, 0.9


@dataclass(frozen=True)
class QualityReport:
    """What a clip holds; ``dataclasses.asdict`` makes JSON of it.

    Attributes:
        frames: in the clip.
        fps: frames per second as stored; None if that is no finite number.
        duration_s: frames over fps; None unless fps is positive.
        people: in the file; what follows is about one of them.
        left_hand: share of frames, 0 to 1, in which a point of the hand is seen; None if the layout has no left hand.
        right_hand: the same for the right hand.
        face: the same for the face.
        shoulders: share of frames in which both are seen; None if the layout has no shoulders.
        active_hand: the hand that signs; None when the clip does not show it.
        warnings: short sentences, each true of this clip; a good clip has none.
    """

    frames: int
    fps: float | None
    duration_s: float | None
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
        person: index of the person. Without it the first person is described; if there are several, a warning says so.
    Raises:
        PersonError: the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    """
    frames, people = pose.body.confidence.shape[:2]
    chosen = choose_person(pose, 0 if person is None else person)
    fps = float(pose.body.fps)
    clip = Measures(pose, chosen)
    warnings = list(_find_clip_warnings(clip, fps))
    if person is None and people > 1:
        warnings.insert(0, f"{people} people; this describes person 0")
    return QualityReport(
        frames=frames,
        fps=fps if math.isfinite(fps) else None,
        duration_s=frames / fps if _is_rate(fps) else None,
        people=people,
        left_hand=clip.left_hand,
        right_hand=clip.right_hand,
        face=clip.face,
        shoulders=clip.shoulders,
        active_hand=find_active_hand(pose, chosen),
        warnings=tuple(warnings),
    )


def find_warnings(pose: Pose, person: int | None = None, *, is_flipped: bool = False) -> tuple[str, ...]:
    """Give the warnings of a report alone, in a fraction of its time.

    Args:
        pose: any readable pose; not changed.
        person: index of the person, needed when there are several.
        is_flipped: whether the clip is mirrored before it is embedded, which makes the left hand the right one.
    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    """
    clip = Measures(pose, choose_person(pose, person))
    return tuple(_find_clip_warnings(clip, float(pose.body.fps), signing="left" if is_flipped else "right"))


def shows_hands(pose: Pose, person: int | None = None) -> bool:
    """Return whether a hand is seen in any frame. A layout that names no hands is taken to show them.

    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    """
    confidence = pose.body.confidence[:, choose_person(pose, person)]  # frames, points
    parts = find_parts(pose.header)
    hands = [places for places in (parts.left_hand, parts.right_hand) if len(places)]
    return not hands or any(bool(confidence.take(places, axis=1).any()) for places in hands)


def measure_share_with_body(pose: Pose, component: str = "POSE_LANDMARKS") -> float:
    """Measure the share of frames, 0 to 1, in which a body is seen at all; 0 if the layout has no such component."""
    places = [place for place, name in enumerate(find_parts(pose.header).components) if name == component]
    seen = pose.body.confidence[:, :, places] != 0  # frames, people, points
    return float(seen.any(axis=(1, 2)).mean()) if places and len(seen) else 0.0


def _is_rate(fps: float) -> bool:
    return math.isfinite(fps) and fps > 0


def _find_clip_warnings(clip: Measures, fps: float, *, signing: Hand = "right") -> Iterator[str]:
    if len(clip.seen) == 1:
        yield "single frame"
    if not _is_rate(fps):
        yield f"{fps:g} frames per second, which is no rate; features do not depend on it, the duration is unknown"
    elif not _LOWEST_FPS < fps < _HIGHEST_FPS:
        yield f"{fps:g} frames per second; models saw 24 to 30"
    yield from _find_hand_warnings(clip, signing)
    if clip.shoulders is None:
        yield "no shoulders in the layout"
    elif clip.shoulders == 0:
        yield "no shoulders in any frame"
    elif clip.shoulders < 1:
        yield f"shoulders missing in {_percent(1 - clip.shoulders)} of frames"
    yield from _find_number_warnings(clip)
    turned = find_orientation_warning(clip.values, clip.seen, clip.parts)
    if turned is not None:
        yield turned


def _find_hand_warnings(clip: Measures, signing: Hand) -> Iterator[str]:
    # A sign may need only one hand, and models expect it to be the right hand. So a missing other hand is no fault.
    seen, other, places = clip.right_hand, clip.left_hand, clip.parts.right_hand
    if signing == "left":
        seen, other, places = clip.left_hand, clip.right_hand, clip.parts.left_hand
    if seen is None and other is None:
        yield "no hands in the layout"
    elif seen is None:
        yield f"no {signing} hand in the layout"
    elif seen == 0:
        yield f"no {signing} hand in any frame" if other else "no hand in any frame"
    elif seen < _RARELY_SEEN:
        yield f"{signing} hand in only {_percent(seen)} of frames"
    elif len(clip.seen) > 1 and clip.never_moves(places):
        yield f"the {signing} hand never moves"


def _find_number_warnings(clip: Measures) -> Iterator[str]:
    broken = int(clip.not_finite.sum())
    if broken:
        names = dict.fromkeys(
            name for name, count in zip(clip.parts.components, clip.not_finite.tolist(), strict=True) if count
        )
        share = _percent(broken / clip.seen.size)
        yield f"{share} of points have a number that is NaN or infinite and count as not seen ({', '.join(names)})"
    if clip.body is not None and not clip.bound_reach() * math.sqrt(2) <= _FARTHEST_SHOULDER_WIDTHS * clip.body[2]:
        farthest = clip.measure_farthest()
        if farthest > _FARTHEST_SHOULDER_WIDTHS:
            yield f"coordinates up to {farthest:.0f} shoulder widths from the body"
    if clip.body is not None and _are_shares(clip.body, clip):
        yield (
            "x and y look like shares of the picture (0 to 1), in which its aspect ratio is lost; "
            "multiply x by its width and y by its height"
        )
    elif (clip.size.width, clip.size.height) == (1, 1):
        yield "the header gives a picture of 1 × 1 pixels; shares of a picture (0 to 1) would lose its aspect ratio"
    low, high = clip.confidences
    if low < -_ODD_CONFIDENCE or high > 1 + _ODD_CONFIDENCE:
        yield f"confidence from {low:.2g} to {high:.2g}, outside 0 to 1"


def _are_shares(body: tuple[float, float, float], clip: Measures) -> bool:
    x, y, width = body
    inside = all(0.02 < place < 0.98 for place in (x, y))
    return inside and width < _SHARES_WIDTH and clip.measure_reach() < _SHARES_REACH


def _percent(share: float) -> str:
    # In a long clip, a rounded 0 % or 100 % would be wrong for the few frames that differ.
    if share < 0.01:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share <= 0.99 else "over 99 %"
