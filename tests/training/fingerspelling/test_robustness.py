"""The shipped model on clips as webcams give them: what its page says is what comes out."""

import json

import pytest

from models.checkpoints.folders import SHIPPED
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.others import read_poses
from training.fingerspelling.robustness import (
    CHANGES,
    LANGUAGES,
    TRIMS,
    LetterTest,
    format_changes,
    main,
)
from training.fingerspelling.trained import load_trained
from training.fingerspelling.webcam import change_clips

RECORDED = json.loads((SHIPPED / "fingerspelling" / "results.json").read_text(encoding="utf-8"))["webcam"]


@pytest.fixture(scope="module")
def letters():
    return [clip for clip in read_lexicon(languages=frozenset(LANGUAGES)) if clip.is_basic]


@pytest.mark.parametrize("change", ["none", "hands lowered 2 s", "no depth"])
def test_the_recorded_metrics_are_reproduced(change, letters):
    test, poses = LetterTest(load_trained("fingerspelling"), letters), read_poses(letters)
    for trim in TRIMS:
        metrics = test.score(change_clips(poses, CHANGES[change], trim=trim))
        # One clip of 26: other processors round otherwise.
        assert metrics == pytest.approx(RECORDED["changes"][trim][change], abs=4)


def test_trimming_brings_back_what_a_lowered_hand_costs():
    whole, trimmed = (RECORDED["changes"][trim]["hands lowered 2 s"] for trim in TRIMS)
    assert all(whole[name] + 5 < trimmed[name] for name in whole)
    assert whole["bare"] + 30 < trimmed["bare"]
    assert min(trimmed.values()) >= 95
    assert all(score >= 95 for score in RECORDED["lowered_dictionary"]["own"].values())


def test_clips_without_depth_are_named_by_languages():
    flat = RECORDED["changes"]["auto"]["no depth"]
    assert all(flat[language] >= 90 for language in LANGUAGES)
    assert flat["bare"] >= 80


def test_the_table_has_a_row_for_every_change():
    table = format_changes(RECORDED["changes"])
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == list(CHANGES)
    low, high = (RECORDED["changes"][trim]["hands lowered 2 s"]["ase"] for trim in TRIMS)
    assert f"| hands lowered 2 s | {low:.0f} → {high:.0f} |" in table


def test_a_model_that_is_not_there_is_an_error(capsys):
    assert main(["nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
