"""Batches without padding against the padded modules: the same embeddings and gradients, in whole and in chunks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from models.backends.attention import Segments, attend_by_item, attend_padded
from tests.training.synthetic_pairs import VOCABULARY, PairBatches, tiny_model, tiny_run
from training import packed_towers
from training.batches import PairBatch
from training.distribution import open_accelerator
from training.learning import Learner
from training.packed_batches import PackedBatch, pack_pairs
from training.packed_towers import pool_texts, unpack

COUNTS = st.lists(st.tuples(st.integers(1, 9), st.integers(2, 8)), min_size=1, max_size=7)


def pack(padded: PairBatch, dtype=torch.float32) -> PackedBatch:
    clips = [row[mask].numpy() for row, mask in zip(padded.pose_features, padded.frame_mask, strict=True)]
    texts = [row[mask].int().numpy() for row, mask in zip(padded.input_ids, padded.attention_mask, strict=True)]
    return pack_pairs(clips, texts, marks=padded.marks.numpy(), dtype=dtype)


class PackedPairs(PairBatches):
    """The noise of PairBatches, without its padding."""

    def __getitem__(self, step):
        return pack(super().__getitem__(step))


def draw(counts, seed=0):
    rng = np.random.default_rng(seed)
    clips = [rng.standard_normal((frames, 12), dtype=np.float32) for frames, _ in counts]
    texts = [rng.integers(4, VOCABULARY, tokens).astype(np.int32) for _, tokens in counts]
    return clips, texts, np.arange(len(counts))[:, None]


def learn(run, batches, step=3):
    learner = Learner(run, tiny_model(run.model), accelerator=open_accelerator(run, cpu=True), steps=run.steps)
    loss = learner.accumulate_gradients(step, batches[step], make_targets=batches.make_targets)
    return loss, {name: parameter.grad for name, parameter in learner.contrastive.named_parameters()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch": {"chunk": 3}},
        {"model": {"convolutions": 2}},
        {"start": {"freeze": ["pose"]}},
        {"model": {"projection": "linear_l2"}, "batch": {"chunk": 5}},
    ],
)
def test_gradients_are_those_of_padded_batches(tmp_path, changes):
    run = tiny_run(tmp_path, **{**changes, "model": {"dropout": 0.0, **changes.get("model", {})}})
    expected_loss, expected = learn(run, PairBatches())
    loss, found = learn(run, PackedPairs())
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-5)
    assert any(gradient is not None for gradient in expected.values())
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, name
        else:
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_texts_on_a_gpu_run_without_padding(tmp_path):
    """On a CPU texts of equal length run together; the way of a GPU gives the same."""
    tower = tiny_model(tiny_run(tmp_path).model).text_tower.eval()
    batch = PackedPairs()[5]
    counts = batch.attention_mask.sum(dim=1)
    found = pool_texts(tower, batch.input_ids, counts, longest=int(counts.max()))
    torch.testing.assert_close(found, batch.pool_texts(tower), rtol=1e-4, atol=1e-6)


def test_dropout_is_on_in_training_and_drawn_from_the_seed(tmp_path):
    run = tiny_run(tmp_path, model={"dropout": 0.3})
    (first, _), (again, _) = learn(run, PackedPairs()), learn(run, PackedPairs())
    other, _ = learn(run.change_seed(1), PackedPairs())
    undropped, _ = learn(tiny_run(tmp_path, model={"dropout": 0.0}), PackedPairs())
    assert first.item() == again.item()
    assert len({first.item(), other.item(), undropped.item()}) == 3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # PyTorch's own, while it traces
def test_compiled_layers_give_the_same_gradients(tmp_path, monkeypatch):
    compiled = []

    def trace(function, **options):
        compiled.append(options)
        # Traced as by default, but not turned into machine code, which takes half a minute.
        return compile_function(function, backend="eager", **options)

    compile_function = torch.compile
    expected_loss, expected = learn(tiny_run(tmp_path, model={"dropout": 0.0}), PackedPairs())
    monkeypatch.setattr(torch, "compile", trace)
    loss, found = learn(tiny_run(tmp_path, model={"dropout": 0.0}, compile=True), PackedPairs())
    assert compiled == [{"dynamic": True}] * 6  # three parts of the one layer of each tower
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_bfloat16_is_for_products_only(tmp_path, monkeypatch):
    """Losses, norms, similarities, gradients and Adam's memory are float32, in which numbers that are close differ."""
    run = tiny_run(tmp_path, precision="bf16", model={"projection": "linear_l2"}, optimizer={"warmup": 0})
    learner = Learner(run, tiny_model(run.model), accelerator=open_accelerator(run, cpu=True), steps=run.steps)
    seen = {}

    def record(kind):
        return lambda module, inputs, output: seen.setdefault(kind, set()).update({output.dtype})

    for name, module in learner.contrastive.named_modules():
        # The frames' own norm follows a product. On CUDA it is computed in float32, on a CPU in the product's format.
        if isinstance(module, torch.nn.LayerNorm | torch.nn.Linear) and not name.endswith("mlp.LayerNorm"):
            module.register_forward_hook(record(type(module).__name__))
    compare = learner.contrastive.compute_loss

    def compute_loss(poses, texts, *, targets):
        seen["embeddings"] = {poses.dtype, texts.dtype}
        assert not torch.is_autocast_enabled("cpu")
        return compare(poses, texts, targets=targets)

    monkeypatch.setattr(learner.contrastive, "compute_loss", compute_loss)
    loss = learner.learn(5, PackedPairs()[5], make_targets=PackedPairs().make_targets)
    # Both projections come after the towers, in float32.
    assert seen == {
        "Linear": {torch.bfloat16, torch.float32},
        "LayerNorm": {torch.float32},
        "embeddings": {torch.float32},
    }
    assert loss.dtype == torch.float32
    learned = [parameter for parameter in learner.contrastive.parameters() if parameter.grad is not None]
    assert {parameter.grad.dtype for parameter in learned} == {torch.float32}
    moments = [each for state in learner.optimizer.state.values() for each in (state["exp_avg"], state["exp_avg_sq"])]
    assert {moment.dtype for moment in moments} == {torch.float32}
    assert all(group["fused"] for group in learner.optimizer.param_groups)


