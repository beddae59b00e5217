"""The command from clips and texts to files: rows, vectors, failures, and what may go on in a folder."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from app import create_app
from app.settings import ServiceSettings
from engine.local import LocalEngine
from engine.settings import EngineSettings
from search.opening import open_store
from search.parquet import read_parquet
from search.settings import SearchSettings
from tests.bulk.reading import read_failures, read_ids, read_table
from tests.miniatures import GOLDEN, asl_citizen

GOOD = ["HOUSE-one", "HOUSE-two", "SUN-one", "moon-1"]


@pytest.fixture
def service(tiny_weights):
    """The HTTP service over the same model."""
    settings = EngineSettings(weights_dir=tiny_weights, default_model="tiny", device="cpu", threads=1)
    engine = LocalEngine(settings)
    yield create_app(ServiceSettings(engine=settings), engine).test_client()
    engine.close()


def test_a_folder_becomes_rows_with_the_vectors_of_the_service(clips, run, tmp_path, service):
    assert run(clips) == 1
    table = read_table(tmp_path / "out")
    rows = {row["id"]: row for row in table.to_pylist()}
    assert sorted(rows) == GOOD
    for row in rows.values():
        pose = base64.b64encode(Path(row["source"]).read_bytes()).decode()
        answer = service.post("/api/embed/pose", json={"pose": pose, "quality": True}).get_json()
        np.testing.assert_allclose(row["vector"], answer["embeddings"][0], atol=1e-5)
        assert (row["space"], row["signature"]) == (answer["space"], answer["signature"])
        assert (row["kind"], row["error"]) == ("pose", "")
        assert json.loads(row["quality"]) == answer["quality"][0]
    assert rows["HOUSE-two"]["gloss"] == "HOUSE"
    assert rows["moon-1"]["gloss"] == "moon"
    kind = table.schema.field("vector").type
    assert (kind.list_size, str(kind.value_type)) == (32, "float")


def test_failures_are_listed_with_codes_in_three_forms(clips, run, tmp_path):
    run(clips)
    out = tmp_path / "out"
    expected = {"SUN-bad": "not_a_pose", "empty": "not_a_pose", "long": "pose_too_long"}
    assert read_failures(out) == expected
    failed = pq.read_table(out / "failed.parquet")
    assert {row["id"]: row["error"].partition(":")[0] for row in failed.to_pylist()} == expected
    assert failed.schema.names == [name for name in read_table(out).schema.names if name != "vector"]
    facts = json.loads((out / "run.json").read_text())
    assert (facts["state"], facts["rows"], facts["failed"]) == ("complete", 4, 3)


def test_a_shard_is_imported_by_a_collection(clips, run, tmp_path):
    run(clips)
    [shard] = (tmp_path / "out" / "vectors").glob("*.parquet")
    space = json.loads((tmp_path / "out" / "run.json").read_text())["space"]
    store = open_store(SearchSettings(dir=str(tmp_path / "store"), maintain_s=0))
    store.create_collection("signs", space=space, dimensions=32)
    for entries in read_parquet(shard, space=space):
        store.upsert("signs", entries)
    assert sorted(store.read_columns("signs").ids) == GOOD
    assert store.find_entries("signs", ["SUN-one"])["SUN-one"].gloss == "SUN"
    store.close()


def test_texts_are_embedded_as_prompts_of_their_languages(run, tmp_path, service):
    table = tmp_path / "texts.csv"
    table.write_text(
        "id,text,sign_language,spoken_language,source\n"
        'a,house,ase,en,"a book, page 3"\nb,sun,,,\nc,house,klingon,,\nd,are you,American Sign Language,,\n',
        encoding="utf-8",
    )
    assert run(table) == 1
    rows = {row["id"]: row for row in read_table(tmp_path / "out").to_pylist()}
    assert read_failures(tmp_path / "out") == {"c": "language_unknown"}
    for row, body in (
        ("a", {"text": "house", "sign_language": "ase", "spoken_language": "en"}),
        ("b", {"text": "sun"}),
        ("d", {"text": "are you", "sign_language": "ase"}),
    ):
        answer = service.post("/api/embed/text", json=body).get_json()
        np.testing.assert_allclose(rows[row]["vector"], answer["embeddings"][0], atol=1e-5)
        assert rows[row]["signature"] == answer["signature"]
        assert (rows[row]["kind"], rows[row]["gloss"], rows[row]["texts"]) == ("text", "", [body["text"]])
    # A column of the manifest that has the name of one of ours keeps its content beside it.
    assert rows["a"]["source_source"] == "a book, page 3"
    assert json.loads(rows["a"]["tags"]) == {"source": "a book, page 3"}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_manifests_of_every_form_give_the_same_rows(form, clips, run, tmp_path):
    import pyarrow as pa

    rows = [
        {"id": "x", "path": "HOUSE/one.pose", "text": "house", "sign_language": "ase", "signer": "ada"},
        {"id": "y/z", "path": "SUN/one.pose", "text": "sun", "sign_language": "gsg", "signer": ""},
        {"id": "cut", "path": "long.pose", "text": "home", "sign_language": "ase", "signer": "bo", "end_s": "1"},
        {"id": "wrong", "path": "long.pose", "text": "", "sign_language": "", "signer": "", "start_s": "soon"},
        {"id": "nothing", "path": "", "text": "", "sign_language": "", "signer": ""},
        {"id": "x", "path": "moon-1.pose", "text": "again", "sign_language": "", "signer": ""},
    ]
    names = ["id", "path", "text", "sign_language", "signer", "start_s", "end_s"]
    full = [{name: row.get(name, "") for name in names} for row in rows]
    path = clips / f"list.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(full), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        path.write_text("\n".join([",".join(names), *(",".join(row.values()) for row in full)]), encoding="utf-8")
    assert run(path) == 1
    found = {row["id"]: row for row in read_table(tmp_path / "out").to_pylist()}
    assert sorted(found) == ["cut", "x", "y-z"]
    assert found["x"]["signer"] == "ada"
    assert (found["y-z"]["text"], found["y-z"]["sign_language"]) == ("sun", "gsg")
    assert json.loads(found["cut"]["quality"])["frames"] < 64
    failures = read_failures(tmp_path / "out")
    assert failures == {"wrong": "row_invalid", "nothing": "row_invalid", "x#6": "row_invalid"}


def test_of_two_files_with_one_name_the_second_is_told_to_be_renamed(run, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    for name in ("film.mp4", "film.webm"):
        (films / name).write_text("no video")
    assert run(films) == 1
    with (tmp_path / "out" / "failures.csv").open(encoding="utf-8") as file:
        found = {row["source"].rpartition(".")[2]: row for row in csv.DictReader(file)}
    assert (found["mp4"]["code"], found["webm"]["code"]) == ("not_a_video", "row_invalid")
    assert "rename the file" in found["webm"]["detail"]


def test_a_published_data_set_and_a_pattern_are_sources(run, tmp_path):
    root = asl_citizen(tmp_path / "citizen")
    run(root, "--corpus", "asl_citizen", "--split", "train", "--truncate")
    rows = read_table(tmp_path / "out").to_pylist()
    assert {row["sign_language"] for row in rows} == {"ase"}
    assert {row["split"] for row in rows} == {"train"}
    run(f"{GOLDEN}/*_[AC].pose", out=tmp_path / "pattern")
    assert read_ids(tmp_path / "pattern") == ["ase_A", "gsg_C"]
    run(f"file://{GOLDEN}/*_[AC].pose", out=tmp_path / "address")
    assert read_ids(tmp_path / "address") == ["ase_A", "gsg_C"]


def test_arrays_for_pose_evaluation(clips, run, tmp_path):
    run(clips, "--layout", "pose-evaluation")
    out = tmp_path / "out"
    files = sorted(path.name for path in (out / "pose-evaluation").iterdir())
    assert files == [f"{name}-using-model-tiny.npy" for name in GOOD]
    rows = {row["id"]: row["vector"] for row in read_table(out).to_pylist()}
    array = np.load(out / "pose-evaluation" / files[0])
    assert array.shape == (1, 32)
    np.testing.assert_array_equal(array[0], np.array(rows[GOOD[0]], dtype=np.float32))


@pytest.mark.parametrize(
    ("more", "named"),
    [(("--flip", "always"), "flip"), (("--truncate",), "truncate"), (("--layout", "pose-evaluation"), "layout")],
)
def test_other_options_are_refused_in_the_same_folder(more, named, clips, run, tmp_path, capsys):
    run(clips)
    before = read_ids(tmp_path / "out")
    assert run(clips, *more) == 1
    shown = capsys.readouterr().err
    assert "made in another way" in shown
    assert named in shown
    assert "anonymize" not in shown, "an option that does not differ is named"
    assert read_ids(tmp_path / "out") == before


def test_another_model_and_another_checkpoint_are_refused(clips, run, tmp_path, capsys, tiny_weights, monkeypatch):
    run(clips)
    assert run(clips, model="fingerspelling", out=tmp_path / "out") == 1
    shown = capsys.readouterr().err
    assert '"tiny" there, "fingerspelling" here' in shown or "fingerspelling" in shown
    from safetensors.numpy import load_file, save_file

    weights = tmp_path / "other"
    shutil.copytree(tiny_weights, weights)
    tensors = load_file(weights / "tiny" / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in tensors.items()}, weights / "tiny" / "model.safetensors")
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(weights))
    assert run(clips) == 1
    shown = capsys.readouterr().err
    old = json.loads((tmp_path / "out" / "run.json").read_text())["checkpoint"]
    assert f'checkpoint "{old}" there' in shown


def test_only_failed_rows_are_tried_again(clips, run, tmp_path, capsys):
    run(clips)
    shutil.copy(GOLDEN / "gsg_C.pose", clips / "SUN" / "bad.pose")
    shutil.copy(GOLDEN / "gsg_C.pose", clips / "new.pose")
    assert run(clips, "--retry-failed") == 1
    out = tmp_path / "out"
    assert read_ids(out) == sorted([*GOOD, "SUN-bad"])
    assert sorted(read_failures(out)) == ["empty", "long"]
    capsys.readouterr()
    assert run(clips) == 1
    assert read_ids(out) == sorted([*GOOD, "SUN-bad", "new"])
    assert "6 vectors in" in capsys.readouterr().out


def test_a_retry_does_not_complete_a_run_that_was_interrupted(clips, run, tmp_path):
    facts = tmp_path / "out" / "run.json"

    def read_state() -> str:
        return json.loads(facts.read_text())["state"]

    run(clips / "SUN", out=tmp_path / "out")
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "state": "interrupted"}))
    run(clips, "--retry-failed")
    assert read_state() == "interrupted"
    run(clips)
    assert read_state() == "complete"
    run(clips, "--retry-failed")
    assert read_state() == "complete"


def test_failed_rows_keep_the_columns_that_have_another_name_here(run, tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("id,text,sign_language,source\nx,y\na,house,klingon,page 3\n", encoding="utf-8")
    run(table)
    failed = {row["id"]: row["source_source"] for row in pq.read_table(tmp_path / "out/failed.parquet").to_pylist()}
    assert len(failed) == 2
    assert failed["a"] == "page 3"


def test_a_long_id_has_an_array_too(run, tmp_path):
    table = tmp_path / "texts.jsonl"
    ids = [f"{'дом' * 60}{number}" for number in range(2)]
    table.write_text("".join(json.dumps({"id": name, "text": "house"}) + "\n" for name in ids), encoding="utf-8")
    assert run(table, "--layout", "pose-evaluation") == 0
    assert len(list((tmp_path / "out" / "pose-evaluation").glob("дом*-using-model-tiny.npy"))) == 2


def test_a_part_of_no_data_set_is_a_usage_error(clips, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run(clips, "--split", "test")
    assert ended.value.code == 2
    assert "--corpus" in capsys.readouterr().err


def test_a_second_run_into_the_same_folder_waits_for_nobody(clips, run, tmp_path, capsys):
    from processes.files import try_lock

    run(clips)
    with try_lock(tmp_path / "out" / ".lock"):
        assert run(clips) == 1
    assert "another run writes into" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "hint"),
    [("nowhere", "is not there"), ("texts.txt", "names no .pose file"), ("wrong.csv", "neither a column path nor")],
)
def test_what_is_no_source_is_refused(source, hint, run, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("A\n")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    assert run(tmp_path / source) == 1
    assert hint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_ray_that_is_not_installed_is_named(clips, run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "bulk.ray", raising=False)
    assert run(clips, "--ray") == 1
    assert "requirements-ray.txt" in capsys.readouterr().err


def test_half_characters_of_names_and_texts_are_written_as_marks(run, tmp_path):
    table = tmp_path / "texts.jsonl"
    table.write_text('{"id": "a\\ud83d", "text": "house \\ud83d", "note": "\\ude00"}\n', encoding="utf-8")
    assert run(table) == 0
    [row] = read_table(tmp_path / "out").to_pylist()
    assert (row["id"], row["text"], row["note"]) == ("a?", "house ?", "?")
