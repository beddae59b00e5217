"""The frames of a clip in which somebody signs: from the first raised hand to the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from poses.file_pose import FileBody, FilePose, get_stored
from poses.landmarks import BODY, LEFT_HAND, RIGHT_HAND, Point
from poses.points import choose_person, find_places, make_layout_key

Trim = Literal["none", "auto"]

# Frames that are kept before the first raised hand and after the last one. Of the fingerspelling lexicon, 94 % of the
# clips have no more before and 87 % no more after: spoken-to-signed cut them with a margin of 5, and then played most
# of them faster. When hands hang for 2 s at either end, the shipped model finds 90.7 % of the lexicon's clips again
# with 5 frames, 95.0 % with 2, and 96.0 % with 1; of the clips as they are it names 96.0, 95.8 and 95.0 %.
MARGIN_FRAMES = 2
_HANDS = {"LEFT": LEFT_HAND, "RIGHT": RIGHT_HAND}


@dataclass(frozen=True)
class Signing:
    """Where somebody signs in a clip.

    Attributes:
        start: the first frame, from 0.
        end: the frame after the last one.
        fault: why no raised hand was found; start and end are then those of the whole clip. None if one was found.
    """

    start: int
    end: int
    fault: str | None = None


def find_signing(pose: Pose, person: int | None = None) -> Signing:
    """Find the part of a clip from the first raised hand to the last one, with MARGIN_FRAMES around it.

    A hand is raised in a frame in which its wrist is above its elbow. A hand that the tracker lost has a wrist too,
    that of the body; where the body's wrist is not seen, the hand's own counts. Whether a hand is raised depends on
    its frame alone, so a clip that was trimmed once is not trimmed further.

    Args:
        pose: any pose; not changed.
        person: index of the person, needed when there are several.
    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    Source: spoken_to_signed 0.4.0, gloss_to_pose.concatenate.active_signing_span. There the margin is 5 frames, a hand
        has the body's wrist only, and an elbow counts where it is not seen.
    """
    person = choose_person(pose, person)
    frames = len(pose.body.confidence)
    seen, raised = _look_for_hands(pose, person)
    found = np.flatnonzero(raised)
    if len(found):
        return Signing(max(0, int(found[0]) - MARGIN_FRAMES), min(frames, int(found[-1]) + 1 + MARGIN_FRAMES))
    if not seen:
        return Signing(0, frames, "no wrist and its elbow are seen in the same frame")
    return Signing(0, frames, "no wrist is above its elbow in any frame")


def cut_frames(pose: Pose, start: int, end: int) -> Pose:
    """Cut a pose to the frames from start up to end, which is not part of it. The arrays are views of the pose's own.

    Args:
        pose: not changed.
        start, end: frames, from 0.
    """
    if (start, end) == (0, len(pose.body.confidence)):
        return pose
    if isinstance(pose.body, FileBody):
        body = pose.body.cut(start, end)
    else:
        body = NumPyPoseBody(pose.body.fps, pose.body.data[start:end], pose.body.confidence[start:end])
    if not isinstance(pose, FilePose):
        return Pose(pose.header, body)
    return FilePose(pose.header, body, not_finite=None if pose.not_finite is None else pose.not_finite[start:end])


def cut_to_signing(pose: Pose, person: int | None = None) -> tuple[Pose, Signing]:
    """Cut a pose to the frames in which a person signs, all people's; a pose without a raised hand is left whole.

    Args:
        pose: any pose; not changed.
        person: index of the person, needed when there are several.
    Returns:
        The pose, and which of its frames these are.
    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    """
    signing = find_signing(pose, person)
    return cut_frames(pose, signing.start, signing.end), signing


def _look_for_hands(pose: Pose, person: int) -> tuple[bool, npt.NDArray[np.bool_]]:
    """Look for raised hands: whether a wrist is ever seen with its elbow, and bool (frames,), whether one is raised."""
    places = find_places(make_layout_key(pose.header))
    values = get_stored(pose)[:, person]  # frames, points, dims
    raised = np.zeros(len(values), dtype=np.bool_)
    ever_seen = False
    if values.shape[-1] < 2:
        return ever_seen, raised
    confidence = pose.body.confidence[:, person]  # frames, points
    for side, hand in _HANDS.items():
        elbow = places.get(Point(BODY, f"{side}_ELBOW"))
        judged = np.zeros(len(values), dtype=np.bool_)
        for wrist in (places.get(Point(BODY, f"{side}_WRIST")), places.get(Point(hand, "WRIST"))):
            if elbow is None or wrist is None:
                continue
            judges = (confidence[:, wrist] != 0) & (confidence[:, elbow] != 0) & ~judged
            raised |= judges & (values[:, wrist, 1] < values[:, elbow, 1])  # because y grows downwards in a picture
            judged |= judges
        ever_seen |= bool(judged.any())
    return ever_seen, raised
