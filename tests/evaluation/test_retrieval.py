"""The metrics against the authors' numbers, and against a slow twin."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import ScoresError
from evaluation.retrieval import (
    measure_pose_to_text,
    measure_text_to_pose,
    number_labels,
    rank_first_right,
    summarize_clips,
)
from search.ranking import rank
from search.scoring import Matrix, WithinGroups

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())
KNOWN_TEXTS = json.loads((Path(__file__).parents[1] / "golden" / "metrics_oracle.json").read_text())
AUTHORS_NAMES = {"MedianR": "median_rank", "MeanR": "mean_rank"}


def _renamed(expected):
    return {AUTHORS_NAMES.get(name, f"{name[0]}@{name[1:]}"): value for name, value in expected.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
@pytest.mark.parametrize(("measure", "key"), [(measure_text_to_pose, "t2v"), (measure_pose_to_text, "v2t")])
def test_numbers_are_the_authors(case, measure, key):
    assert measure(np.array(case["scores"]), case["labels"]) == _renamed(case["expected"][key])


@pytest.mark.parametrize("case", KNOWN_TEXTS, ids=lambda case: f"seed{case['seed']}")
def test_numbers_of_known_texts_are_the_authors(case):
    # Their identification_oracle: candidates of another concept, which is what follows the last tag, are left out.
    labels, firsts = number_labels(case["labels"])
    concepts, _ = number_labels([label.split(" > ")[-1] for label in case["labels"]])
    scores = WithinGroups(Matrix(np.array(case["scores"])[firsts].T), concepts, concepts[firsts])
    assert summarize_clips(rank(scores, labels, labels[firsts]).ranks) == _renamed(case["expected"])


def test_ties_go_to_the_lower_index():
    right = np.array([[False, True, False, True]])
    assert rank_first_right(np.array([[1.0, 1.0, 1.0, 1.0]]), right).tolist() == [2]
    assert rank_first_right(np.array([[0.0, 1.0, 2.0, 1.0]]), right).tolist() == [2]


def test_ties_in_both_directions_match_sorting():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 4, (40, 40)).astype(float)
    labels = rng.integers(0, 9, 40)
    right = labels == labels[:, None]
    expected = [1 + right[i][np.argsort(-scores[i], kind="stable")].argmax() for i in range(40)]
    assert rank_first_right(scores, right).tolist() == expected


def test_labels_must_match_the_matrix():
    with pytest.raises(ScoresError, match="3 labels"):
        measure_text_to_pose(np.zeros((2, 2)), ["a", "b", "c"])
