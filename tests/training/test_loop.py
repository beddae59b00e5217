"""Training itself: the loss falls, a seed decides everything, and what is saved is what the service loads."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.letters import embed_clips
from models.catalog import load_catalog
from models.checkpoint import load_model
from training.__main__ import record_sizes, save_model
from training.datasets.fingerspelling import read_lexicon
from training.experiment import Experiment, ExperimentError, read_experiment
from training.loop import train
from training.prompts import build_tokenizer, embed_texts

CONFIG = Path(__file__).parents[2] / "configs" / "experiments" / "fingerspelling.yaml"


@pytest.fixture(scope="module")
def clips():
    return read_lexicon(languages=frozenset({"ase", "ise"}))


@pytest.fixture(scope="module")
def run() -> Experiment:
    return replace(read_experiment(CONFIG), steps=30, batch_size=32, warmup=5)


def _train(run, clips):
    losses = []
    tokenizer = build_tokenizer(clips)
    model = train(run, load_catalog()[run.model], clips, tokenizer, lambda _, loss: losses.append(loss))
    return model, tokenizer, losses


@pytest.fixture(scope="module")
def trained(run, clips):
    return _train(run, clips)


def test_loss_falls(trained):
    _, _, losses = trained
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_seed_decides_everything(run, clips, trained):
    short = replace(run, steps=3)
    first, second = _train(short, clips)[0], _train(short, clips)[0]
    other = _train(replace(short, seed=1), clips)[0]
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert any(not torch.equal(tensor, other.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_saved_model_is_the_trained_one(trained, clips, tmp_path):
    model, tokenizer, _ = trained
    save_model(model, tmp_path, experiment="test")
    loaded = load_model(tmp_path / "model.safetensors", model.config)
    features = [clip.features for clip in clips[:3]]
    assert (embed_clips(loaded, features) == embed_clips(model, features)).all()
    texts = ["<en> <ase> A", "b"]
    assert (embed_texts(loaded, tokenizer, texts) == embed_texts(model, tokenizer, texts)).all()


def test_dot_products_are_logits(trained, clips):
    model, tokenizer, _ = trained
    vectors = torch.from_numpy(embed_texts(model, tokenizer, ["a", "<it> <ise> zz"]))
    assert vectors.square().sum(1).tolist() == pytest.approx([model.config.logit_scale] * 2, rel=1e-4)


def test_sizes_are_recorded_without_touching_the_rest(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("# why\nlogit_scale: 1.0\ntext_tower: {width: 8, vocab_size: 200}\n")
    record_sizes(path, logit_scale=31.5, vocab_size=217)
    assert path.read_text() == "# why\nlogit_scale: 31.5\ntext_tower: {width: 8, vocab_size: 217}\n"


def test_changes_from_the_command_line():
    run = read_experiment(CONFIG, ["steps=7", "learning_rate=1", "augmentation.noise=0", "prompts.untagged=0.5"])
    assert (run.steps, run.learning_rate, run.augmentation.noise, run.prompts.untagged) == (7, 1.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps", "write key=value"),
        ("stepz=3", "no setting stepz"),
        ("augmentation.nois=3", "augmentation: no setting nois"),
        ("steps=many", "steps is 'many'"),
    ],
)
def test_wrong_changes_are_named(change, message):
    with pytest.raises(ExperimentError, match=message):
        read_experiment(CONFIG, [change])
