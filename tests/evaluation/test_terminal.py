"""Tables on a terminal: columns stand below each other, whatever letters they hold."""

import pytest

from evaluation.tables import format_differences, format_p
from evaluation.terminal import align, show_differences, show_results

ROW = {
    **{"model": "m", "dataset": "d", "split": "test", "task": "retrieval, anonymized", "clips": 27, "prompts": 9},
    **{"pose_to_text R@1": 0.5, "pose_to_text median_rank": 2.0, "text_to_pose P@1": 0.25},
    **{"published clips": 4531, "published prompts": 9, "published pose_to_text R@1": 0.3862},
}


def test_columns_stand_below_each_other():
    lines = align([["name", "data", "R@1"], ["ä̈", "x", "0.5"], ["手話", "y", "10"]]).splitlines()
    assert lines == ["name  data  R@1", "ä̈     x     0.5", "手話  y      10"]


def test_results_have_a_line_a_direction_and_intervals_below():
    text = show_results([ROW], [{"pose_to_text": {"R@1": [0.4, 0.6], "median_rank": [1, 3]}}])
    named, found = text.split("\n\n")[:2]
    assert named.splitlines()[0].split() == ["pose→text", "data", "clips", "prompts", "R@1", "median", "rank"]
    assert "d test, anonymized  27 (4531)    9 (9)  0.500 (0.386)†" in named
    assert named.splitlines()[2].split() == ["95", "%", ".400–.600", "1–3"]
    assert found.splitlines()[1].split()[-1] == "0.250"
    assert len(found.splitlines()) == 2
    assert "† published for another number" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("ends", "shown"), [([10.5, 120.5], "10.5–120.5"), ([2, 20.5], "2–20.5"), ([1.5, 10], "1.5–10")]
)
def test_ends_of_median_ranks_keep_their_zeros(ends, shown):
    row = {**ROW, "pose_to_text median_rank": 12.0}
    text = show_results([row], [{"pose_to_text": {"R@1": [0.4, 1.0], "median_rank": ends}}])
    assert text.splitlines()[2].split() == ["95", "%", ".400–1.000", shown]


def test_a_row_that_is_only_published_has_brackets():
    text = show_results([{"experiment": "e", "published dataset": "d", "published pose_to_text R@1": 0.1}])
    assert "(0.100)" in text


def test_differences_of_each_pair():
    row = {"run": "b", "compared with": "a", "direction": "pose_to_text", "metric": "R@1", "first": 0.5, "second": 0.25}
    text = show_differences([{**row, "difference": -0.25, "low": -0.3, "high": -0.2, "p": 0.0}])
    assert "b\ncompared with a, on the same clips:" in text
    assert text.splitlines()[-1].split()[1:] == [
        "R@1",
        "0.500",
        "0.250",
        "-0.250",
        "-0.300",
        "to",
        "-0.200",
        "≤",
        "0.0001",
    ]
    assert format_p(0.0312) == "0.0312"
    # The report says it as the terminal does: no p is 0.
    row = {**row, "difference": -0.25, "low": -0.3, "high": -0.2, "p": 1e-9}
    assert format_differences([row]).splitlines()[-1].endswith("| ≤ 0.0001 |")
