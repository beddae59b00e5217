"""Where in a recording something is signed: from the scores of many windows to a few segments."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.scoring import Ints
from search.vectors import Floats

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SpottingRules:
    """When windows become a segment.

    Attributes:
        threshold: a segment needs a window of at least this score.
        release: two segments of one label become one, if windows of this label and at least this score lie between
            them without a gap. A sign that is held is then found once.
        bridge_frames: the widest gap between the middles of such windows.
        max_overlap: segments that share a larger part of the shorter one cannot both be there. The better one stays.
    """

    threshold: float
    release: float
    bridge_frames: int
    max_overlap: float = 0.3


@dataclass(frozen=True, order=True)
class Segment:
    """One find, in frames of the recording from 0; `stop` is the frame after the last."""

    start: int
    stop: int
    label: int
    score: float


def find_segments(windows: Ints, labels: Ints, scores: Floats, rules: SpottingRules) -> list[Segment]:
    """Choose the windows in which something is signed.

    The best window is taken first, and what overlaps it is dropped (non-maximum suppression). Then finds of one label
    are joined where the label never lets go between them (hysteresis).

    Args:
        windows: int64 (windows, 2), first frame and the frame after the last.
        labels: int64 (windows,), the best label of each window.
        scores: float (windows,), the score of this label; -inf where a window holds nothing.
    Returns:
        The segments in the order of their starts.
    """
    middles = windows.sum(axis=1) / 2
    found: list[Segment] = []
    for row in _suppress(windows, scores, rules).tolist():
        segment = Segment(int(windows[row, 0]), int(windows[row, 1]), int(labels[row]), float(scores[row]))
        previous = next((known for known in reversed(found) if known.label == segment.label), None)
        holding = (labels == segment.label) & (scores >= rules.release)
        if previous is not None and found[-1] is previous and _is_held(previous, segment, middles[holding], rules):
            found[-1] = Segment(
                min(previous.start, segment.start),
                max(previous.stop, segment.stop),
                segment.label,
                max(previous.score, segment.score),
            )
        else:
            found.append(segment)
    return found


def _suppress(windows: Ints, scores: Floats, rules: SpottingRules) -> Ints:
    """Take the best windows that do not overlap; their rows, in the order of their starts."""
    over = np.flatnonzero(scores >= rules.threshold)
    # Of equal scores the earlier window comes first, then the shorter one: the order of the input changes nothing.
    order = over[np.lexsort((windows[over, 1], windows[over, 0], -scores[over]))]
    taken: list[int] = []
    starts, stops = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for row in order.tolist():
        start, stop = windows[row]
        shared = np.minimum(stops, stop) - np.maximum(starts, start)
        shorter = np.minimum(stops - starts, stop - start)
        if not (shared > rules.max_overlap * shorter).any():
            taken.append(row)
            starts, stops = np.append(starts, start), np.append(stops, stop)
    rows = np.array(taken, dtype=np.int64)
    return rows[np.lexsort((windows[rows, 1], windows[rows, 0]))] if len(rows) else rows


def _is_held(before: Segment, after: Segment, middles: Floats, rules: SpottingRules) -> bool:
    """Check whether windows that hold the label lie between two segments without a gap."""
    first, last = (before.start + before.stop) / 2, (after.start + after.stop) / 2
    between = np.sort(middles[(middles > first) & (middles < last)])
    gaps = np.diff(np.concatenate([[first], between, [last]]))
    return bool(gaps.max() <= rules.bridge_frames)


def measure_iou(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Measure the overlap of two spans, as their common part's share of both together, 0 to 1."""
    shared = min(first[1], second[1]) - max(first[0], second[0])
    if shared <= 0:
        return 0.0
    return shared / (max(first[1], second[1]) - min(first[0], second[0]))
