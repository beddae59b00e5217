"""Somebody else's shoulders: a clip without its signer's appearance.

pose_anonymization works in place on a whole Pose, sets the image size of a header that other poses may share, and
looks up an average pose that it keeps for all callers. It is given a pose and a header of its own for every clip.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses.errors import PoseScaleError
from poses.points import Clip, Selection


def remove_appearance(clip: Clip) -> Clip:
    """Replace the first frame's body and face by the average signer's, in all frames; hands and wrists stay.

    What is not seen in the first frame cannot be compared with the average: such points of the body and the face count
    as missing from then on, and keep the value they had, as in the authors' pipeline.

    Args:
        clip: body, face contours and both hands; not changed.
    Returns:
        A clip of the same points, in float64.
    Raises:
        PoseScaleError: a shoulder is missing in the first frame, or both are always in one place.
    Source: pose_anonymization.appearance.remove_appearance.
    """
    from pose_anonymization import appearance  # reads 150 kB of averages: only for those who ask

    if clip.missing[0, clip.selection.shoulders].any():
        raise PoseScaleError(
            "a shoulder is missing in frame 0; anonymization compares that frame with the average signer"
        )
    confidence = (~clip.missing[:, None]).astype(np.float32)
    body = NumPyPoseBody(fps=1, data=clip.values[:, None].copy(), confidence=confidence)
    data = appearance.remove_appearance(Pose(_header(clip.selection), body)).body.data[:, 0]  # frames, points, 3
    missing: npt.NDArray[np.bool_] = np.ma.getmaskarray(data)[..., 0]  # type: ignore[no-untyped-call]
    if not np.isfinite(data[~missing]).all():
        raise PoseScaleError("the shoulders' distance is 0 or out of range; frame 0 cannot be measured in it")
    return Clip(clip.selection, np.asarray(data), missing)


def _header(selection: Selection) -> PoseHeader:
    components = [
        PoseHeaderComponent(name, [point.name for point in points], [], [], "XYZC")
        for name, points in groupby(selection.points, key=lambda point: point.component)
    ]
    return PoseHeader(0.2, PoseHeaderDimensions(0, 0, 0), components)
