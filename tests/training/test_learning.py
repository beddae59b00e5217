"""One step of learning against plain PyTorch; chunks and processes against one batch in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.nn import functional

from tests.training.synthetic_pairs import HeldPairs, PairBatches, tiny_model, tiny_run
from training.distribution import open_accelerator
from training.errors import ExperimentError
from training.learning import Learner
from training.seeds import DROPOUT, derive_seed
from training.validation import Validator

ROOT = Path(__file__).parents[2]
NO_DROPOUT = {"dropout": 0.0}


def _learner(run):
    return Learner(run, tiny_model(run.model), accelerator=open_accelerator(run, cpu=True), steps=run.steps)


def _gradients(run, *, targets=None, batches=None):
    learner, batches = _learner(run), batches or PairBatches()
    loss = learner.accumulate_gradients(3, batches[3], make_targets=targets or batches.make_targets)
    return loss, {name: parameter.grad for name, parameter in learner.contrastive.named_parameters()}


def _assert_close(gradients, expected):
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        if expected[name] is None:
            assert gradient is None, name
        else:
            torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_step_is_that_of_plain_pytorch(tmp_path):
    run = tiny_run(
        tmp_path, model=NO_DROPOUT, optimizer={"warmup": 0, "weight_decay": 0.1, "clip_norm": 0.5, "decay_steps": 100}
    )
    learner, batches = _learner(run), PairBatches()
    loss = learner.learn(40, batches[3], make_targets=batches.make_targets)

    model, batch = tiny_model(run.model).train(), batches[3]
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    # 1e-2 after 40 of the 100 steps of its way to 0.
    optimizer = torch.optim.AdamW(groups, lr=0.6e-2, betas=(0.9, 0.98), eps=1e-8)
    poses = model.encode_pose(batch.pose_features, batch.frame_mask)
    texts = model.encode_text(batch.input_ids, batch.attention_mask)
    own = torch.arange(len(poses))
    expected = functional.cross_entropy(poses @ texts.T, own) + functional.cross_entropy(texts @ poses.T, own)
    expected.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()

    assert norm.item() > 0.5  # or clipping would not be tested
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    weights = learner.contrastive.model.state_dict()
    for name, tensor in model.state_dict().items():
        if name.endswith("key.bias"):
            continue  # adds the same to all scores of a query: its gradient is 0 but for rounding, which Adam scales up
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-6, msg=name)


def test_unit_vectors_learn_their_scale_from_soft_targets(tmp_path):
    wanted = torch.eye(8) + 0.2 * torch.ones(8, 8).triu()
    run = tiny_run(
        tmp_path,
        model={**NO_DROPOUT, "projection": "l2", "logit_scale": 7.0},
        loss={"learn_scale": True, "temperature": 0.1, "reduction": "mean"},
    )
    loss, gradients = _gradients(run, targets=lambda _: wanted)

    model, batch = tiny_model(run.model), PairBatches()[3]
    log_scale = torch.tensor(10.0).log().requires_grad_()
    poses = functional.normalize(model.pose_tower(batch.pose_features, batch.frame_mask), dim=1)
    texts = functional.normalize(model.text_tower(batch.input_ids, batch.attention_mask), dim=1)
    scores = texts @ poses.T * log_scale.exp()
    by_text = -(wanted / wanted.sum(1, keepdim=True) * scores.log_softmax(1)).sum(1).mean()
    by_clip = -(wanted / wanted.sum(0, keepdim=True) * scores.log_softmax(0)).sum(0).mean()
    expected = (by_text + by_clip) / 2
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    plain = {f"model.{name}": parameter.grad for name, parameter in model.named_parameters()}
    _assert_close(gradients, plain | {"log_scale": log_scale.grad})


def test_a_learned_scale_stays_within_its_bound_and_can_leave_it(tmp_path):
    changes = {"learn_scale": True, "temperature": 0.5, "largest_scale": 2.0}
    run = tiny_run(tmp_path, model={**NO_DROPOUT, "projection": "l2"}, loss=changes, optimizer={"warmup": 0})
    learner, batches = _learner(run), PairBatches()
    learner.contrastive.limit_scale()
    assert learner.contrastive.scale.item() == pytest.approx(2)
    with torch.no_grad():
        learner.contrastive.log_scale.fill_(3.0)  # as a step that overshoots
    learner.contrastive.limit_scale()
    assert learner.contrastive.scale.item() == pytest.approx(2)
    # Clips and texts are noise, so that a smaller scale always helps.
    learner.learn(0, batches[0], make_targets=batches.make_targets)
    assert learner.contrastive.scale.item() < 2
    kept = _learner(tiny_run(tmp_path, loss={"temperature": 0.001}))
    assert kept.contrastive.scale.item() == pytest.approx(1000)
    assert kept.contrastive.make_final_config().logit_scale == 1000


@pytest.mark.parametrize("chunk", [1, 3, 4])
def test_chunks_give_the_gradients_of_the_whole_batch(tmp_path, chunk):
    whole = _gradients(tiny_run(tmp_path, model=NO_DROPOUT))
    chunked = _gradients(tiny_run(tmp_path, model=NO_DROPOUT, batch={"chunk": chunk}))
    assert chunked[0].item() == pytest.approx(whole[0].item(), rel=1e-6)
    _assert_close(chunked[1], whole[1])


def test_chunks_drop_the_same_numbers_both_times(tmp_path):
    run = tiny_run(tmp_path, model={"dropout": 0.3}, batch={"chunk": 3})
    loss, gradients = _gradients(run)

    learner, batch = _learner(run), PairBatches()[3]
    parts = []
    for number, start in enumerate((0, 3, 6)):
        torch.manual_seed(derive_seed(run.seed, DROPOUT, 3, 0, number))
        parts.append(learner.contrastive.finish(*learner.contrastive.pool(batch.select(slice(start, start + 3)))))
    poses, texts = (torch.cat(rows) for rows in zip(*parts, strict=True))
    expected = learner.contrastive.compute_loss(poses, texts, targets=None)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    _assert_close(gradients, {name: parameter.grad for name, parameter in learner.contrastive.named_parameters()})
    undropped, _ = _gradients(tiny_run(tmp_path, model=NO_DROPOUT))
    assert loss.item() != pytest.approx(undropped.item(), rel=1e-3)


@pytest.mark.parametrize("tower", ["text", "pose"])
def test_frozen_tower_stays_without_gradient_and_dropout(tmp_path, tower):
    run = tiny_run(tmp_path, model={"dropout": 0.5, "projection": "linear"}, start={"freeze": [tower]})
    learner, batches = _learner(run), PairBatches()
    before = {name: tensor.clone() for name, tensor in learner.contrastive.model.state_dict().items()}
    first = learner.contrastive.finish(*learner.contrastive.pool(batches[0]))
    second = learner.contrastive.finish(*learner.contrastive.pool(batches[0]))
    for place, name in enumerate(("pose", "text")):
        assert torch.equal(first[place], second[place]) == (name == tower)
    learner.learn(5, batches[0], make_targets=batches.make_targets)
    for name, tensor in learner.contrastive.model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith(tower), name


def test_frozen_tower_and_chunks_agree(tmp_path):
    start = {"freeze": ["text"]}
    whole = _gradients(tiny_run(tmp_path, model=NO_DROPOUT, start=start))
    chunked = _gradients(tiny_run(tmp_path, model=NO_DROPOUT, start=start, batch={"chunk": 3}))
    _assert_close(chunked[1], whole[1])


@pytest.mark.parametrize("chunk", [None, 3])
def test_scaling_for_half_precision_leaves_the_gradients(tmp_path, chunk):
    """As on a GPU with fp16; a CPU has no use for the scaler, but has one."""
    run = tiny_run(tmp_path, model=NO_DROPOUT, batch={"chunk": chunk}, optimizer={"clip_norm": 100.0})
    _, expected = _gradients(tiny_run(tmp_path, model=NO_DROPOUT))
    AcceleratorState._reset_state()
    accelerator = Accelerator(cpu=True, mixed_precision="fp16")
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", init_scale=1024.0)
    learner, batches = Learner(run, tiny_model(run.model), accelerator=accelerator, steps=run.steps), PairBatches()
    learner.learn(3, batches[3], make_targets=batches.make_targets)
    gradients = {name: parameter.grad for name, parameter in learner.contrastive.named_parameters()}
    found, wanted = (torch.cat([g.flatten() for g in each.values() if g is not None]) for each in (gradients, expected))
    assert (found - wanted).norm() < 0.02 * wanted.norm()
    assert learner.state_dict()["scaler"]["scale"] == 1024.0


# Shares of three and four pairs are uneven.
PROCESS = """
import sys
from pathlib import Path
import torch
from tests.training.synthetic_pairs import HeldPairs, PairBatches, tiny_model, tiny_run
from training.batches import ProcessShare
from training.learning import Learner
from training.distribution import open_accelerator
from training.errors import ExperimentError
from training.validation import Validator

