"""Each data set, from a miniature in its published form: texts, languages, splits, prompts, and what is skipped."""

import random

import numpy as np
import pytest

from corpora import (
    CORPORA,
    ColumnMissingError,
    CorpusUnknownError,
    FileMissingError,
    RowError,
    SplitMissingError,
    read_corpus,
    write_prompts,
)
from corpora.readers.fingerspelling_lexicon import find_installed_folder
from corpora.readers.rwth_fingerspelling import read_letters
from corpora.readers.tables import draw_split


def prompts(corpus):
    return write_prompts(corpus.prompt_pattern, corpus.examples)


def ids(corpus):
    return [example.id for example in corpus.examples]


def test_rwth_fingerspelling(rwth):
    train = read_corpus("rwth_fingerspelling", rwth, "train")
    assert ids(train) == ["1_1_1_cam2", "2_3_2_cam2"]
    assert prompts(train) == [
        "Fingerspell the letter A in German Sign Language.",
        "Fingerspell the letter SCH in German Sign Language.",
    ]
    assert [(e.label, e.signer, e.sign_language) for e in train.examples] == [("1", "1", "gsg"), ("3", "2", "gsg")]
    assert [skipped.id for skipped in train.skipped] == ["1_1_1_cam1"]
    everything = read_corpus("rwth_fingerspelling", rwth)
    assert [e.split for e in everything.examples] == ["train", "train", "val", "test"]
    assert [s.id for s in everything.skipped] == ["1_1_1_cam1", "4_2_2_cam2"]


@pytest.mark.parametrize("kind", ["s3d", "i3d", "i3d_512"])
def test_rwth_features_are_of_both_cameras(rwth, kind):
    corpus = read_corpus(f"rwth_fingerspelling_{kind}", rwth)
    assert (len(corpus), corpus.features, corpus.skipped) == (6, kind, ())
    assert corpus.examples[0].path.name == "1_1_1_cam1.npy"


@pytest.mark.parametrize("line", ["9 = B", "2 - B", "2 = ", "B"])
def test_rwth_gestures_go_by_line(tmp_path, text_file, line):
    with pytest.raises(RowError, match="line 2"):
        read_letters(text_file(tmp_path / "gesture_ids.txt", "1 = A", line))


def test_asl_signs_are_divided_as_in_the_paper(asl_signs):
    # What split.py of sign-language-processing/datasets does, in its own words.
    sequence_ids = [1000 + number for number in range(40)]
    random.seed(3407)
    random.shuffle(sequence_ids)
    corpus = {split: read_corpus("asl_signs", asl_signs, split) for split in ("train", "val", "test")}
    missing = "1039"
    for split, expected in (("val", sequence_ids[:2]), ("test", sequence_ids[2:4]), ("train", sequence_ids[4:])):
        got = {*ids(corpus[split]), *(s.id for s in corpus[split].skipped)}
        assert got == {str(number) for number in expected}
    assert missing in {s.id for c in corpus.values() for s in c.skipped}
    assert prompts(corpus["train"])[0].startswith("<en> <ase> ")
    example = read_corpus("asl_signs_no_face", asl_signs).examples[0]
    assert (example.id, example.signer, example.label) == ("1000", "0", "blow")
    assert prompts(read_corpus("asl_signs_no_face", asl_signs))[0] == 'Sign the sign "blow" in American Sign Language.'


def test_lists_override_the_draw(asl_signs, text_file):
    for split, rows in (("train", ["1001", "1002"]), ("val", ["1003"]), ("test", [])):
        text_file(asl_signs / f"{split}.txt", *rows)
    assert ids(read_corpus("asl_signs", asl_signs)) == ["1001", "1002", "1003"]
    (asl_signs / "val.txt").unlink()
    with pytest.raises(FileMissingError, match=r"val\.txt"):
        read_corpus("asl_signs", asl_signs)


def test_spreadthesign(spreadthesign):
    train = read_corpus("spreadthesign", spreadthesign, "train")
    assert prompts(train) == ["<en> <ase> house", "<en> <gsg> to go, to walk"]
    assert train.skipped[0].id == "3"
    everything = read_corpus("spreadthesign_all_texts", spreadthesign)
    assert prompts(everything)[2:] == ["<de> <gsg> gehen", "<en> <bfi> house"]
    house = everything.examples[-1]
    assert write_prompts(everything.prompt_pattern, [house], task="identification") == ["<en> <bfi> "]
    assert write_prompts(everything.prompt_pattern, [house], task="conceptualization") == ["<en> <ase> house"]


