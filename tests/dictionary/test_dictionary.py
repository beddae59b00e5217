"""The commands of dictionaries, without a service and through one: index, resume, query, report, spot, calibrate."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dictionary.__main__ import main
from dictionary.remote import _drop_repeated, _split
from dictionary.sources import list_clips
from models.background import read_background
from poses import read
from search.annotations import Find
from search.opening import open_store
from search.settings import SearchSettings
from tests.running import serving_in_thread
from tests.video.fake_process import FACTS, FakeProcess
from video import folders
from video.estimates import Estimate

POSES = Path(__file__).parents[1] / "golden" / "poses"


class PoseProcess(FakeProcess):
    """An estimator that makes the golden pose of a video which holds nothing but its name."""

    def estimate(self, video: bytes, **options) -> Estimate:
        super().estimate(video, **options)
        return Estimate((POSES / f"{video.decode()}.pose").read_bytes(), FACTS, ())


@pytest.fixture(autouse=True)
def estimators(monkeypatch: pytest.MonkeyPatch) -> type[FakeProcess]:
    monkeypatch.setattr(folders, "EstimatorProcess", PoseProcess)
    FakeProcess.clean()
    return FakeProcess


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Poses of two glosses in folders, one beside them, and a pose and a video that are damaged."""
    root = tmp_path / "clips"
    for place, name in {
        "HOUSE/one.pose": "ase_A",
        "HOUSE/two.pose": "ase_A",
        "SUN/one.pose": "gsg_C",
        "SUN/two.pose": "gsg_C",
        "moon-1.pose": "ase_A",
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(POSES / f"{name}.pose", root / place)
    (root / "film.mp4").write_bytes(b"bad")
    (root / "SUN" / "bad.pose").write_bytes(b"no pose")
    return root


@pytest.fixture
def local(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for the tiny model and a store of its own, in a folder where commands may write."""
    shutil.copytree(tiny_weights, tmp_path / "weights")
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return ["--model", "tiny"]


@pytest.fixture
def remote(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Arguments for a service over the tiny model that runs in a thread."""
    from app import create_app
    from app.settings import ServiceSettings
    from engine.local import LocalEngine
    from engine.settings import EngineSettings
    from search.settings import SearchSettings

    settings = EngineSettings(weights_dir=tiny_weights, default_model="tiny", device="cpu", threads=1)
    engine = LocalEngine(settings)
    service = ServiceSettings(engine=settings, search=SearchSettings(dir=str(tmp_path / "store"), maintain_s=0))
    monkeypatch.chdir(tmp_path)
    with serving_in_thread(create_app(service, engine)) as address:
        yield ["--url", address]
    engine.close()


def test_a_folder_names_glosses_and_ids(clips):
    found, skipped = list_clips(clips, sign_language="ase")
    assert [(clip.id, clip.text) for clip in found] == [
        ("HOUSE-one", "HOUSE"),
        ("HOUSE-two", "HOUSE"),
        ("SUN-bad", "SUN"),
        ("SUN-one", "SUN"),
        ("SUN-two", "SUN"),
        ("film", "film"),
        ("moon-1", "moon"),
    ]
    assert {clip.sign_language for clip in found} == {"ase"}
    assert skipped == []


def test_of_a_video_and_its_pose_the_pose_is_the_clip_and_ids_are_unique(clips):
    for name in ("moon-1.mp4", "film.mov"):
        (clips / name).write_bytes(b"ase_A")
    found, skipped = list_clips(clips)
    assert [clip.path.name for clip in found if clip.path.parent == clips] == ["film.mov", "moon-1.pose"]
    assert [(note.id, note.reason) for note in skipped] == [
        ("film.mp4", "its id would be 'film', as that of film.mov; rename one of them")
    ]


def test_a_manifest_says_more_than_names(clips):
    rows = [("path", "text", "id", "sign_language"), ("HOUSE/one.pose", "house", "h", "gsg")]
    _write_manifest(clips, *rows, ("moon-1.pose", "moon", "m", ""))
    found, _ = list_clips(clips, sign_language="ase")
    assert [(clip.id, clip.text, clip.sign_language) for clip in found] == [("h", "house", "gsg"), ("m", "moon", "ase")]


def _write_manifest(folder: Path, *rows: tuple[str, ...]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("way", ["local", "remote"])
def test_a_manifest_of_paths_is_indexed(way, clips, capsys, request):
    where = request.getfixturevalue(way)
    _write_manifest(clips, ("path", "text"), ("HOUSE/one.pose", "house"), ("moon-1.pose", "moon"))
    assert main(["index", str(clips), "signs", *where]) == 0
    assert "2 clips stored in signs, 0 were there, 0 failed" in capsys.readouterr().out
    assert main(["index", str(clips), "signs", *where]) == 0
    assert "0 clips stored in signs, 2 were there, 0 failed" in capsys.readouterr().out
    assert main(["query", "signs", str(POSES / "ase_A.pose"), "-k", "2", *where]) == 0
    assert {"HOUSE-one.pose", "moon-1.pose"} <= set(capsys.readouterr().out.split())


def test_a_row_that_can_be_no_entry_stops_no_other(clips, local, tmp_path, capsys):
    rows = [("path", "text", "id"), ("HOUSE/one.pose", "house", "a/b"), ("HOUSE/two.pose", "house", "a-b")]
    rows += [("SUN/one.pose", "x" * 1001, "c"), ("SUN/two.pose", "sun", "x" * 201), ("moon-1.pose", "moon", "m")]
    _write_manifest(clips, *rows)
    assert main(["index", str(clips), "signs", *local]) == 1
    assert "2 clips stored in signs, 0 were there, 3 failed" in capsys.readouterr().out
    with (tmp_path / "failures.csv").open(newline="") as file:
        failed = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert (set(failed), "as that of a/b" in failed["a-b"]) == ({"a-b", "c", "x" * 201}, True)
    assert "gloss has 1001 characters" in failed["c"]


@pytest.mark.parametrize("way", ["local", "remote"])
def test_index_resume_query_and_report(way, clips, tmp_path, capsys, request):
    where = request.getfixturevalue(way)
    assert main(["index", str(clips), "signs", "--sign-language", "ase", *where]) == 1
    assert "5 clips stored in signs, 0 were there, 2 failed" in capsys.readouterr().out
    listed = (tmp_path / "failures.csv").read_text().splitlines()
    failed = {row["id"]: row["reason"] for row in csv.DictReader(listed)}
    assert set(failed) == {"SUN-bad", "film"}
    assert "no .pose file" in failed["SUN-bad"]
    assert failed["film"] == "bad"
    # What was interrupted or failed is done the next time; what is there is not done again.
    shutil.copy(POSES / "ase_A.pose", clips / "SUN" / "bad.pose")
    (clips / "film.mp4").write_bytes(b"ase_A")
    assert main(["index", str(clips), "signs", *where]) == 0
    assert "2 clips stored in signs, 5 were there, 0 failed" in capsys.readouterr().out
    assert main(["query", "signs", str(POSES / "gsg_C.pose"), "-k", "2", *where]) == 0
    first, second, verdict = capsys.readouterr().out.splitlines()
    assert first.split()[1:] == ["1.0000", "SUN", "SUN-one"]
    assert second.split()[3] == "SUN-two"
    assert verdict.startswith("SUN: probability")
    assert main(["query", "signs", "--text", "house", "--sign-language", "ase", "-k", "1", *where]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["report", "signs", *where]) == 0
    report = capsys.readouterr().out
    assert "7 clips of 4 glosses; 5 have others of their gloss" in report
    assert "moon: only 1 clips" in report


@pytest.mark.parametrize("way", ["local", "remote"])
def test_videos_are_estimated_once_and_stored_as_their_poses(way, clips, tmp_path, capsys, request, estimators):
    where = request.getfixturevalue(way)
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "long.mp4").write_bytes(b"ase_A")
    (folder / "lost.webm").write_bytes(b"lost")
    rows = [
        ["path", "text", "id", "start_s", "end_s"],
        ["long.mp4", "start", "s", "", "0.4"],
        ["long.mp4", "all", "a", "", ""],
        ["lost.webm", "gone", "g", "", ""],
        ["../clips/HOUSE/one.pose", "house", "h", "", ""],
    ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert main(["index", str(folder), "films", "--jobs", "2", *where]) == 1
    assert "3 clips stored in films, 0 were there, 1 failed" in capsys.readouterr().out
    assert sorted(estimators.ran) == [b"ase_A", b"lost"]
    assert (tmp_path / "failures.csv").read_text().splitlines() == ["id,reason", "g,lost"]
    (folder / "lost.webm").write_bytes(b"gsg_C")
    assert main(["index", str(folder), "films", *where]) == 0
    assert estimators.ran[2:] == [b"gsg_C"]
    # A video is a query, too, and finds what it was stored as; so does the pose.
    capsys.readouterr()
    for query in (folder / "long.mp4", POSES / "ase_A.pose"):
        assert main(["query", "films", str(query), "-k", "2", *where]) == 0
        best = [line.split()[1:] for line in capsys.readouterr().out.splitlines()[:2]]
        assert best == [["1.0000", "all", "a"], ["1.0000", "house", "h"]]
    store = open_store(SearchSettings(dir=str(tmp_path / "store"), maintain_s=0))
    kept = store.find_entries("films", ["s", "a"])
    assert {entry.source for entry in kept.values()} == {"long.mp4.pose"}
    whole, start = (len(read(kept[name].pose).body.data) for name in "as")
    assert 0 < start < whole


def test_a_video_that_has_no_pose_cannot_be_asked_for(clips, local, capsys):
    assert main(["spot", str(clips / "film.mp4"), "--query", "house", "--threshold", "0", *local]) == 1
    assert "film.mp4: bad" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["local", "remote"])
def test_spotting_writes_files_of_annotation_tools(way, tmp_path, capsys, request):
    where = request.getfixturevalue(way)
    asked = ["spot", str(POSES / "gss_long.pose"), "--query", "house", "--query", "sun", "--threshold", "-1", *where]
    assert main([*asked, "--out", "finds.json"]) == 0
    finds = json.loads((tmp_path / "finds.json").read_text())
    assert finds
    assert {find["label"] for find in finds} <= {"house", "sun"}
    assert "finds in finds.json" in capsys.readouterr().out
    for name, start in (("finds.vtt", "WEBVTT"), ("finds.eaf", "<?xml"), ("finds.csv", "start_s,end_s,label,score")):
        assert main([*asked, "--out", name]) == 0
        assert (tmp_path / name).read_text().startswith(start)
    capsys.readouterr()
    assert main(asked) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(finds)


def test_calibrate_makes_a_background_that_spotting_needs(clips, local, tmp_path, capsys):
    asked = ["spot", str(POSES / "ase_A.pose"), "--query", "house", *local]
    assert main(asked) == 1
    assert "calibrate" in capsys.readouterr().err
    (tmp_path / "texts.txt").write_text("blue\n\nnine\n")
    assert main(["calibrate", "tiny", str(clips), "--texts", "texts.txt", "--noise", "40"]) == 0
    path = tmp_path / "weights" / "tiny" / "tiny.null.safetensors"
    background = read_background(path, embed_dim=32)
    assert len(background.clips) > 40
    assert len(background.texts) == 2
    assert "of 5 files, and 40 random poses" in background.about
    assert "left out: SUN-bad" in capsys.readouterr().err
    assert main(["calibrate", "tiny", str(clips), "--noise", "40", "--out", "again.safetensors"]) == 0
    again = read_background(tmp_path / "again.safetensors", embed_dim=32)
    np.testing.assert_array_equal(again.clips, background.clips)
    assert main(asked) == 0


def test_a_service_that_is_not_there_is_named(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for url in ("http://127.0.0.1:9", "127.0.0.1:9"):
        assert main(["report", "signs", "--url", url]) == 1
        assert "http://127.0.0.1:9: Connection refused; is the service running there?" in capsys.readouterr().err


def test_a_refusal_of_the_service_keeps_its_code_and_words(remote, capsys):
    assert main(["report", "nothing", *remote]) == 1
    assert "404" in (error := capsys.readouterr().err)
    assert "collection_unknown" in error


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["query", "signs"], "a clip or --text"),
        (["spot", "x.pose"], "--query or --collection"),
        (["spot", "x.pose", "--query", "a", "--out", "x.txt"], "a file ending in"),
        (["spot", "x.pose", "--query", "a", "--rate", "0"], "above 0 and below 1"),
        (["spot", "x.pose", "--query", "a", "--rate", "1"], "above 0 and below 1"),
        (["query", "signs", "--text", "a", "-k", "0"], "a whole number of at least 1"),
    ],
)
def test_usage_errors(arguments, fragment, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert fragment in capsys.readouterr().err


def test_parts_of_a_recording_overlap_and_repeated_finds_are_one():
    parts = list(_split(9000, 25.0))
    assert parts[0] == (0, 1500)
    assert parts[-1][1] == 9000
    assert all(before[1] - after[0] >= 100 for before, after in pairwise(parts))
    # Windows of the whole recording and of its parts start at the same frames.
    assert all(start % 48 == 0 for start, _ in parts)
    finds = [
        Find(54.9, 56.0, "A", 5.0),
        Find(55.0, 56.0, "A", 6.0),
        Find(55.0, 56.0, "B", 4.0),
        Find(60.0, 61.0, "A", 5.0),
    ]
    assert _drop_repeated(finds) == [finds[1], finds[2], finds[3]]
