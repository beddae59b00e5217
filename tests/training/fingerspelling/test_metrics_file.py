"""The metrics of several commands share a file, and a damaged one is refused before anything is measured."""

import json

import pytest

from training.errors import KeptFileError
from training.fingerspelling import background, crossvalidate, dictionary, few_shots, robustness, spotting
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics

DAMAGES = ["", '{"protocol": {"R@1"', "[]", "3", "[" * 100_000, b"\xff"]


def test_other_keys_stay(tmp_path):
    path = tmp_path / "model" / "results.json"
    check_metrics_file(path)
    record_metrics(path, "protocol", {"R@1": 60.0})
    record_metrics(path, "dictionary", {"own": 97.0})
    check_metrics_file(path)
    record_metrics(path, "protocol", {"R@1": 61.0})
    assert json.loads(path.read_text()) == {"protocol": {"R@1": 61.0}, "dictionary": {"own": 97.0}}


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_file_is_named_and_stays(tmp_path, content):
    path = tmp_path / "results.json"
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    with pytest.raises(KeptFileError, match=r"results\.json is damaged: .*remove it, and measure again"):
        record_metrics(path, "protocol", {})
    assert path.read_bytes() == content


@pytest.mark.parametrize("command", [background, crossvalidate, dictionary, few_shots, robustness, spotting])
def test_a_damaged_file_is_refused_before_anything_is_measured(tmp_path, command, monkeypatch, capsys):
    for name in ("load_trained", "read_experiment_as", "read_lexicon"):
        monkeypatch.setattr(command, name, lambda *_, **__: pytest.fail("it began to measure"), raising=False)
    path = tmp_path / "results.json"
    path.write_text("{")
    config = ["config.yaml"] if command in (crossvalidate, few_shots) else []
    assert command.main([*config, "--json", str(path)]) == 1
    assert f"error: {path} is damaged" in capsys.readouterr().err
