"""AUTSL: lists without headers, names of classes in two languages, clips of three folders."""

import pytest

from corpora.errors import FileMissingError
from corpora.registry import read_corpus
from tests import miniatures


@pytest.fixture
def autsl(tmp_path):
    return miniatures.autsl(tmp_path)


def test_every_part_and_its_texts(autsl):
    corpus = read_corpus("autsl", autsl)
    assert [(example.id, example.text, example.split) for example in corpus.examples] == [
        ("train/signer0_sample1", "sister", "train"),
        ("train/signer1_sample2", "hurry", "train"),
        ("val/signer2_sample1", "sister", "val"),
        ("test/signer3_sample1", "hurry", "test"),
    ]
    first = corpus.examples[0]
    assert (first.label, first.signer, first.spoken_language, first.sign_language) == ("0", "signer0", "en", "tsm")
    assert [example.text for example in read_corpus("autsl_turkish", autsl, "train").examples] == ["abla", "acele"]


def test_faults_are_noted_and_the_rest_is_read(autsl):
    with (autsl / "test_labels.csv").open("a") as file:
        file.write("signer3_sample9,1\nsigner3_sample1,77\nsigner3_sample1\n")
    corpus = read_corpus("autsl", autsl, "test")
    assert len(corpus) == 1
    reasons = [note.reason for note in corpus.skipped]
    assert reasons[0] == "no file signer3_sample9_color in test"
    assert "class '77' is not in SignList_ClassId_TR_EN.csv" in reasons[1]
    assert "is not a sample and the number of its class" in reasons[2]


def test_a_missing_list_is_named(autsl):
    (autsl / "validation_labels.csv").unlink()
    with pytest.raises(FileMissingError, match="validation_labels"):
        read_corpus("autsl", autsl, "val")
