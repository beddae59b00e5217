"""Prompts that a model cannot tell apart are named, and the ranks that they decide are counted."""

import numpy as np

from corpora.examples import Corpus, Example
from evaluation.evaluation import EvaluationSettings, evaluate
from evaluation.token_rows import describe_collapse, find_token_rows
from tests.miniatures import place_pose


def _corpus(folder, texts):
    examples = tuple(
        Example(str(number), place_pose(folder / f"{number}.pose", pose), text, text, "test")
        for number, (text, pose) in enumerate(zip(texts, ("ase_A", "gsg_C", "house"), strict=True))
    )
    return Corpus("c", folder, examples, "{text}", "signclip", "MIT", "here")


def test_words_that_the_tokenizer_lacks_are_one_vector(tiny_model, tmp_path):
    # Letters of no BERT vocabulary, which all become [UNK].
    metrics, vectors, _ = evaluate(tiny_model, _corpus(tmp_path, ("ꙮ", "ꙭ", "house")), settings=EvaluationSettings())
    np.testing.assert_array_equal(vectors.text[0], vectors.text[1])
    assert metrics["ties"]["pose_to_text"] == 2
    collapse, ties = metrics["warnings"]
    assert collapse.startswith("3 prompts, 2 different token rows: 'ꙮ' and 'ꙭ' are the same tokens")
    assert ties.startswith("tied ranks: 2 of 3 clips ")


def test_texts_that_differ_only_after_the_cut_are_one_row(tiny_model):
    long = "a " * tiny_model.config.max_pieces
    rows, firsts = find_token_rows(tiny_model, ["a", f"{long}b", f"{long}c"])
    assert rows.tolist() == [0, 1, 1]
    assert firsts.tolist() == [0, 1]


def test_different_texts_give_no_warning(tiny_model, tmp_path):
    metrics, *_ = evaluate(tiny_model, _corpus(tmp_path, ("house", "sun", "A")), settings=EvaluationSettings())
    assert metrics["warnings"] == []
    assert metrics["ties"] == {"text_to_pose": 0, "pose_to_text": 0}


def test_a_collapse_names_the_largest_group():
    assert describe_collapse(["a", "b"], [1, 2]) is None
    prompts = [f"p{number}" for number in range(178)]
    text = describe_collapse(prompts, [0] * 178)
    assert text.startswith("178 prompts, 1 different token row: 'p0' and 'p1' and 176 more are the same tokens")
