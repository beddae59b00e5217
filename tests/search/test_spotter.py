"""A recording's windows to finds: thresholds of either sign."""

import numpy as np
import pytest

from search.classifiers import Classifier
from search.spotter import Spotter


def _keep(vectors):
    return vectors


@pytest.mark.parametrize(("threshold", "held", "lost"), [(1.0, 0.75, 0.65), (-1.0, -1.25, -1.35)])
def test_a_held_sign_is_one_find_on_either_side_of_zero(threshold, held, lost):
    starts = np.arange(0, 40, 3)
    windows = np.column_stack([starts, starts + 10])

    def find(between):
        spotter = Spotter(Classifier(["A"], _keep, 1.0, _keep), threshold=threshold)
        spotter.add(windows, np.where(starts % 12 == 0, threshold, between)[:, None])
        return [(found.start_s, found.end_s) for found in spotter.find(10.0)]

    assert find(held) == [(0.0, 4.6)]
    assert len(find(lost)) > 1
