"""Left and right: the mirror image of a pose, and which hand signs."""

from __future__ import annotations

import numpy as np
from pose_format import Pose

from .clips import Selection, select
from .landmarks import RIGHT_HAND_POINTS

_RIGHT_HAND = Selection(RIGHT_HAND_POINTS)


def never_moves(pose: Pose, person: int) -> bool:
    """Whether the right hand's stored points are the same in all frames, missing ones and NaN counting as stored."""
    values = np.nan_to_num(select(pose, person, _RIGHT_HAND).values)
    return bool((values == values[0]).all())
