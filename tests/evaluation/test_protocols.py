"""Protocols of leaderboards: their files, the candidates of all parts, and the command that runs one by name."""

import json
from dataclasses import replace

import numpy as np
import pytest

from corpora.examples import Corpus, Example
from corpora.registry import CORPORA, read_corpus
from evaluation import __main__ as command
from evaluation.errors import ProtocolError
from evaluation.evaluation import EvaluationSettings, evaluate
from evaluation.protocols import Protocol, list_protocols, read_protocol
from tests import miniatures

PUBLISHED = {
    **{"asl_citizen": 2731, "sem_lex": 3149, "pop_sign": 250, "autsl": 226},
    **{f"wlasl_{count}": count for count in (100, 300, 1000, 2000)},
}


def test_every_protocol_names_what_exists():
    assert list_protocols() == sorted(PUBLISHED)
    for name, classes in PUBLISHED.items():
        protocol = read_protocol(name)
        assert (protocol.name, protocol.classes) == (name, classes)
        assert protocol.dataset in CORPORA
        assert "20" in protocol.source


@pytest.fixture
def measured(tiny_model, tmp_path):
    """Two clips of the test, and two signs that only other parts have."""
    examples = tuple(
        Example(text, miniatures.place_pose(tmp_path / f"{pose}.pose", pose), text, text, split, "en", "ase")
        for text, pose, split in (
            ("house", "house", "test"),
            ("A", "ase_A", "test"),
            ("sun", "gsg_C", "train"),
            ("moon", "gsg_C", "val"),
        )
    )
    whole = Corpus("c", tmp_path, examples, "{text}", "signclip", "MIT", "here")
    test = whole.select([example for example in examples if example.split == "test"])
    _, vectors, _ = evaluate(tiny_model, test, settings=EvaluationSettings())

    def measure(*, score="dot", stretch=1, **fields):
        stretched = replace(vectors, text=vectors.text * np.array([[stretch], [1]], np.float32))
        about = {"name": "p", "title": "P", "source": "nobody, 2020", "dataset": "c", "classes": 4}
        return Protocol(**{**about, "metrics": ("R@1", "MRR", "class_R@1"), **fields}).measure(
            tiny_model, whole, stretched, score=score
        ), stretched

    return measure


def test_candidates_are_the_classes_of_all_parts(measured, tiny_model):
    result, vectors = measured()
    prompts = [*vectors.prompts.tolist(), "<en> <ase> sun", "<en> <ase> moon"]
    scores = vectors.pose @ tiny_model.embed_text(prompts, normalize=False).T
    ranks = 1 + (scores > scores[[0, 1], [0, 1]][:, None]).sum(axis=1)
    assert result["metrics"]["MRR"] == pytest.approx((1 / ranks).mean())
    assert result["metrics"]["R@1"] == pytest.approx((ranks == 1).mean())
    assert (result["classes"], result["clips"], result["warnings"]) == (4, 2, [])
    assert set(result["intervals"]) == {"R@1", "MRR", "class_R@1"}


def test_candidates_are_scored_as_the_run_is(measured, tiny_model):
    result, vectors = measured(score="cosine", stretch=1000)
    further = tiny_model.embed_text(["<en> <ase> sun", "<en> <ase> moon"], normalize=False)
    text = np.concatenate((vectors.text, further)).astype(np.float64)
    pose = vectors.pose.astype(np.float64)
    scores = pose @ (text / np.linalg.norm(text, axis=1, keepdims=True)).T
    ranks = 1 + (scores > scores[[0, 1], [0, 1]][:, None]).sum(axis=1)
    assert result["metrics"]["MRR"] == pytest.approx((1 / ranks).mean())
    assert result["metrics"] == measured(score="cosine")[0]["metrics"]
    # To dot products the length of a prompt's vector matters.
    assert measured(score="dot", stretch=1000)[0]["metrics"] != measured(score="dot", stretch=0.001)[0]["metrics"]


def test_other_numbers_than_the_published_ones_are_said(measured):
    result, _ = measured(classes=5, clips=9)
    assert len(result["warnings"]) == 2
    assert result["warnings"][0] == "4 classes, where p has 5: this figure is not comparable with others"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "is no protocol"),
        ("title: x", "is no protocol"),
        ("{title: x, source: y, dataset: z, classes: 3, metrics: [top1]}", r"the metrics \['top1'\]; known are DCG"),
    ],
)
def test_files_that_are_no_protocol(tmp_path, content, message):
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(ProtocolError, match=message):
        read_protocol("bad", tmp_path)
    with pytest.raises(ProtocolError, match="no protocol 'other'; use one of bad"):
        read_protocol("other", tmp_path)


def test_a_protocol_runs_by_name(tiny_weights, tmp_path, capsys):
    data = tmp_path / "wlasl"
    data.mkdir()
    miniatures.wlasl(data)
    arguments = ["tiny", "--protocol", "wlasl_100", str(data), "--weights-dir", str(tiny_weights), "--device", "cpu"]
    assert command.main([*arguments, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "WLASL100, isolated signs of the web: 1 clips, 2 classes" in printed.out
    assert "2 classes, where wlasl_100 has 100" in printed.err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["split"], metrics["clips"]) == ("wlasl_100", "test", 1)
    assert metrics["protocol"]["metrics"].keys() == {"R@1", "R@5", "R@10", "class_R@1", "class_R@5", "class_R@10"}
    assert np.isfinite(list(metrics["protocol"]["metrics"].values())).all()


def test_a_data_set_or_a_protocol_is_needed(capsys):
    with pytest.raises(SystemExit):
        command.main(["tiny"])
    assert "name a DATASET, or a --protocol" in capsys.readouterr().err


def test_the_first_glosses_of_wlasl(tmp_path):
    miniatures.wlasl(tmp_path)
    assert {example.gloss for example in read_corpus("wlasl", tmp_path).examples} == {"book", "no_2"}
    assert read_corpus("wlasl_100", tmp_path).name == "wlasl_100"
    assert {example.gloss for example in CORPORA["wlasl"](tmp_path, "all", glosses=1).examples} == {"book"}