def test_spreadthesign_without_lists_is_divided_as_in_the_paper(spreadthesign):
    for split in ("train", "val", "test"):
        (spreadthesign / f"{split}.txt").unlink()
    assert len(read_corpus("spreadthesign", spreadthesign, "train")) == 3  # 1 % of five rows is none
    table = spreadthesign / "spreadthesign.csv"
    header, row = table.read_text().splitlines()[:2]
    table.write_text("\n".join([header, *[row] * 400]) + "\n")
    # What split.py of sign-language-processing/datasets does, in its own words.
    numbers = list(range(400))
    random.seed(3407)
    random.shuffle(numbers)
    for split, expected in (("val", numbers[:4]), ("test", numbers[4:8]), ("train", numbers[8:])):
        assert set(ids(read_corpus("spreadthesign", spreadthesign, split))) == {str(number) for number in expected}


def test_pop_sign(tmp_path, pose_file):
    for part, name in (("train", "cat/2"), ("train", "cat/1"), ("train", "airplane/9"), ("test", "cat/3")):
        pose_file(tmp_path / part / f"{name}.pose")
    pose_file(tmp_path / "train" / "stray.pose")
    train = read_corpus("pop_sign", tmp_path, "train")
    assert ids(train) == ["train/airplane/9", "train/cat/1", "train/cat/2"]
    assert prompts(train) == ["<en> <ase> airplane", "<en> <ase> cat", "<en> <ase> cat"]
    assert {example.split for example in read_corpus("pop_sign", tmp_path, "test").examples} == {"test"}
    with pytest.raises(FileMissingError, match="has no folder val"):
        read_corpus("pop_sign", tmp_path)


def test_asl_citizen(asl_citizen):
    train = read_corpus("asl_citizen", asl_citizen, "train")
    assert [(e.text, e.signer, e.path.suffix) for e in train.examples] == [
        ("propose", "P1", ".pose"),
        ("sour", "P52", ".pose"),
        ("allgone", "P42", ".mp4"),
    ]
    test = read_corpus("asl_citizen", asl_citizen / "ASL_Citizen", "test")
    assert [(e.text, e.label, e.gloss) for e in test.examples] == [("remember", "remember", "REMEMBER2")]
    assert prompts(read_corpus("asl_citizen_glosses", asl_citizen, "test")) == ["<en> <ase> REMEMBER2"]
    assert "ONLY ONE.mp4" in read_corpus("asl_citizen", asl_citizen, "val").skipped[0].reason


def test_sem_lex(sem_lex):
    corpus = read_corpus("sem_lex", sem_lex)
    assert [(e.id, e.text, e.path.parent.name) for e in corpus.examples] == [
        ("train/vidA", "think chin", "train"),
        ("train/vidA/2", "THINK", "train"),
        ("val/vidA", "think chin", "val"),
        ("test/vidB", "30 minute", "test"),
    ]
    assert [s.id for s in corpus.skipped] == ["test/vidC"]
    assert read_corpus("sem_lex_glosses", sem_lex, "val").examples[0].text == "think_chin_2"


def test_wlasl_spans_apply_to_whole_videos_only(wlasl):
    corpus = read_corpus("wlasl", wlasl)
    assert [(e.id, e.text, e.split, e.start_s, e.end_s) for e in corpus.examples] == [
        ("69241", "book", "train", None, None),
        ("07069", "book", "test", 0.4, 0.8),
        ("65225", "no", "val", None, None),
    ]
    assert [s.id for s in corpus.skipped] == ["99999"]
    (wlasl / "raw_poses").rename(wlasl / "poses")
    assert all(e.start_s is e.end_s is None for e in read_corpus("wlasl", wlasl).examples)


@pytest.mark.parametrize("content", ["{}", "["])
def test_a_list_that_is_none_is_named(wlasl, content):
    (wlasl / "WLASL_v0.3.json").write_text(content)
    with pytest.raises(RowError, match=r"WLASL_v0\.3\.json, line 1"):
        read_corpus("wlasl", wlasl)


@pytest.mark.parametrize(
    "entry",
    [
        "1",
        '{"gloss": "book"}',
        '{"gloss": "", "instances": []}',
        '{"gloss": "book", "instances": 3}',
        '{"gloss": "book", "instances": [{"split": "train", "video_id": "69241"}]}',
    ],
)
def test_an_entry_of_wlasl_that_makes_no_sense_is_left_out(wlasl, entry):
    table = wlasl / "WLASL_v0.3.json"
    before = read_corpus("wlasl", wlasl)
    table.write_text(f"[{entry}, {table.read_text().strip()[1:]}")
    corpus = read_corpus("wlasl", wlasl)
    assert corpus.examples == before.examples
    assert [note.id for note in corpus.skipped] == ["WLASL_v0.3.json, line 1", *(note.id for note in before.skipped)]


def test_signsuisse(signsuisse):
    assert prompts(read_corpus("signsuisse", signsuisse)) == [
        "<de> <sgg> Haus",
        "<de> <sgg> Das Haus ist gross.",
        "<fr> <fsl> maison",
        "<it> <ise> casa",
    ]


