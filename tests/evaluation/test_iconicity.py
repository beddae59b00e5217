"""Texts by how alike their signs are, against a count by hand."""

import csv

import numpy as np
import pytest

from evaluation.iconicity import main, rank_texts
from evaluation.results import search_corpus, write_run
from evaluation.vectors import EmbeddedCorpus

TEXTS = {"drink": 0.01, "eat": 0.5, "to drink": 0.1, "Friday": 2.0}


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(5)
    texts = np.repeat(list(TEXTS), 4)
    pose = np.concatenate([rng.normal(rng.normal(0, 3, 8), spread, (4, 8)) for spread in TEXTS.values()])
    return EmbeddedCorpus(
        ids=np.array([str(row) for row in range(16)]),
        texts=np.array([*texts[:-1], "Thursday"]),
        sign_languages=np.array(["ase", "gsg", "fsl", "ase"] * 4),
        pose=pose.astype(np.float32),
        prompt_of=np.arange(16),
        prompts=np.array([str(row) for row in range(16)]),
        text=np.zeros((16, 8), np.float32),
    )


def test_alike_signs_come_first(vectors):
    ranked = rank_texts(vectors)
    assert [entry.text for entry in ranked] == ["drink", "to drink", "eat", "Friday"]
    assert [(entry.sign_languages, entry.clips) for entry in ranked] == [(3, 4), (3, 4), (3, 4), (3, 3)]
    for entry in ranked:
        clips = vectors.pose[vectors.texts == entry.text].astype(float)
        means = clips.mean(axis=0)
        assert entry.spread == pytest.approx(sum(np.sqrt(((clips - means) ** 2).mean(axis=0))))


def test_texts_may_be_left_out(vectors):
    assert [entry.text for entry in rank_texts(vectors, one_word=True, clips=4)] == ["drink", "eat"]
    assert rank_texts(vectors, min_languages=4) == []
    assert len(rank_texts(vectors, min_languages=1)) == 5


def test_command(tmp_path, capsys, vectors):
    results = search_corpus(vectors)
    about = {"experiment": None, "model": "m", "dataset": "d", "split": "all", "task": "retrieval"}
    metrics = about | {"clips": 16, "prompts": 16} | results.summarize(vectors.prompt_of)
    write_run(tmp_path / "run", metrics, vectors=vectors, results=results)
    assert main([str(tmp_path / "run"), "--one-word"]) == 0
    assert "3 texts are in" in capsys.readouterr().out
    with (tmp_path / "run" / "iconicity.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ["drink", "eat", "Friday"]
    assert float(rows[0]["spread"]) <= float(rows[1]["spread"])
    assert main([str(tmp_path / "run"), "--min-languages", "4"]) == 1
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "no text of" in capsys.readouterr().err
