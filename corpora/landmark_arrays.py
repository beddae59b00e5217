"""Landmarks that are published as bare arrays, and the poses that they describe.

Both layouts come from MediaPipe Holistic: x and y as shares of the image, NaN for a point that was not seen.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from corpora.arrays import Float32Array
from corpora.errors import ClipOutOfReachError, ClipUnreadableError
from poses.landmarks import BODY, BODY_POINTS, FACE, LEFT_HAND, LEFT_HAND_POINTS, RIGHT_HAND

KAGGLE_POINTS = 543
SEM_LEX_POINTS = 553
_KAGGLE_BLOCKS = (468, 21, 33, 21)  # face, left hand, body, right hand
# Rows of body, face, left and right hand, in the order of a holistic pose.
_PLACES = {
    KAGGLE_POINTS: np.r_[489:522, 0:468, 468:489, 522:543],
    SEM_LEX_POINTS: np.r_[478:511, 0:478, 511:532, 532:553],
}
# The published shares lack the image's size. Source: asl_signs.py and sem_lex.py in sign-language-processing/datasets:
# SignCLIP was fine-tuned on Kaggle's shares as they are, and on Sem-Lex's in pixels of 640 × 480.
_SIZES = {KAGGLE_POINTS: (1080, 720), SEM_LEX_POINTS: (640, 480)}
_SCALES = {KAGGLE_POINTS: (1.0, 1.0, 1.0), SEM_LEX_POINTS: (640.0, 480.0, 1.0)}
# Kaggle's clips have no frame rate, and Sem-Lex's are read at 30. Features do not depend on it.
_FPS = 30.0


def read_kaggle(path: Path) -> Float32Array:
    """Read one clip of asl-signs.

    Args:
        path: parquet with frame, row_id, type, landmark_index, x, y and z; 543 rows a frame.
    Returns:
        float32 (frames, 543, 3), NaN for a point that was not seen.
    Raises:
        ClipUnreadableError: the file is no parquet, or has other rows.
        ClipOutOfReachError: the system did not deliver the file.
    """
    import pyarrow as pa  # It costs 100 ms and 60 MB, which data sets without parquet need not pay.
    import pyarrow.parquet as pq

    try:
        # Threads inside a worker process would compete with the other workers for its core.
        table = pq.read_table(path, columns=["landmark_index", "x", "y", "z"], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        # Arrow reports a damaged file as an OSError too, but without the system's error number.
        kind = ClipOutOfReachError if isinstance(error, OSError) and error.errno else ClipUnreadableError
        raise kind(f"{path}: no parquet of landmarks: {error}") from None
    frames, rest = divmod(table.num_rows, KAGGLE_POINTS)
    if rest or not frames:
        raise ClipUnreadableError(f"{path}: {table.num_rows} rows; the number must be a multiple of {KAGGLE_POINTS}")
    expected = np.concatenate([np.arange(size) for size in _KAGGLE_BLOCKS])
    indexes = table.column("landmark_index").to_numpy().reshape(frames, KAGGLE_POINTS)
    if not (indexes == expected).all():
        raise ClipUnreadableError(f"{path}: the rows are not in the order face, left hand, body, right hand")
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and the point counts as not seen
            columns = [table.column(axis).to_numpy().astype(np.float32) for axis in "xyz"]
    except (ValueError, TypeError) as error:
        raise ClipUnreadableError(f"{path}: x, y and z must be columns of numbers: {error}") from None
    landmarks: Float32Array = np.stack(columns, axis=-1).reshape(frames, KAGGLE_POINTS, 3)
    return landmarks


def make_pose(landmarks: Float32Array) -> Pose:
    """Make the holistic pose that an array of landmarks describes.

    Args:
        landmarks: float32 (frames, points, 3), of Kaggle (543 points) or Sem-Lex (553); not changed.
    Returns:
        A pose of one person with body, face and both hands. A point that was not seen is 0 with confidence 0. The
        header is shared between poses and must not be changed.
    """
    points = landmarks.shape[1]
    values = landmarks[:, _PLACES[points]].astype(np.float32) * np.array(_SCALES[points], dtype=np.float32)
    seen = np.isfinite(values).all(axis=-1)  # frames, points
    values[~seen] = 0
    return Pose(_header(points), NumPyPoseBody(_FPS, values[:, None], seen[:, None].astype(np.float32)))


@lru_cache(maxsize=2)
def _header(points: int) -> PoseHeader:
    hand = [point.name for point in LEFT_HAND_POINTS]
    face = points - len(BODY_POINTS) - 2 * len(hand)
    names = {
        BODY: [point.name for point in BODY_POINTS],
        FACE: [str(number) for number in range(face)],
        LEFT_HAND: hand,
        RIGHT_HAND: hand,
    }
    components = [PoseHeaderComponent(name, points_, [], [], "XYZC") for name, points_ in names.items()]
    width, height = _SIZES[points]
    return PoseHeader(0.2, PoseHeaderDimensions(width, height, 0), components)
