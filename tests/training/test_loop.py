"""The shipped model's training: the loss falls, a seed decides everything, and what is saved is what is served."""

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from models.catalog import CONFIGS, load_catalog
from models.checkpoints.loading import load_model
from training import __main__ as command
from training.batches import ProcessShare
from training.distribution import open_accelerator
from training.errors import DataError, ExperimentError
from training.experiment import EXPERIMENTS, read_experiment
from training.fingerspelling.batches import HandBatches
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.preparation import prepare_letters
from training.fingerspelling.prompts import build_tokenizer, embed_texts
from training.fingerspelling.scoring import embed_letters
from training.loop import train
from training.runs.model_folder import record_sizes

CONFIG = EXPERIMENTS / "fingerspelling.yaml"
SHORT = ["steps=30", "batch.size=32", "optimizer.warmup=5"]


@pytest.fixture(scope="module")
def clips():
    return read_lexicon(languages=frozenset({"ase", "ise"}))


def _train(clips, *changes):
    run, tokenizer, losses = read_experiment(CONFIG, [*SHORT, *changes]), build_tokenizer(clips), []
    accelerator = open_accelerator(run, cpu=True)
    prepared = prepare_letters(run, run.data, clips=clips, tokenizer=tokenizer, accelerator=accelerator)
    report = lambda _, loss: losses.append(loss.item())  # noqa: E731
    model = train(run, prepared.model, sources=prepared.sources, accelerator=accelerator, report=report)
    return model, tokenizer, losses


def _open(run, clips, **options):
    tokenizer = build_tokenizer(clips)
    return HandBatches(run, run.data, clips=clips, tokenizer=tokenizer, sampled_frames=8, **options)


@pytest.fixture(scope="module")
def trained(clips):
    return _train(clips)


