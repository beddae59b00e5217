"""The held-out protocol: nothing leaks, folds are kept, the table adds up."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from poses import FeatureOptions
from training.errors import KeptFileError
from training.experiment import read_experiment_as
from training.fingerspelling import crossvalidate
from training.fingerspelling.crossvalidate import (
    SETTINGS,
    score_baseline,
    score_fold,
    summarize,
)
from training.fingerspelling.lexicon import (
    DUPLICATE,
    SPLITS,
    draw_final_partition,
    read_lexicon,
)
from training.fingerspelling.preparation import HandExperiment

CONFIG = Path(__file__).parents[3] / "configs" / "experiments" / "fingerspelling.yaml"
LANGUAGES = frozenset({"ase", "ise"})


@pytest.fixture(scope="module")
def run():
    return read_experiment_as(HandExperiment, CONFIG, changes=["steps=4", "batch.size=16"])


@pytest.mark.parametrize("partition", [SPLITS, draw_final_partition()], ids=["protocol", "final"])
def test_partitions_hold_every_language_out_once(partition):
    held_out = [tag for split in partition for tag in split]
    assert len(held_out) == len(set(held_out)) == 19
    assert DUPLICATE not in held_out


def test_final_partition_is_another_one():
    assert draw_final_partition() == draw_final_partition()
    assert not {frozenset(split) for split in SPLITS} & {frozenset(split) for split in draw_final_partition()}


def test_fold_trains_without_the_held_out_languages(monkeypatch, run):
    clips = read_lexicon(languages=LANGUAGES)
    mirrored = read_lexicon(languages=LANGUAGES, options=FeatureOptions(flip="always"))
    shown = {}
    prepare = crossvalidate.prepare_letters

    def watched(run, data, *, clips, tokenizer, accelerator):
        shown["languages"] = {clip.sign for clip in clips}
        shown["vocabulary"] = set(tokenizer.get_vocab())
        return prepare(run, data, clips=clips, tokenizer=tokenizer, accelerator=accelerator)

    monkeypatch.setattr(crossvalidate, "prepare_letters", watched)
    ranks = score_fold(run, clips, mirrored=mirrored, held_out=("ise",), quiet=True)
    assert shown["languages"] == {"ase"}
    assert "ise" not in shown["vocabulary"]
    assert list(ranks) == list(SETTINGS)
    tested = sum(clip.is_basic for clip in clips if clip.sign == "ise")
    assert all(len(found) == tested for found in ranks.values())
    # One-handed clips cost nothing to mirror: the encoder turns them back.
    assert ranks["mirrored"] == ranks["no tag"]


def test_folds_are_kept_until_the_recipe_changes(monkeypatch, run, tmp_path):
    calls, ranks = [], {setting: [1] for setting in SETTINGS}
    monkeypatch.setattr(crossvalidate, "score_fold", lambda *_, **__: calls.append(1) or ranks)
    path = tmp_path / "ase-seed0.json"
    clips = [SimpleNamespace(is_basic=True, sign="ase"), SimpleNamespace(is_basic=True, sign="ise")]
    for recipe in (run, run, run.model_copy(update={"steps": 5})):
        fold = crossvalidate._read_or_score_fold(path, recipe, clips, mirrored=[], held_out=("ase",))
        assert fold == ranks
    assert len(calls) == 2
    assert json.loads(path.read_text())["run"]["steps"] == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"ranks"', '"rank"'),
        lambda text: text.replace('"mirrored"', '"mirror"'),
        lambda text: text.replace("[7]", "[7, 7]"),
        lambda text: text.replace("[7]", "[7.5]"),
        lambda text: text.replace("[7]", "7"),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_fold_is_named(monkeypatch, run, tmp_path, damage):
    monkeypatch.setattr(crossvalidate, "score_fold", lambda *_, **__: {setting: [7] for setting in SETTINGS})
    path = tmp_path / "ase-seed0.json"
    clips = [SimpleNamespace(is_basic=True, sign="ase")]
    crossvalidate._read_or_score_fold(path, run, clips, mirrored=[], held_out=("ase",))
    path.write_text(damage(path.read_text()))
    with pytest.raises(KeptFileError, match=r"ase-seed0\.json is damaged .*; remove it"):
        crossvalidate._read_or_score_fold(path, run, clips, mirrored=[], held_out=("ase",))


def test_baseline_never_meets_the_clip_itself():
    clips = read_lexicon(languages=LANGUAGES)
    ranks = score_baseline(clips, [("ase",), ("ise",)])
    assert len(ranks) == sum(clip.is_basic for clip in clips)
    assert 1 < ranks.mean() < 13


def test_table_adds_up():
    signs = np.array(["ase", "ase", "cse", "cse"])
    ranks = {setting: np.array([1, 2, 1, 9]) for setting in SETTINGS}
    better = {setting: np.array([1, 1, 1, 1]) for setting in SETTINGS}
    summary = summarize([ranks, better], np.array([9, 9, 1, 9]), signs=signs)
    assert summary["rows"]["no tag"]["R@1"] == 75.0
    assert summary["rows"]["no tag"]["R@1_by_seed"] == [50.0, 100.0]
    assert summary["rows"]["two-handed"]["clips"] == 2
    assert summary["rows"]["nearest neighbour"]["R@1"] == 25.0
    assert summary["R@1_by_language"] == {"ase": 75.0, "cse": 75.0}


def test_other_data_are_refused(capsys):
    other = str(CONFIG.parent / "own_data.yaml")
    assert crossvalidate.main([other, "start.model=null"]) == 1
    assert "data.kind: Input should be 'hands' (it is 'clips')" in capsys.readouterr().err
