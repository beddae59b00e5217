"""The background of the shipped model: made of these weights, and as good as its page says."""

import json

import numpy as np
import pytest

from models.background import read_background
from models.checkpoints.folders import SHIPPED, read_digest
from training.fingerspelling.background import (
    CLIPS_OF_A_KIND,
    HELD_OUT_SEED,
    SEED,
    main,
    measure_acceptance,
)
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.others import KINDS, draw_others, read_poses
from training.fingerspelling.robustness import CHANGES, change_clips
from training.fingerspelling.scoring import embed_letters
from training.fingerspelling.trained import load_trained

FOLDER = SHIPPED / "fingerspelling"
RECORDED = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))["nothing"]


@pytest.fixture(scope="module")
def trained():
    return load_trained("fingerspelling")


@pytest.fixture(scope="module")
def background(trained):
    return read_background(FOLDER / "fingerspelling.null.safetensors", embed_dim=trained.config.embed_dim)


@pytest.fixture(scope="module")
def clips():
    return read_lexicon()


def embed_first(trained, clips, *, seed, count):
    drawn = draw_others(read_poses(clips), count, seed=seed)
    poses = [pose for found in drawn.values() for pose in found]
    return embed_letters(trained.model, change_clips(poses, CHANGES["none"], trim=trained.config.trim))


def test_the_file_was_made_by_these_weights(trained, background, clips):
    assert background.digest == read_digest(FOLDER / "model.safetensors")
    assert background.clips.shape == (len(KINDS) * CLIPS_OF_A_KIND, trained.config.embed_dim)
    firsts = [kind * CLIPS_OF_A_KIND + row for kind in range(len(KINDS)) for row in range(2)]
    np.testing.assert_allclose(
        embed_first(trained, clips, seed=SEED, count=2), background.clips[firsts], atol=1e-3 * background.clips.max()
    )


def test_clips_without_a_letter_are_mostly_refused_and_letters_mostly_kept(trained, background, clips):
    others = embed_first(trained, clips, seed=HELD_OUT_SEED, count=20)
    letters = [clip for clip in clips if clip.sign in ("ase", "gsg") and clip.is_basic]
    kept = embed_letters(trained.model, change_clips(read_poses(letters), CHANGES["none"], trim="auto"))
    shares = measure_acceptance(trained, background.clips, {"others": others, "letters": kept}, sign=None)
    assert shares["others"] <= 10
    assert shares["letters"] >= RECORDED["kept"]["none"] - 10
    assert RECORDED["accepted"]["all"] <= 6


def test_a_model_that_is_not_there_is_an_error(capsys):
    assert main(["nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
