"""Starts that need no download: towers of a named size, a tokenizer made of one's own texts, the shipped model."""

import numpy as np
import pytest

from models.tokenization import load_tokenizer
from tests import miniatures
from training import __main__ as command
from training.errors import ExperimentError
from training.experiment import EXPERIMENTS, read_experiment
from training.sections.model import SIZES
from training.vocabulary import make_tokenizer

SMALL, LETTERS = EXPERIMENTS / "own_data_small.yaml", EXPERIMENTS / "from_fingerspelling.yaml"
TEXTS = ["<en> <ase> house", "<en> <ase> to go home", "<en> <ase> A1", "<de> <gsg> Straße"]


@pytest.mark.parametrize("size", SIZES)
def test_one_key_sets_both_towers(size):
    model = read_experiment(SMALL, [f"model.size={size}"]).model
    layers, width = SIZES[size]
    for tower in (model.pose_tower, model.text_tower):
        assert (tower.layers, tower.width, tower.heads, tower.inner) == (layers, width, width // 64, 4 * width)
    assert model.embed_dim == width


def test_single_settings_stand_above_the_size():
    model = read_experiment(SMALL, ["model.size=mini", "model.text_tower.layers=1"]).model
    assert (model.text_tower.layers, model.text_tower.width, model.pose_tower.layers) == (1, 256, 4)


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (SMALL, ["model.size=huge"], r"model.size is 'huge'; use one of tiny, mini"),
        (LETTERS, ["model.size=tiny"], r"start.model fingerspelling has towers of its own: leave model.size out"),
        (
            LETTERS,
            ["start.vocabulary=500"],
            r"vocabulary 500 makes a new tokenizer, but start.model fingerspelling",
        ),
        (SMALL, ["start.text=bert-base-cased"], r"but start.text bert-base-cased has its own"),
    ],
)
def test_what_cannot_be_combined_is_refused(path, changes, message):
    with pytest.raises(ExperimentError, match=message):
        read_experiment(path, changes)


def test_a_tokenizer_knows_the_words_it_saw_and_spells_others(tmp_path):
    tokenizer = make_tokenizer(TEXTS, tmp_path / "one", size=220)
    again = make_tokenizer(reversed(TEXTS), tmp_path / "two", size=220)
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (tmp_path / "two" / "tokenizer.json").read_bytes()
    seen, unseen = tokenizer.split(["house", "mouse"])
    assert len(seen) == 1
    assert tokenizer.unk_id not in unseen
    # Case and accents distinguish signs' names.
    house, capital, street, without = tokenizer.split(["house", "House", "Straße", "Strasse"])
    assert house != capital
    assert street != without
    assert tokenizer.vocab_size == again.vocab_size <= 220
    assert load_tokenizer(tmp_path / "one").split(TEXTS) == tokenizer.split(TEXTS)


def _manifest(folder, texts):
    rows = []
    for number, text in enumerate(texts):
        miniatures.place_pose(folder / f"{number}.pose", ("ase_A", "gsg_C")[number % 2])
        rows += [f"{number}.pose,{text},en,ase,{part}" for part in (("train", "val") if not number else ("train",))]
    return miniatures.place_text(folder / "manifest.csv", "path,text,spoken_language,sign_language,split", *rows)


@pytest.mark.parametrize(("path", "texts"), [(SMALL, ("house", "A1", "B2", "Straße")), (LETTERS, ("A", "C", "B", "D"))])
def test_a_run_that_needs_no_network(tmp_path, monkeypatch, path, texts, capsys):
    monkeypatch.setattr("models.download.huggingface_hub", None)  # Using it would fail.
    _manifest(tmp_path / "data" / "own", texts)
    places = [f"data.folder={tmp_path / 'data'}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path / 'model'}"]
    small = ["batch.size=3", "epochs=null", "steps=2", "data.validation=[]"]
    assert command.main([str(path), *places, *small, "--cpu"]) == 0
    captured = capsys.readouterr()
    assert "token row" not in captured.err
    tokenizer = load_tokenizer(tmp_path / "model" / "tokenizer")
    assert len({tuple(row) for row in tokenizer.split(texts)}) == len(texts)
    assert np.isfinite(tokenizer.vocab_size)


def test_a_tokenizer_out_of_reach_names_ways_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _manifest(tmp_path / "data" / "own", ("A", "B"))
    changes = [
        "start.model=null",
        "model.size=tiny",
        f"data.folder={tmp_path / 'data'}",
        f"output={tmp_path / 'model'}",
    ]
    assert command.main([str(EXPERIMENTS / "own_data.yaml"), *changes, "precision=no", "--cpu"]) == 1
    error = capsys.readouterr().err
    assert "own_data_small.yaml" in error
    assert "from_fingerspelling.yaml" in error
