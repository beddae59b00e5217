"""The weights in git: they load strictly, stay small, and know what their README says they know."""

import json
import string
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from corpora.prompts import tag_text
from models.background import FILE, read_background
from models.catalog import load_catalog
from models.checkpoints.folders import read_digest
from models.checkpoints.loading import load_model
from poses import FeatureOptions, extract, read
from search.null import DEFAULT_RATE, count_needed
from training.fingerspelling.background import CLIPS_OF_A_KIND
from training.fingerspelling.dictionary import score_dictionary
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.others import KINDS
from training.fingerspelling.prompts import build_tokenizer, embed_texts
from training.fingerspelling.scoring import embed_letters

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "weights" / "fingerspelling"
CONFIG = load_catalog()["fingerspelling"]
LIMIT_BYTES = 8_000_000


@pytest.fixture(scope="module")
def model():
    return load_model(FOLDER / "model.safetensors", CONFIG)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(FOLDER / "tokenizer" / "tokenizer.json"))


@pytest.fixture(scope="module")
def clips():
    return read_lexicon(options=FeatureOptions(trim=CONFIG.trim))


def test_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < LIMIT_BYTES


@pytest.mark.parametrize("spoken", ["en", "de", "xx", None])
def test_letter_a_beats_the_other_letters(model, tokenizer, spoken):
    pose = read((ROOT / "tests" / "golden" / "poses" / "ase_A.pose").read_bytes())
    clip = embed_letters(model, [extract(pose, CONFIG.features)])[0]
    texts = embed_texts(
        model, tokenizer, [tag_text(letter, sign="ase", spoken=spoken) for letter in string.ascii_uppercase]
    )
    assert (texts @ clip).argmax() == 0


def test_dictionary_metrics_are_the_recorded_ones(model, tokenizer, clips):
    metrics = score_dictionary(model, tokenizer, clips)
    recorded = json.loads((FOLDER / "results.json").read_text())["dictionary"]
    for spoken_tag, row in metrics.items():
        assert row == pytest.approx(recorded[spoken_tag], abs=0.4)  # two clips of 600: other processors round otherwise


def test_the_background_is_of_these_weights_and_keeps_letters_apart_from_other_clips():
    background = read_background(FOLDER / f"fingerspelling.{FILE}", embed_dim=CONFIG.embed_dim)
    assert background.digest == read_digest(FOLDER / "model.safetensors")
    assert len(background.clips) == len(KINDS) * CLIPS_OF_A_KIND
    assert len(background.texts) >= count_needed(DEFAULT_RATE)
    recorded = json.loads((FOLDER / "results.json").read_text())["nothing"]
    assert recorded["background"] == len(background.clips)
    assert recorded["kept"]["none"] >= 95
    assert recorded["accepted_where_95_%_are_kept"]["all"] <= 5


def test_configuration_matches_the_lexicon(tokenizer, clips):
    assert set(CONFIG.sign_languages) == {clip.sign for clip in clips}
    assert set(CONFIG.spoken_languages) == {clip.spoken for clip in clips}
    assert tokenizer.get_vocab() == build_tokenizer(clips).get_vocab()
    assert CONFIG.text_tower.vocab_size == tokenizer.get_vocab_size()


def test_every_clip_of_the_lexicon_fits(clips):
    assert max(len(clip.features) for clip in clips) <= CONFIG.max_frames
    assert clips[0].path.is_file()
    assert all(np.isfinite(clip.features).all() for clip in clips)
