"""Statistics of data sets that are known by construction, their tables and picture, and the command line."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from corpora import read_corpus
from corpora.__main__ import main
from corpora.charts import draw_charts, write_tables
from corpora.statistics import measure_corpus


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_figures(manifest, pose_file):
    pose_file(manifest / "clips" / "copy.pose", "ase_A")
    with (manifest / "manifest.csv").open("a") as file:
        file.write("clips/copy.pose,B,,,de,gsg,train,\n")
    statistics = measure_corpus(read_corpus("manifest", manifest), max_frames=50)
    summary = statistics.summarize()
    assert {name: summary[name] for name in list(summary)[:10]} == {
        "clips": 5,
        "rows skipped": 1,
        "clips unreadable": 1,
        "clips in test": 1,
        "clips in train": 3,
        "clips in val": 1,
        "sign languages": 3,
        "signers": 1,
        "concepts": 5,
        "concepts with one clip": 5,
    }
    assert summary["prompts"] == 5
    assert summary["prompts of several clips"] == 0
    assert summary["frames, longest"] == 73
    assert summary["frames, median"] == 21
    assert summary["share of clips over 50 frames"] == 0.25
    assert summary["hours"] == pytest.approx((73 + 20 + 21 + 21) / 25 / 3600)
    # One file with two spans is no duplicate; two files with the same bytes are.
    assert summary["clips with another's bytes"] == 1
    assert summary["equal bytes in different splits"] == 1
    assert summary["equal bytes with different texts"] == 1
    assert [[e.text for e in group] for group in statistics.find_duplicates()] == [["A", "B"]]
    assert statistics.count_clips_by_language()[("gsg", "de")] == 2


def test_what_is_seen(asl_signs):
    summary = measure_corpus(read_corpus("asl_signs_no_face", asl_signs, "val")).summarize()
    assert summary["share of clips without left hand"] == 1
    assert summary["share of clips without right hand"] == 0
    assert summary["share of frames with face, mean"] == 1


def test_video_features_have_lengths_only(rwth):
    (rwth / "i3d_feature" / "4_2_2_cam2.npy").write_bytes(b"no array")
    summary = measure_corpus(read_corpus("rwth_fingerspelling_i3d", rwth)).summarize()
    assert summary["clips unreadable"] == 1
    assert summary["frames, median"] == 3
    assert "hours" not in summary
    assert not any("hand" in name for name in summary)


@pytest.mark.parametrize("name", ["manifest", "rwth_fingerspelling_s3d"])
def test_tables_and_picture(request, tmp_path, name):
    root = request.getfixturevalue("rwth" if name.startswith("rwth") else name)
    statistics = measure_corpus(read_corpus(name, root))
    out = tmp_path / "out"
    tables = {path.stem: read_rows(path) for path in write_tables(statistics, out)}
    assert set(tables) == {"summary", "languages", "concepts", "clips", "duplicates", "problems"}
    assert len(tables["clips"]) - 1 == len(statistics.readable)
    assert ["clips", str(len(statistics.corpus))] in tables["summary"]
    assert len(tables["problems"]) - 1 == len(statistics.corpus.skipped) + len(statistics.facts) - len(
        statistics.readable
    )
    assert draw_charts(statistics, out / "stats.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_measure(manifest):
    corpus = read_corpus("manifest", manifest).select([])
    statistics = measure_corpus(corpus)
    assert statistics.summarize()["clips"] == 0
    draw_charts(statistics, manifest / "empty.png")


def test_command_line(manifest, capsys):
    out = manifest / "out"
    assert main(["stats", "manifest", str(manifest), "--out", str(out), "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "clips unreadable" in printed
    assert f"{out / 'problems.csv'} lists them all with their reasons" in printed
    assert (out / "stats.png").exists()
    assert main(["cache", "manifest", str(manifest), str(manifest / "cache"), "--workers", "1"]) == 0
    assert "3 clips" in (shown := capsys.readouterr().out)
    assert "python -m video estimate" in shown
    assert main(["list"]) == 0
    assert "how2sign" in capsys.readouterr().out.split()
    assert main(["stats", "wlasl", str(manifest)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_trainer_has_a_door_of_its_own(manifest):
    command = [sys.executable, "-m", "training.stats", "manifest", str(manifest), "--out", str(manifest / "out")]
    root = Path(__file__).parents[2]
    subprocess.run([*command, "--workers", "1"], cwd=root, check=True, capture_output=True, timeout=60)
    assert (manifest / "out" / "summary.csv").exists()


def test_importing_is_light():
    code = (
        "import sys, corpora; print([m for m in ('torch', 'mediapipe', 'pyarrow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
