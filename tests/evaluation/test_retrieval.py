"""The metrics against the authors' numbers, and against a slow twin."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation import retrieval
from evaluation.retrieval import first_ranks, pose_to_text, rank_clips, rank_texts, text_to_pose

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())
AUTHORS_NAMES = {"MedianR": "median_rank", "MeanR": "mean_rank"}


def _renamed(expected):
    return {AUTHORS_NAMES.get(name, f"{name[0]}@{name[1:]}"): value for name, value in expected.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
@pytest.mark.parametrize(("measure", "key"), [(text_to_pose, "t2v"), (pose_to_text, "v2t")])
def test_numbers_are_the_authors(case, measure, key):
    assert measure(np.array(case["scores"]), case["labels"]) == _renamed(case["expected"][key])


@pytest.mark.parametrize("rows", [1, 7, 60])
def test_chunks_change_nothing(monkeypatch, rows):
    case = CASES[1]
    scores = np.array(case["scores"])
    whole = text_to_pose(scores, case["labels"]), pose_to_text(scores, case["labels"])
    monkeypatch.setattr(retrieval, "ROWS_AT_ONCE", rows)
    assert (text_to_pose(scores, case["labels"]), pose_to_text(scores, case["labels"])) == whole


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


def test_rows_made_on_demand_give_the_same():
    chance = np.random.default_rng(4)
    texts, clips = chance.normal(size=(5, 8)), chance.normal(size=(30, 8))
    clip_labels = np.arange(30) % 5
    scores = texts @ clips.T
    by_text = rank_texts(lambda start, end: texts[start:end] @ clips.T, np.arange(5), clip_labels)
    by_clip = rank_clips(lambda start, end: (clips @ texts.T)[start:end], clip_labels, np.arange(5))
    # A square matrix with a text per clip holds the same searches.
    assert text_to_pose(scores[clip_labels], [str(label) for label in clip_labels]) == by_text
    assert pose_to_text(scores[clip_labels], [str(label) for label in clip_labels]) == by_clip


def test_labels_must_match_the_matrix():
    with pytest.raises(ValueError, match="3 labels"):
        text_to_pose(np.zeros((2, 2)), ["a", "b", "c"])
