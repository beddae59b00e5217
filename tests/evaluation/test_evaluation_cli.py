"""The command from end to end on a handful of clips, and what it leaves behind."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.examples import Corpus, Example
from corpora.registry import read_corpus
from evaluation import __main__ as command
from evaluation import report
from evaluation.clips import ReadingOptions
from evaluation.errors import EmptyCorpusError
from evaluation.evaluation import EvaluationSettings, embed_corpus
from evaluation.results import read_run
from evaluation.vectors import EmbeddedCorpus

POSES = Path(__file__).parents[1] / "golden" / "poses"
ROWS = (
    # id, file, text, sign language, split
    ("house", "house", "house", "ase", "test"),
    ("A", "ase_A", "A", "ase", "test"),
    ("A again", "gsg_C", "A", "gsg", "test"),
    ("C", "gsg_C", "C", "gsg", "test"),
    ("A of train", "ase_A", "A", "ase", "train"),
    ("C of train", "gsg_C", "C", "gsg", "train"),
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in {row[1] for row in ROWS}:
        shutil.copy(POSES / f"{name}.pose", folder)
    (folder / "broken.pose").write_bytes(b"no pose")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "text", "sign_language", "spoken_language", "split"])
        writer.writerows((row[0], f"{row[1]}.pose", row[2], row[3], "en", row[4]) for row in ROWS)
        writer.writerow(["broken", "broken.pose", "sun", "ase", "en", "test"])
    return folder


@pytest.fixture
def evaluate(manifest, tiny_weights, tmp_path):
    def run(*arguments, name="run"):
        common = ["tiny", "manifest", str(manifest), "--weights-dir", str(tiny_weights), "--device", "cpu"]
        return command.main([*common, "--out", str(tmp_path / name), *arguments]), tmp_path / name

    return run


def test_from_poses_to_report(evaluate, tmp_path, tiny_model, manifest, capsys):
    status, folder = evaluate("--probes", "nearest_clips", "--shots", "1", "all", "--seeds", "2")
    assert status == 0
    run = read_run(folder)
    assert run.metrics["clips"] == 4
    assert list(run.metrics["skipped"]) == ["broken"]
    assert run.vectors.ids.tolist() == ["house", "A", "A again", "C"]
    assert run.vectors.prompts.tolist() == ["<en> <ase> house", "<en> <ase> A", "<en> <gsg> A", "<en> <gsg> C"]
    assert run.metrics["by_sign_language"].keys() == {"ase", "gsg"}
    # The clips of A and C in train are those of the test.
    assert run.metrics["probes"][0]["mean"]["R@1"] == 1.0
    assert run.metrics["probes"][0]["clips"] == 2
    text = tiny_model.embed_text(run.vectors.prompts.tolist(), normalize=False)
    np.testing.assert_allclose(run.vectors.text, text, atol=1e-5)
    assert "1 clips were left out" in capsys.readouterr().err
    assert report.main([str(folder), "--out", str(tmp_path / "report")]) == 0


def test_the_same_clip_under_two_texts_ties(evaluate):
    _, folder = evaluate()
    run = read_run(folder)
    # "A again" and "C" are one file: of equal clips the first is found, so one of the prompts finds the other's.
    np.testing.assert_array_equal(run.vectors.pose[2], run.vectors.pose[3])
    assert run.clip_ranks[2] != run.clip_ranks[3]


@pytest.mark.parametrize(
    ("task", "prompts"),
    [
        ("identification", ["<en> <ase> ", "<en> <gsg> "]),
        ("conceptualization", ["<en> <ase> house", "<en> <ase> A", "<en> <ase> C"]),
    ],
)
def test_tasks(evaluate, task, prompts):
    status, folder = evaluate("--task", task)
    assert status == 0
    assert read_run(folder).vectors.prompts.tolist() == prompts


def test_a_known_text_is_searched_among_its_own_prompts(evaluate):
    _, folder = evaluate("--task", "identification_oracle")
    run = read_run(folder)
    assert run.vectors.prompts.tolist() == ["<en> <ase> house", "<en> <ase> A", "<en> <gsg> A", "<en> <gsg> C"]
    texts = np.array([prompt.split(" > ")[-1].split("> ")[-1] for prompt in run.vectors.prompts])
    scores = run.vectors.pose @ run.vectors.text.T
    for clip, text in enumerate(run.vectors.texts):
        own = np.flatnonzero(texts == text)
        best_first = own[np.argsort(-scores[clip, own], kind="stable")]
        assert run.clip_ranks[clip] == 1 + best_first.tolist().index(run.vectors.prompt_of[clip])
        assert run.named[clip] == best_first[0]
    assert run.clip_ranks[[0, 3]].tolist() == [1, 1]  # nothing else has these texts
    names = np.array(["ase", "ase", "gsg", "gsg"])
    f1 = run.metrics["identification"]
    assert f1["F1_micro"] == np.mean(names[run.named] == run.vectors.sign_languages)
    assert f1["F1_macro"] == pytest.approx(np.mean(list(f1["F1"].values())))
    assert run.metrics["pose_to_text"]["R@1"] == f1["F1_micro"]


def test_the_f1_of_sign_languages_is_that_of_counting(evaluate, capsys):
    _, folder = evaluate("--task", "identification")
    run = read_run(folder)
    named = np.array(["ase", "gsg"])[run.named]
    truth = run.vectors.sign_languages
    for tag, value in run.metrics["identification"]["F1"].items():
        both, either = ((named == tag) & (truth == tag)).sum(), (named == tag).sum() + (truth == tag).sum()
        assert value == pytest.approx(2 * both / either)
    assert f"sign languages: F1 micro {run.metrics['identification']['F1_micro']:.3f}, " in capsys.readouterr().out
    assert "identification" not in read_run(evaluate(name="plain")[1]).metrics


def test_labels_may_be_the_decoded_pieces(manifest, tiny_weights, tmp_path, tiny_model):
    rows = (manifest / "manifest.csv").read_text().splitlines()
    data = tmp_path / "data"
    shutil.copytree(manifest, data)
    # The tiny vocabulary has no Greek: the two texts are one once they are decoded, and their vectors differ.
    more = ["house and beta,house.pose,house β,ase,en,test", "sun,ase_A.pose,sun,ase,en,test"]
    (data / "manifest.csv").write_text("\n".join([*rows, *more]) + "\n")
    corpus = read_corpus("manifest", data, "test")
    apart, _ = embed_corpus(tiny_model, corpus, settings=EvaluationSettings())
    joined, _ = embed_corpus(tiny_model, corpus, settings=EvaluationSettings(labels="decoded"))
    assert apart.prompts.tolist() == [*joined.prompts[:4], "<en> <ase> house β", "<en> <ase> sun"]
    assert joined.prompt_of.tolist() == [0, 1, 2, 3, 0, 4]
    np.testing.assert_array_equal(apart.text[0], joined.text[0])
    assert EvaluationSettings(labels="decoded").describe() == "retrieval, decoded labels"


def test_clips_of_chosen_sign_languages(evaluate, capsys):
    _, folder = evaluate("--sign-languages", "gsg", "--probes", "nearest_clips", "--shots", "1")
    run = read_run(folder)
    assert run.vectors.ids.tolist() == ["A again", "C"]
    assert run.metrics["settings"]["sign_languages"] == ["gsg"]
    assert run.metrics["task"] == "retrieval, gsg"
    status, _ = evaluate("--sign-languages", "gsg", "bfi", name="none")
    assert status == 1
    assert "no clip of the sign language 'bfi'; it has ase, gsg" in capsys.readouterr().err


def test_cache_and_flip_and_anonymity(evaluate, tmp_path):
    vectors = {}
    for name, arguments in {
        "plain": [],
        "cached": ["--cache", str(tmp_path / "cache")],
        "read again": ["--cache", str(tmp_path / "cache")],
        "flipped": ["--flip", "always"],
        "automatic": ["--flip", "auto"],
        "anonymous": ["--anonymize"],
        "trimmed": ["--trim", "auto"],
        "whole": ["--trim", "none"],
    }.items():
        status, folder = evaluate(*arguments, name=name)
        assert status == 0
        vectors[name] = read_run(folder).vectors.pose
        assert list(json.loads((folder / "metrics.json").read_text())["skipped"]) == ["broken"]
    for same in ("cached", "read again", "automatic", "whole"):
        np.testing.assert_array_equal(vectors[same], vectors["plain"])
    for different in ("flipped", "anonymous", "trimmed"):
        assert np.abs(vectors[different] - vectors["plain"]).max() > 1e-3


def test_several_processes_read_the_same(tiny_model, manifest):
    corpus = read_corpus("manifest", manifest, "test")
    many = corpus.select([replace(corpus.examples[row % 5], id=str(row)) for row in range(20)])
    alone, _ = embed_corpus(tiny_model, many, settings=EvaluationSettings())
    together, skipped = embed_corpus(tiny_model, many, settings=EvaluationSettings(), reading=ReadingOptions(workers=2))
    np.testing.assert_array_equal(alone.pose, together.pose)
    assert alone.ids.tolist() == together.ids.tolist() == [str(row) for row in range(20) if row % 5 != 4]
    assert skipped.keys() == {"4", "9", "14", "19"}


def test_vocabulary(evaluate, manifest, tmp_path):
    (tmp_path / "words.txt").write_text("A\n")
    _, folder = evaluate("--in-vocabulary", str(tmp_path / "words.txt"))
    assert read_run(folder).vectors.ids.tolist() == ["A", "A again"]
    _, folder = evaluate("--in-vocabulary", f"manifest:{manifest}", "--vocabulary-over", "0", name="corpus")
    assert read_run(folder).vectors.ids.tolist() == ["A", "A again", "C"]


def test_long_clips_can_be_left_out(evaluate):
    _, folder = evaluate("--skip-long")
    run = read_run(folder)
    assert run.vectors.ids.tolist() == ["A", "A again", "C"]
    assert "the model takes 64" in run.metrics["skipped"]["house"]


def test_a_folder_names_a_model_too(manifest, tiny_weights, tmp_path):
    arguments = [str(tiny_weights / "tiny"), "manifest", str(manifest), "--out", str(tmp_path / "run")]
    assert command.main([*arguments, "--device", "cpu"]) == 0
    assert read_run(tmp_path / "run").metrics["model"] == "tiny"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "manifest", "nowhere"], "nowhere"),
        (["other", "manifest", "nowhere"], "nowhere"),
        (["tiny", "manifest", "{data}", "--in-vocabulary", "{data}/none.csv"], "none.csv"),
        (["other", "manifest", "{data}"], "other"),
    ],
)
def test_refusals_are_one_line(arguments, message, manifest, tiny_weights, capsys):
    arguments = [argument.format(data=manifest) for argument in arguments]
    assert command.main([*arguments, "--weights-dir", str(tiny_weights)]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error


def test_nothing_to_embed(tiny_model, tmp_path):
    example = Example(id="a", path=tmp_path / "none.pose", text="a", label="a", split="test")
    corpus = Corpus("c", tmp_path, (example,), "{text}", "signclip", "MIT", "here")
    with pytest.raises(EmptyCorpusError, match=r"none of 1 clips could be embedded: .*none\.pose"):
        embed_corpus(tiny_model, corpus, settings=EvaluationSettings())


def test_vectors_survive_a_file(tmp_path):
    vectors = EmbeddedCorpus(
        *(np.array(["ä", "b"]), np.array(["x", "y"]), np.array(["ase", ""]), np.eye(2, dtype=np.float32)),
        *(np.array([0, 1]), np.array(["x", "y"]), np.eye(2, dtype=np.float32)),
    )
    vectors.save(tmp_path / "vectors.npz")
    loaded = EmbeddedCorpus.load(tmp_path / "vectors.npz")
    for name in ("ids", "texts", "sign_languages", "pose", "prompt_of", "prompts", "text"):
        assert getattr(loaded, name).tolist() == getattr(vectors, name).tolist()


def test_whatever_is_asked_otherwise_has_a_folder_and_a_name_of_its_own(manifest, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ["tiny", "manifest", str(manifest), "--weights-dir", str(tiny_weights), "--device", "cpu"]
    settings = ([], ["--anonymize"], ["--flip", "always"], ["--no-tags"], ["--score", "cosine"], ["--split", "all"])
    settings = (*settings, ["--trim", "auto"])
    for options in settings:
        assert command.main([*common, *options]) == 0
    runs = [read_run(folder) for folder in sorted((tmp_path / "runs" / "evaluation").iterdir())]
    assert len({run.name for run in runs}) == len(runs) == len(settings)
    rows = {(run.metrics["task"], run.metrics["split"]) for run in runs}
    assert ("retrieval", "test") in rows
    assert {("retrieval, anonymized", "test"), ("retrieval, trimmed", "test")} <= rows
    assert len(rows) == len(settings)


def test_an_experiment_that_nobody_published_is_a_warning(evaluate, capsys):
    assert evaluate("--experiment", "signclip_v1_1/baselin")[0] == 0
    assert "did you mean signclip_v1_1/baseline?" in capsys.readouterr().err
    # An experiment of this project is none that was misspelled.
    assert evaluate("--experiment", "signclip_asl/asl_citizen_finetune")[0] == 0
    assert "signclip_asl" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seeds", "--workers", "--shots"])
def test_counts_are_at_least_one(evaluate, option, capsys):
    with pytest.raises(SystemExit):
        evaluate(option, "0")
    assert option in capsys.readouterr().err