def test_loss_falls(trained):
    _, _, losses = trained
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_seed_decides_everything(clips):
    first, second, other = (_train(clips, "steps=3", f"seed={seed}")[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_dot_products_are_logits(trained):
    model, tokenizer, _ = trained
    vectors = torch.from_numpy(embed_texts(model, tokenizer, ["a", "<it> <ise> zz"]))
    assert model.config.logit_scale != pytest.approx(1 / 0.03, rel=1e-3)  # it was learned
    assert vectors.square().sum(1).tolist() == pytest.approx([model.config.logit_scale] * 2, rel=1e-4)


def test_a_batch_follows_from_its_step_alone(clips):
    run = read_experiment(CONFIG, SHORT)
    batches, again = (_open(run, clips) for _ in range(2))
    sought = batches[7]
    for step in (3, 29, 7):
        found = again[step]
    assert torch.equal(found.pose_features, sought.pose_features)
    assert torch.equal(found.input_ids, sought.input_ids)
    assert not torch.equal(again[8].marks, sought.marks)


def test_processes_share_a_batch_out(clips):
    run = read_experiment(CONFIG, SHORT)
    joint = _open(run, clips)[4]
    parts = [_open(run, clips, share=ProcessShare(i, 2))[4] for i in range(2)]
    assert torch.equal(torch.cat([part.pose_features for part in parts]), joint.pose_features)
    assert torch.equal(torch.cat([part.marks for part in parts]), joint.marks)


def test_once_the_pose_tower_is_frozen_clips_are_what_is_served(clips):
    frozen = ["freeze_after={tower: pose, steps: 4}", "data.after_freeze.pairs=6", "data.after_freeze.same_letter=0.25"]
    run, tokenizer = read_experiment(CONFIG, [*SHORT, *frozen]), build_tokenizer(clips)
    batches = _open(run, clips)
    assert batches[3].pose_features.shape[:2] == (32, 8)
    batch = batches[4]
    rows, letters, named, _ = batch.marks.unbind(dim=1)
    accelerator = open_accelerator(run, cpu=True)
    prepared = prepare_letters(run, run.data, clips=clips, tokenizer=tokenizer, accelerator=accelerator)
    tower = prepared.model.eval().pose_tower
    served = embed_letters(prepared.model, [clips[row].features for row in rows])
    with torch.no_grad():
        pooled = functional.normalize(batch.pool_poses(tower), dim=-1)
    torch.testing.assert_close(pooled, functional.normalize(torch.from_numpy(served), dim=-1), rtol=1e-4, atol=1e-5)
    targets = batches.make_targets(batch.marks)
    shared = (letters[:, None] == letters) & (rows[:, None] != rows)
    assert set(targets[shared & named.bool()[:, None]].tolist()) <= {0.25}
    parts = [_open(run, clips, share=ProcessShare(i, 2))[4] for i in range(2)]
    assert torch.equal(torch.cat([part.marks for part in parts]), batch.marks)


def test_pairs_that_processes_cannot_share_are_refused(clips):
    run = read_experiment(CONFIG, [*SHORT, "freeze_after={tower: pose, steps: 4}", "data.after_freeze.pairs=7"])
    with pytest.raises(DataError, match=r"after_freeze\.pairs 7 leaves some of 8 processes without a pair"):
        _open(run, clips, share=ProcessShare(0, 8))


def test_other_models_cannot_read_hands(clips):
    changes = ["model={base: default, pose_tower: {layers: 1}, text_tower: {layers: 1}}", "record=x"]
    run = read_experiment(CONFIG, changes)
    accelerator = open_accelerator(run, cpu=True)
    with pytest.raises(ExperimentError, match="reads no hand geometry"):
        prepare_letters(run, run.data, clips=clips, tokenizer=build_tokenizer(clips), accelerator=accelerator)


@pytest.mark.parametrize("projection", ["none", "linear_l2"])
def test_exemplars_for_a_model_that_could_not_be_served_are_refused_before_it_is_trained(clips, projection):
    run = read_experiment(CONFIG, [*SHORT, f"model.projection={projection}"])
    accelerator = open_accelerator(run, cpu=True)
    with pytest.raises(ExperimentError, match=f"model.projection is {projection}: use l2, or"):
        prepare_letters(run, run.data, clips=clips, tokenizer=build_tokenizer(clips), accelerator=accelerator)


def test_command_writes_what_it_trained(clips, tmp_path, monkeypatch, capsys):
    """As the shipped model is made: the weights in one folder, its configuration in place, logs elsewhere."""
    monkeypatch.setattr("training.fingerspelling.lexicon.read_lexicon", lambda options: clips)
    config = tmp_path / "fingerspelling.yaml"
    config.write_text((CONFIGS / "fingerspelling.yaml").read_text())
    places = [f"output={tmp_path}/weights", f"logs={tmp_path}/logs", f"record={config}"]
    assert command.main([str(CONFIG), *SHORT, "--cpu", *places, "steps=4"]) == 0
    assert "text to pose R@1" in capsys.readouterr().out
    written = load_catalog(tmp_path)["fingerspelling"]
    expected, tokenizer, _ = _train(clips, "steps=4")
    assert written.logit_scale == expected.config.logit_scale
    assert written.exemplars == len(clips)
    assert Tokenizer.from_file(str(tmp_path / "weights/tokenizer/tokenizer.json")).get_vocab() == tokenizer.get_vocab()
    model = load_model(tmp_path / "weights" / "model.safetensors", written)
    features = [clip.features for clip in clips[:3]]
    assert (embed_letters(model, features) == embed_letters(expected, features)).all()
    names = ["model.safetensors", "tokenizer", "training.yaml"]
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == names
    assert (tmp_path / "logs" / "steps.csv").is_file()


def test_command_goes_on_or_begins_anew(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.fingerspelling.lexicon.read_lexicon", lambda options: clips)
    places = [f"output={tmp_path}/letters", "logs=null", "record=null", "save_every=2", "steps=3", "freeze_after=null"]
    arguments = [str(CONFIG), *SHORT, *places, "--cpu"]
    for more, finished in (([], False), ([], True), (["--restart"], False)):
        assert command.main([*arguments, *more]) == 0
        assert ("was already finished" in capsys.readouterr().out) == finished
    assert command.main([*arguments, "seed=1"]) == 1
    assert "seed 0, now 1" in capsys.readouterr().err
    # A folder of its own gets a configuration of its own.
    assert load_catalog(weights=tmp_path)["letters"].pose_frontend == "hand_geometry"


@pytest.mark.parametrize(
    ("changes", "message"),
    [(["stepz=3"], "no setting stepz"), (["precision=fp16"], "precision fp16"), (["model.base=x"], "no model 'x'")],
)
def test_command_names_what_it_refuses(capsys, monkeypatch, changes, message):
    # Should it not refuse, it must not go on to train the model that ships.
    monkeypatch.setattr(command, "train_prepared", lambda *_, **__: pytest.fail("it was not refused"))
    assert command.main([str(CONFIG), *changes, "--cpu"]) == 1
    assert message in capsys.readouterr().err


def test_sizes_are_recorded_without_touching_the_rest(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("# why\nlogit_scale: 1.0\nexemplars: 0\ntext_tower: {width: 8, vocab_size: 200}\n")
    record_sizes(path, logit_scale=31.5, vocab_size=217, exemplars=60)
    assert path.read_text() == "# why\nlogit_scale: 31.5\nexemplars: 60\ntext_tower: {width: 8, vocab_size: 217}\n"
