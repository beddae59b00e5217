"""Runs whose files are damaged are refused by the place that is wrong."""

import json

import numpy as np
import pytest

from evaluation import report
from evaluation.errors import RunFolderError
from evaluation.results import read_run
from tests.evaluation.test_report import write_example_run

PROBE = {"probe": "p", "shots": 5, "clips": 9, "classes": 3, "by_seed": {}, "mean": {"R@1": 0.5}, "spread": {}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda metrics: [metrics], "it holds a list, not an object"),
        (lambda _: 3, "it holds 3, not an object"),
        (lambda metrics: metrics | {"experiment": 3}, "experiment is 3, not a text or null"),
        (lambda metrics: metrics | {"dataset": None}, "dataset is None, not a text"),
        (lambda metrics: metrics | {"clips": "27"}, "clips is '27', not a whole number"),
        (lambda metrics: metrics | {"pose_to_text": []}, "pose_to_text is a list, not an object of numbers"),
        (
            lambda metrics: metrics | {"text_to_pose": {"R@1": "x"}},
            "text_to_pose is an object, not an object of numbers",
        ),
        (lambda metrics: metrics | {"intervals": 1}, "intervals is 1, not an object"),
        (
            lambda metrics: metrics | {"intervals": {"pose_to_text": {"R@1": [1]}}},
            "intervals.pose_to_text is an object",
        ),
        (lambda metrics: metrics | {"probes": {}}, "probes is an object, not a list"),
        (lambda metrics: metrics | {"probes": [7]}, r"probes\[0\] is 7, not an object"),
        (lambda metrics: metrics | {"probes": [{"probe": "p"}]}, r"probes\[0\] lacks shots, clips"),
        (lambda metrics: metrics | {"probes": [PROBE | {"mean": [1]}]}, r"probes\[0\]\.mean is a list"),
    ],
)
def test_metrics_of_another_form_are_refused_by_their_place(tmp_path, capsys, change, problem):
    folder = tmp_path / "run"
    write_example_run(folder, noise=0.01)
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps(metrics | {"probes": [PROBE]}))
    read_run(folder)
    path.write_text(json.dumps(change(metrics)))
    with pytest.raises(RunFolderError, match=rf"metrics.json is damaged: {problem}.*; evaluate the model again"):
        read_run(folder)
    assert report.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("clip_ranks", lambda array: array[:-1]),
        ("clip_ranks", lambda array: array - array.min()),
        ("text_ranks", lambda array: array.astype(np.float32)),
        ("named", lambda array: array + 1000),
    ],
)
def test_ranks_that_do_not_fit_the_vectors_are_refused(tmp_path, name, change):
    write_example_run(tmp_path / "run", noise=0.01)
    path = tmp_path / "run" / "rankings.npz"
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **(kept | {name: change(kept[name])}))
    with pytest.raises(RunFolderError, match=r"run is damaged: .*; evaluate the model again"):
        read_run(tmp_path / "run")