def test_signsuisse_has_the_authors_names_of_tables_too(signsuisse):
    expected = prompts(read_corpus("signsuisse", signsuisse))
    for part, name in (("train", "train_train"), ("val", "train_val"), ("test", "test")):
        (signsuisse / f"{part}.csv").rename(signsuisse / f"metadata_{name}.csv")
    assert prompts(read_corpus("signsuisse", signsuisse)) == expected


def test_signsuisse_knows_three_languages(signsuisse, text_file):
    text_file(signsuisse / "val.csv", "id,name,spokenLanguage,signedLanguage,example", "1,Haus,de,dgs,")
    corpus = read_corpus("signsuisse", signsuisse, "val")
    assert not corpus.examples
    assert "signedLanguage is 'dgs'" in {note.id: note.reason for note in corpus.skipped}["val.csv, line 2"]


def test_how2sign_takes_cut_sentences_else_spans(how2sign):
    train = read_corpus("how2sign", how2sign, "train")
    assert [(e.path.parent.name, e.start_s, e.end_s) for e in train.examples] == [
        ("raw_poses", 0.5, 1.02),
        ("poses", None, None),
    ]
    assert prompts(train)[0] == "<en> <ase> We're going to go, slowly."
    assert len(read_corpus("how2sign", how2sign, "test").skipped) == 1


def test_how2sign_sentences_quote_people(how2sign):
    table = how2sign / "how2sign_realigned_train.csv"
    row = "v\t-d5dN54tH2E-1-rgb_front\ts\t{}\t0\t1\t{}\n"
    sentences = {"a": '"""Go,"" he said."', "b": '"Go, he said.', "c": '"Go," he said.', "d": 'He said "go"'}
    with table.open("a") as file:
        file.writelines(row.format(name, sentence) for name, sentence in sentences.items())
    texts = [example.text for example in read_corpus("how2sign", how2sign, "train").examples[2:]]
    assert texts == ['"Go," he said.', '"Go, he said.', '"Go," he said.', 'He said "go"']


def test_chicago_fs_wild(chicago):
    corpus = read_corpus("chicago_fs_wild", chicago)
    assert [(e.text, e.split, e.signer) for e in corpus.examples] == [
        ("stecker", "train", "elsie"),
        ("b and b", "val", "anon 3"),
    ]
    assert [s.id for s in corpus.skipped] == ["aslthat/gone_0001"]


def test_lexicon_leaves_the_copied_language_out(lexicon):
    corpus = read_corpus("fingerspelling_lexicon", lexicon)
    assert prompts(corpus) == ["<en> <ase> A", "<de> <gsg> C"]
    assert [s.id for s in corpus.skipped] == ["gsg/gone", "fsl/one"]
    with pytest.raises(SplitMissingError):
        read_corpus("fingerspelling_lexicon", lexicon, "train")


def test_the_installed_lexicon():
    corpus = read_corpus("fingerspelling_lexicon", find_installed_folder())
    assert (len(corpus), len(corpus.skipped)) == (600, 26)
    assert len({example.id for example in corpus.examples}) == 600
    assert {example.sign_language for example in corpus.examples}.isdisjoint({"fsl"})


def test_registry(tmp_path):
    with pytest.raises(CorpusUnknownError, match="rwth_fingerspelling"):
        read_corpus("rwth", tmp_path)


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_an_empty_folder_is_refused_by_name_of_what_it_lacks(name, tmp_path):
    with pytest.raises(FileMissingError, match=str(tmp_path)):
        read_corpus(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("asl_signs", "train.csv", "participant_id"),
        ("asl_citizen", "ASL_Citizen/splits/val.csv", "Gloss"),
        ("sem_lex", "semlex_metadata.csv", "label_type"),
        ("spreadthesign", "spreadthesign.csv", "videoLanguage"),
        ("signsuisse", "test.csv", "signedLanguage"),
        ("how2sign", "how2sign_realigned_val.csv", "SENTENCE_NAME"),
        ("chicago", "ChicagoFSWild.csv", "label_proc"),
        ("lexicon", "index.csv", "words"),
        ("manifest", "manifest.csv", "text"),
    ],
)
def test_a_missing_column_is_named_with_its_file(request, name, table, column):
    root = request.getfixturevalue(name)
    path = root / table
    path.write_text(path.read_text().replace(column, "renamed", 1))
    registered = {"chicago": "chicago_fs_wild", "lexicon": "fingerspelling_lexicon"}.get(name, name)
    with pytest.raises(ColumnMissingError, match=column) as raised:
        read_corpus(registered, root)
    assert str(path) in str(raised.value)


def test_draw_split_is_a_partition():
    names = [f"{number}" for number in np.arange(1000)]
    splits = draw_split(names, held_out=0.05)
    assert sorted(splits, key=int) == names
    assert [list(splits.values()).count(split) for split in ("train", "val", "test")] == [900, 50, 50]
