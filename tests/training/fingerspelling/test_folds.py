"""Models of folds are trained once and kept whole, with their exemplars."""

import numpy as np
import pytest
import safetensors.torch
import torch

from training.errors import KeptFileError
from training.experiment import EXPERIMENTS, read_experiment_as
from training.fingerspelling import exemplars, folds
from training.fingerspelling.folds import iterate_folds
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.preparation import HandExperiment
from training.fingerspelling.scoring import embed_letters

CHANGES = ["steps=2", "batch.size=16", "freeze_after=null", "data.unknown.clips=1"]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_kept_model_is_the_one_that_was_trained(tmp_path, monkeypatch, share):
    monkeypatch.setattr(exemplars, "CHANGES", ())
    run = read_experiment_as(
        HandExperiment, EXPERIMENTS / "fingerspelling.yaml", changes=[*CHANGES, f"data.exemplars.share={share}"]
    )
    clips = read_lexicon(languages=frozenset({"ase", "ise"}))

    def embed() -> np.ndarray:
        (fold,) = iterate_folds(run, clips, folder=tmp_path, partition=[("ise",)], quiet=True)
        assert (fold.model.pose_tower.exemplars is not None) == bool(share)
        vectors = embed_letters(fold.model, [clip.features for clip in clips[:5]])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    trained = embed()
    monkeypatch.setattr(folds, "train_fold", lambda *_, **__: pytest.fail("it was trained again"))
    np.testing.assert_allclose(embed(), trained, atol=1e-6)  # their scales differ, which rounds otherwise
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(KeptFileError, match=r"\.safetensors is damaged .*; remove it"):
        embed()
    safetensors.torch.save_file({"other": torch.zeros(1)}, kept)
    with pytest.raises(KeptFileError, match=r"\.safetensors is damaged .*; remove it"):
        embed()
