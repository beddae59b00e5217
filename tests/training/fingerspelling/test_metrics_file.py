"""The metrics of several commands share a file."""

import json

from training.fingerspelling.metrics_file import record_metrics


def test_other_keys_stay(tmp_path):
    path = tmp_path / "model" / "results.json"
    record_metrics(path, "protocol", {"R@1": 60.0})
    record_metrics(path, "dictionary", {"own": 97.0})
    record_metrics(path, "protocol", {"R@1": 61.0})
    assert json.loads(path.read_text()) == {"protocol": {"R@1": 61.0}, "dictionary": {"own": 97.0}}
