"""Probes by command: what they learn from, what they classify, and what is said where either is missing."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from evaluation import __main__ as command

POSES = Path(__file__).parents[1] / "golden" / "poses"
ROWS = (
    # id, file, text, split
    ("house", "house", "house", "test"),
    ("A", "ase_A", "A", "test"),
    ("house of train", "house", "house", "train"),
    ("A of train", "ase_A", "A", "train"),
    ("broken of train", "broken", "A", "train"),
    ("gone of train", "gone", "A", "train"),
)


@pytest.fixture
def probe(tiny_weights, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("house", "ase_A"):
        shutil.copy(POSES / f"{name}.pose", data)
    (data / "broken.pose").write_bytes(b"no pose")
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "text", "split"])
        writer.writerows([name, f"{pose}.pose", text, split] for name, pose, text, split in ROWS)

    def run(*arguments):
        common = ["tiny", "manifest", str(data), "--weights-dir", str(tiny_weights), "--device", "cpu"]
        out = tmp_path / "run"
        return command.main([*common, "--out", str(out), "--probes", "nearest_clips", *arguments]), out

    return run


@pytest.mark.parametrize(("split", "learn_from"), [("all", "train"), ("test", "all")])
def test_probes_do_not_classify_what_they_learned(split, learn_from, probe, capsys):
    status, folder = probe("--split", split, "--learn-from", learn_from)
    assert status == 1
    assert f"--split {split} and --learn-from {learn_from} have clips in common" in capsys.readouterr().err
    assert not folder.exists()


def test_one_part_is_divided(probe):
    status, folder = probe("--split", "all", "--learn-from", "all", "--shots", "1", "--seeds", "1")
    assert status == 0
    (row,) = json.loads((folder / "metrics.json").read_text())["probes"]
    assert (row["clips"], row["classes"]) == (2, 2)


def test_probes_without_a_clip_to_classify_say_so(probe, capsys):
    # Each clip of the test has a prompt of its own.
    assert probe("--shots", "1", "--learn-from", "test")[0] == 0
    printed = capsys.readouterr()
    assert "warning: no probe ran, because no clip is left to classify" in printed.err
    assert "shots" not in printed.out


def test_clips_that_probes_could_not_learn_from_are_listed(probe, capsys):
    status, folder = probe("--shots", "1")
    assert status == 0
    learned = json.loads((folder / "metrics.json").read_text())["learned_from"]
    assert (learned["split"], learned["clips"]) == ("train", 2)
    assert list(learned["skipped"]) == ["gone of train", "broken of train"]
    assert "2 clips of train were left out" in capsys.readouterr().err


@pytest.mark.parametrize("shots", ["0", "-1", "some"])
def test_shots_are_counts(shots, probe):
    with pytest.raises(SystemExit):
        probe(f"--shots={shots}")