@pytest.mark.parametrize("prepare", [attend_by_item, attend_padded])
def test_attention_drops_what_it_is_told_to(prepare):
    """Values of 1: what is attended to is 1 without dropout, and 1 in the mean with it."""
    segments = Segments(torch.tensor([0, 40, 100]), 60, 100)
    query, key = torch.randn(2, 100, 4, 8, generator=torch.Generator().manual_seed(0))
    value = torch.ones(100, 4, 8)
    torch.manual_seed(0)
    assert torch.allclose(prepare(segments)(query, key, value), value)
    dropped = prepare(segments, dropout=0.5)(query, key, value)
    assert dropped.std() > 0.1
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


@given(COUNTS, st.data())
def test_some_pairs_of_a_batch_are_a_batch_of_these_pairs(counts, data):
    clips, texts, marks = draw(counts)
    start = data.draw(st.integers(0, len(counts) - 1))
    rows = slice(start, data.draw(st.integers(start + 1, len(counts))))
    found = pack_pairs(clips, texts, marks=marks).select(rows)
    expected = pack_pairs(clips[rows], texts[rows], marks=marks[rows])
    for name in ("pose_features", "frame_mask", "input_ids", "attention_mask", "marks"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert found.list_texts() == [text.tolist() for text in texts[rows]]


@given(COUNTS)
def test_unpacked_items_stand_at_the_beginning_of_their_rows(counts):
    clips, texts, marks = draw(counts)
    batch = pack_pairs(clips, texts, marks=marks)
    padded = unpack(batch.pose_features, batch.frame_mask)
    for row, clip in zip(padded, clips, strict=True):
        np.testing.assert_array_equal(row[: len(clip)], clip)
        assert not row[len(clip) :].any()


def test_broken_coordinates_stay_finite_in_half_precision():
    clips, texts, marks = draw([(4, 3), (2, 2)])
    clips[1][1, 5] = -1e6
    clips[0].flags.writeable = False  # as those of the cache are
    batch = pack_pairs(clips, texts, marks=marks, dtype=torch.float16)
    assert batch.pose_features.isfinite().all()
    assert batch.pose_features[5, 5] == -65504
    np.testing.assert_array_equal(batch.pose_features[:4], clips[0].astype(np.float16))


def test_a_workers_batch_lies_in_shared_memory():
    made = PackedPairs()
    loader = DataLoader(made, batch_size=None, sampler=range(2), num_workers=1, multiprocessing_context="fork")
    for step, batch in enumerate(loader):
        assert batch.pose_features.is_shared()
        assert torch.equal(batch.pose_features, made[step].pose_features)


def test_a_kernel_that_is_missing_or_wrong_is_not_used(monkeypatch):
    """A CPU has no kernel that reads offsets. One that ignores dropout's neighbour, the value, is wrong."""
    runs = packed_towers._attention_runs.__wrapped__
    device = torch.device("cpu")
    assert not runs(device, torch.bfloat16)
    monkeypatch.setattr(packed_towers, "attend_with_dropout", attend_by_item)
    assert runs(device, torch.bfloat16)
    assert not runs(device, torch.float32)  # the kernel has no such format
    monkeypatch.setattr(packed_towers, "attend_with_dropout", lambda segments: lambda query, key, value: query * value)
    assert not runs(device, torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_embeddings_and_gradients_of_a_cpu(tmp_path):
    assert packed_towers._attention_runs(torch.device("cuda"), torch.bfloat16)
    batch = PackedPairs()[3]
    model = tiny_model(tiny_run(tmp_path, model={"dropout": 0.0}).model)
    expected = batch.pool_poses(model.pose_tower), batch.pool_texts(model.text_tower)
    model, batch = model.to("cuda"), batch.to(torch.device("cuda"))
    found = batch.pool_poses(model.pose_tower), batch.pool_texts(model.text_tower)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-3, atol=1e-4)
    with torch.autocast("cuda", torch.bfloat16):
        halved = batch.pool_poses(model.pose_tower), batch.pool_texts(model.text_tower)
    for ours, theirs in zip(halved, expected, strict=True):
        assert (ours.float().cpu() - theirs).norm() < 0.05 * theirs.norm()
