"""The metrics against the authors' numbers, and against a slow twin."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.retrieval import first_ranks, pose_to_text, text_to_pose

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())
AUTHORS_NAMES = {"MedianR": "median_rank", "MeanR": "mean_rank"}


def _renamed(expected):
    return {AUTHORS_NAMES.get(name, f"{name[0]}@{name[1:]}"): value for name, value in expected.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
@pytest.mark.parametrize(("measure", "key"), [(text_to_pose, "t2v"), (pose_to_text, "v2t")])
def test_numbers_are_the_authors(case, measure, key):
    assert measure(np.array(case["scores"]), case["labels"]) == _renamed(case["expected"][key])


def test_ties_go_to_the_lower_index():
    right = np.array([[False, True, False, True]])
    assert first_ranks(np.array([[1.0, 1.0, 1.0, 1.0]]), right).tolist() == [2]
    assert first_ranks(np.array([[0.0, 1.0, 2.0, 1.0]]), right).tolist() == [2]


def test_ties_in_both_directions_match_sorting():
    chance = np.random.default_rng(3)
    scores = chance.integers(0, 4, (40, 40)).astype(float)
    labels = chance.integers(0, 9, 40)
    right = labels == labels[:, None]
    expected = [1 + right[i][np.argsort(-scores[i], kind="stable")].argmax() for i in range(40)]
    assert first_ranks(scores, right).tolist() == expected


def test_labels_must_match_the_matrix():
    with pytest.raises(ValueError, match="3 labels"):
        text_to_pose(np.zeros((2, 2)), ["a", "b", "c"])
