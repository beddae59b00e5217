"""The background of a model of letters: what it holds, and how what it accepts is measured."""

import json
import shutil

import numpy as np
import pytest

from models.background import read_background
from models.checkpoints.folders import ENVIRONMENT_VARIABLE, SHIPPED, read_digest
from training.fingerspelling import background as command
from training.fingerspelling.background import main, measure_acceptance
from training.fingerspelling.card import render_nothing
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.others import KINDS, draw_others, read_poses
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.robustness import CHANGES
from training.fingerspelling.scoring import embed_letters
from training.fingerspelling.trained import load_trained
from training.fingerspelling.webcam import change_clips

COUNT = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of weights in which the command has made a small background, and its metrics."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(SHIPPED / "fingerspelling", folder / "fingerspelling")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT_VARIABLE, str(folder))
        patch.setattr(command, "CLIPS_OF_A_KIND", COUNT)
        patch.setattr(command, "read_lexicon", lambda: read_lexicon(languages=frozenset({"ase"})))
        assert main(["fingerspelling", "--json", str(folder / "results.json")]) == 0
    return folder


def test_the_file_holds_what_the_model_makes_of_clips_without_a_letter(made):
    trained, clips = load_trained("fingerspelling"), read_lexicon(languages=frozenset({"ase"}))
    found = read_background(made / "fingerspelling" / "fingerspelling.null.safetensors", embed_dim=128)
    assert found.digest == read_digest(SHIPPED / "fingerspelling" / "model.safetensors")
    drawn = [pose for poses in draw_others(read_poses(clips), COUNT, seed=command.SEED).values() for pose in poses]
    expected = embed_letters(trained.model, change_clips(drawn, CHANGES["none"], trim=trained.config.trim))
    np.testing.assert_allclose(found.clips, expected, atol=1e-4 * np.abs(expected).max())


def test_the_metrics_are_shares_of_each_kind(made):
    metrics = json.loads((made / "results.json").read_text())["nothing"]
    assert metrics["background"] == len(KINDS) * COUNT
    assert set(metrics["accepted"]) == set(metrics["accepted_where_95_%_are_kept"]) == {*KINDS, "all"}
    assert metrics["accepted"]["all"] == pytest.approx(np.mean([metrics["accepted"][kind] for kind in KINDS]), abs=0.1)
    assert all(0 <= share <= 100 for share in metrics["kept"].values())
    assert set(metrics["kept"]) == {"none", "hands lowered 2 s", "no depth", "hands lost in 30 %"}
    table = render_nothing({"nothing": metrics})
    stricter = metrics["accepted_where_95_%_are_kept"]["all"]
    assert f"| all | {metrics['accepted']['all']:.1f} | {stricter:.1f} |" in table
    assert f"| as they are | {metrics['kept']['none']:.1f} |" in table


def test_texts_of_the_background_have_the_tags_of_every_language_and_no_letter(made):
    trained, clips = load_trained("fingerspelling"), read_lexicon(languages=frozenset({"ase"}))
    found = read_background(made / "fingerspelling" / "fingerspelling.null.safetensors", embed_dim=128)
    tags = ("", "<en> <ase> ", "<ase> ")
    texts = [tag + " ".join(["word"] * words) for tag in tags for words in (1, 2, 3)]
    np.testing.assert_allclose(found.texts, embed_texts(trained.model, trained.tokenizer, texts), atol=1e-4)
    assert {clip.spoken for clip in clips} == {"en"}


def test_a_stricter_threshold_is_the_one_that_19_in_20_letters_pass():
    trained = load_trained("fingerspelling")
    rows = np.random.default_rng(1).normal(size=(200, 128)).astype(np.float32)
    shares = measure_acceptance(trained, rows, {"itself": rows, "twice": 2 * rows}, sign="ase", kept=rows)
    assert shares["itself"] == pytest.approx(95, abs=0.5)
    assert shares["twice"] > shares["itself"]


def test_as_much_of_the_background_is_accepted_as_is_asked_for():
    trained = load_trained("fingerspelling")
    rows = np.random.default_rng(0).normal(size=(200, 128)).astype(np.float32)
    shares = measure_acceptance(trained, rows, {"itself": rows, "texts": np.zeros((3, 128), np.float32)}, sign="ase")
    assert 3 <= shares["itself"] <= 5


def test_a_model_that_is_not_there_is_an_error(capsys):
    assert main(["nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