torch.set_num_threads(1)
folder = Path(sys.argv[1])
found = {}
for pairs, chunk in ((8, None), (8, 3), (7, None), (7, 2)):
    run = tiny_run(
        folder,
        model={"dropout": 0.0, "projection": "l2"},
        loss={"learn_scale": True, "temperature": 0.1},
        batch={"size": pairs, "chunk": chunk},
    )
    accelerator = open_accelerator(run, cpu=True)
    assert accelerator.num_processes == 2
    learner = Learner(run, tiny_model(run.model), accelerator=accelerator, steps=run.steps)
    batches = PairBatches(share=ProcessShare(accelerator.process_index, 2), pairs=pairs)
    loss = learner.accumulate_gradients(3, batches[3], make_targets=batches.make_targets)
    gradients = {name: parameter.grad for name, parameter in learner.contrastive.named_parameters()}
    found[pairs, chunk] = {
        "loss": loss,
        "gradients": gradients,
        "metrics": Validator(learner, HeldPairs()).validate(),
        "gathered_bytes": learner.traffic.gathered_bytes,
        "reduced_bytes": learner.traffic.reduced_bytes,
    }
torch.save(found, folder / f"{accelerator.process_index}.pt")
accelerator.end_training()
"""


def test_two_processes_are_one_with_the_joint_batch(tmp_path):
    (tmp_path / "process.py").write_text(PROCESS)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "process.py", "."]
    paths = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    found = [torch.load(tmp_path / f"{process}.pt", weights_only=True) for process in range(2)]
    for pairs in (8, 7):
        run = tiny_run(
            tmp_path,
            model={"dropout": 0.0, "projection": "l2"},
            loss={"learn_scale": True, "temperature": 0.1},
            batch={"size": pairs},
        )
        loss, gradients = _gradients(run, batches=PairBatches(pairs=pairs))
        metrics = Validator(_learner(run), HeldPairs()).validate()
        for chunk in (None, 3 if pairs == 8 else 2):
            for process in range(2):
                one = found[process][pairs, chunk]
                assert float(one["loss"]) == pytest.approx(loss.item(), rel=1e-6)
                _assert_close(one["gradients"], gradients)
                # The main process tells them, of everyone's clips.
                assert one["metrics"] == (pytest.approx(metrics, rel=1e-5) if process == 0 else None)
                # Messages of four pairs, embeddings of 16 numbers from both towers, and a mark of eight bytes.
                assert one["gathered_bytes"] == 4 * (2 * 16 * 4 + 8)
                numbers = sum(gradient.numel() for gradient in gradients.values() if gradient is not None)
                assert one["reduced_bytes"] == 4 * numbers


def test_fewer_pairs_than_processes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Accelerator, "num_processes", 9)
    with pytest.raises(ExperimentError, match=r"batch\.size 8 leaves some of 9 processes without a pair: start fewer"):
        open_accelerator(tiny_run(tmp_path), cpu=True)


@pytest.mark.parametrize("tower", ["text", "pose"])
def test_a_tower_that_is_frozen_later_keeps_its_weights_while_the_other_learns_on(tmp_path, tower):
    run = tiny_run(tmp_path, freeze_after={"tower": tower, "steps": 2}, optimizer={"schedule": "cosine", "warmup": 0})
    learner, batches = _learner(run), PairBatches()
    for step in range(2):
        learner.learn(step, batches[step], make_targets=batches.make_targets)
    before = {name: tensor.clone() for name, tensor in learner.contrastive.model.state_dict().items()}
    # The cosine has come down to almost nothing, and begins anew.
    assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.5e-2)
    learner.learn(2, batches[2], make_targets=batches.make_targets)
    assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(1e-2)
    for name, tensor in learner.contrastive.model.state_dict().items():
        if name.startswith(tower):
            assert torch.equal(tensor, before[name]), name
    other = f"{'pose' if tower == 'text' else 'text'}_tower.bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(learner.contrastive.model.state_dict()[other], before[other])
