"""BOBSL, whose signs are spotted in episodes, and Dicta-Sign, whose concepts are pages of a portal."""

import json
import pickle

import numpy as np
import pytest

from corpora import FileMissingError, RowError, SplitMissingError, read_corpus, write_prompts
from corpora.clip_files import read_pose
from corpora.readers.spottings import read_spottings
from tests import miniatures


@pytest.fixture
def bobsl(tmp_path):
    return miniatures.bobsl(tmp_path)


@pytest.fixture
def dicta_sign(tmp_path):
    return miniatures.dicta_sign(tmp_path)


def spans(corpus):
    return [(e.text, round(e.start_s * 25), round(e.end_s * 25)) for e in corpus.examples]


def test_verified_spottings_are_the_test_part_of_bobsl(bobsl):
    corpus = read_corpus("bobsl", bobsl, "test")
    # 3 frames before and 22 after the 13th and the first frame, 15 before and 4 after the 20th.
    assert spans(corpus) == [("house", 10, 35), ("house", 0, 23), ("roof", 5, 24)]
    assert write_prompts(corpus.prompt_pattern, corpus.examples[:1]) == ["<en> <bfi> house"]
    assert [(s.id, s.reason) for s in corpus.skipped] == [("999", "no file 999 in poses")]
    assert len({example.id for example in corpus.examples}) == 3
    assert [len(read_pose(example).body.data) for example in corpus.examples] == [25, 23, 19]


def test_automatic_spottings_need_the_probability_of_their_source(bobsl):
    assert spans(read_corpus("bobsl", bobsl, "train")) == [("house", 7, 33), ("sun", 7, 32)]
    assert spans(read_corpus("bobsl", bobsl, "val")) == [("roof", 7, 33)]
    assert [e.split for e in read_corpus("bobsl", bobsl).examples] == ["train", "train", "val", "test", "test", "test"]


def test_bobsls_words_may_be_limited(bobsl, text_file):
    text_file(bobsl / "words.txt", "house", "roof")
    assert [text for text, *_ in spans(read_corpus("bobsl", bobsl, "train"))] == ["house"]


def test_pickled_spottings_are_read_without_running_them(bobsl):
    columns = {
        "episode_name": ["501.mp4", "502", "503"],
        "annot_word": ["tree", ("sun", "day"), "moon"],
        "annot_time": [0.4, 0.8, 0.8],
        "annot_prob": [0.9, 0.81, 0.9],
    }
    path = bobsl / "automatic_annotations" / "isolated_signs" / "dictionary" / "dictionary_spottings_v2.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(columns))
    with pytest.raises(FileMissingError, match="subset2episode"):
        read_corpus("bobsl", bobsl, "train")
    subsets = {"train": ["501", "502"], "val": [], "test": ["503"]}
    (bobsl / "subset2episode.json").write_text(json.dumps(subsets))
    corpus = read_corpus("bobsl", bobsl, "train")
    # The pickle of version 1.4 comes before the JSON of 1.2; another part's episode is left out.
    assert [text for text, *_ in spans(corpus)] == ["house", "tree", "sun", "day"]
    (bobsl / "subset2episode.json").write_text("[]")
    with pytest.raises(RowError, match="which episodes train, val and test have"):
        read_corpus("bobsl", bobsl, "train")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle ran",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({name: Bomb() for name in ("episode_name", "annot_word", "annot_time", "annot_prob")}), "lists"),
        (pickle.dumps([1, 2]), "not a dictionary of equally long plain lists"),
        (pickle.dumps({"episode_name": np.array(["1"])}), "plain lists"),
        (
            pickle.dumps({"episode_name": ["1"], "annot_word": ["a", "b"], "annot_time": [1.0], "annot_prob": [1.0]}),
            "equally long",
        ),
        (b"no pickle", "no pickle"),
    ],
)
def test_other_pickles_are_refused(tmp_path, content, message):
    path = tmp_path / "spottings.pkl"
    path.write_bytes(content)
    with pytest.raises(RowError, match=message):
        list(read_spottings(path, {}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "no JSON of spottings"),
        ("{", "no JSON of spottings"),
        ("{}", "no spottings"),
        ('{"test": {"a": {"names": ["1"]}}}', "global_times"),
        ('{"test": {"a": {"names": ["1"], "global_times": [1.0, 2.0]}}}', "no JSON of spottings"),
        ('{"test": {"a": {"names": ["1"], "global_times": ["soon"]}}}', "line 1: the time or the probability of 'a'"),
        ('{"test": {"a": {"names": [1], "global_times": [1.0]}}}', "is no text"),
    ],
)
def test_other_json_is_refused(tmp_path, text_file, content, message):
    with pytest.raises(RowError, match=message):
        list(read_spottings(text_file(tmp_path / "spottings.json", content), {}))


def test_bobsl_without_spottings(bobsl):
    for file in (bobsl / "spottings").iterdir():
        file.unlink()
    with pytest.raises(
        FileMissingError, match=r"no spottings of test, such as spottings/verified_dict_spottings\.json"
    ):
        read_corpus("bobsl", bobsl, "test")


def test_dicta_sign_asks_in_english(dicta_sign):
    corpus = read_corpus("dicta_sign", dicta_sign)
    assert write_prompts(corpus.prompt_pattern, corpus.examples) == [
        *("<en> <bfi> wood", "<en> <gss> wood", "<en> <gss> A & E", "<en> <fsl> A & E"),
    ]
    assert [(e.id, e.label, e.gloss) for e in corpus.examples][:2] == [("2_BSL", "2", "WOOD"), ("2_GSL", "2", "ΞΥΛΟ")]
    assert [e.path.name for e in corpus.examples] == ["2_BSL.pose", "2_GSL.pose", "10_GSL.pose", "10.pose"]
    assert [(s.id, s.reason) for s in corpus.skipped] == [
        ("2_DGS", "the portal has no video"),
        ("2_LSF", "no pose of that name and no lsf/2.webm"),
        ("10_BSL", "no pose of that name and no bsl/10.webm"),
        ("10_DGS", "the portal has no video"),
    ]
    with pytest.raises(SplitMissingError):
        read_corpus("dicta_sign", dicta_sign, "test")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("LSF", "ASL"), "line 11: the language is 'ASL', not one of BSL, DGS, GSL, LSF"),
        (('src="./../gsl/2.webm"', 'src=""'), "line 8: the entry has no video"),
        (("title-c", "title"), "line 1: the page has no entry of a concept"),
    ],
)
def test_a_page_that_makes_no_sense_is_noted(dicta_sign, change, reason):
    page = dicta_sign / "cs" / "cs_2.html"
    page.write_text(page.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    corpus = read_corpus("dicta_sign", dicta_sign)
    assert [e.id for e in corpus.examples] == ["10_GSL", "10_LSF"]
    assert f"{corpus.skipped[0].id}: {corpus.skipped[0].reason}" == f"cs_2.html, {reason}"


def test_dicta_sign_without_pages(dicta_sign):
    for page in (dicta_sign / "cs").iterdir():
        page.unlink()
    with pytest.raises(FileMissingError, match=r"no pages cs_<number>\.html"):
        read_corpus("dicta_sign", dicta_sign)
