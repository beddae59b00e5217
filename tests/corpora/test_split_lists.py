"""The authors' lists against what is drawn here: on made lists always, on theirs where they are at hand."""

import random
from pathlib import Path

import pytest

from corpora.__main__ import main
from corpora.published_files import VOCABULARY_FILE
from corpora.readers.tables import read_csv
from corpora.registry import DATA, read_corpus
from corpora.split_lists import ALL, HELD_OUT, compare_lists

AT_HAND = Path(__file__).parents[2] / DATA
CANDIDATES = 3959


@pytest.fixture
def lists(tmp_path, text_file):
    """What data/asl_signs/split.py of the authors writes, in its own words."""
    names = [str(number) for number in range(1000, 1100)]
    text_file(tmp_path / "asl_signs" / ALL, *names)
    random.seed(3407)
    random.shuffle(names)
    for split, part in (("val", names[:5]), ("test", names[5:10]), ("train", names[10:])):
        text_file(tmp_path / "asl_signs" / f"{split}.txt", *part)
    return tmp_path


def test_lists_that_are_drawn_alike_are_equal(lists, capsys):
    assert main(["compare", "asl_signs", "--data", str(lists)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        *("train.txt: 90 entries, equal", "val.txt: 5 entries, equal", "test.txt: 5 entries, equal"),
    ]


def test_the_first_difference_is_named(lists, text_file, capsys):
    path = lists / "asl_signs" / "test.txt"
    names = path.read_text().split()
    text_file(path, *names[:2], names[3], names[2], names[4])
    assert main(["compare", "asl_signs", "--data", str(lists)]) == 1
    assert "test.txt: 5 entries, different from entry 3 on" in capsys.readouterr().out
    text_file(path, *names[:4])
    assert [c.first_difference for c in compare_lists("asl_signs", lists)] == [None, None, 5]


def test_kaggles_table_has_the_order_that_was_shuffled(lists, text_file):
    rows = [f"{number}" for number in range(1000, 1100)]
    text_file(lists / "asl_signs" / "train.csv", "sequence_id", *rows)
    assert compare_lists("asl_signs", lists)[-1].first_difference is None
    text_file(lists / "asl_signs" / "train.csv", "sequence_id", rows[1], rows[0], *rows[2:])
    assert compare_lists("asl_signs", lists)[-1].first_difference == 1


def test_missing_lists(tmp_path, capsys):
    assert main(["compare", "rwth_fingerspelling", "--data", str(tmp_path)]) == 1
    assert "all.txt does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_authors_lists_are_drawn_here_too(name):
    if not (AT_HAND / name / ALL).is_file():
        pytest.skip(f"the authors' lists are not here; bring them with: python -m corpora fetch {name}")
    assert [comparison.first_difference for comparison in compare_lists(name, AT_HAND)] == [None] * 3


def test_as_many_clips_are_in_the_vocabulary_as_the_authors_scored():
    needed = (AT_HAND / VOCABULARY_FILE, AT_HAND / "asl_signs" / "train.csv")
    if missing := [path for path in needed if not path.is_file()]:
        pytest.skip(f"{missing[0]} is not here: Kaggle's asl-signs, and python -m corpora fetch vocabulary")
    import pyarrow.parquet as pq

    table = read_csv(AT_HAND / VOCABULARY_FILE, ("text", "count"))
    words = {row["text"] for row in table if int(row["count"]) > 20}
    examples = [e for e in read_corpus("asl_signs", AT_HAND / "asl_signs", "test").examples if e.text in words]
    # Kaggle's files have a row for each of 543 points; longer clips than 256 frames take no part.
    assert sum(pq.read_metadata(e.path).num_rows <= 256 * 543 for e in examples) == CANDIDATES
