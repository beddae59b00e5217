"""What holds for every variant of the two towers, on small seeded weights; the authors' numbers are in test_golden."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.architecture import CONVOLUTION_KERNEL, FrameConvolution, FrameMlp, SignClip
from models.catalog import ModelConfig
from models.errors import ShapeError
from tests.models.conftest import small_config

# float32 keeps 7 digits; sums over a batch may be grouped otherwise for other sizes.
TOLERANCE = 2e-5
VARIANTS = {
    "plain": small_config(),
    "linear": small_config(projection="linear"),
    "linear_l2": small_config(projection="linear_l2"),
    "scaled": small_config(projection="l2", logit_scale=30.0),
    "one convolution": small_config(convolutions=1),
    "three convolutions": small_config(convolutions=3),
    "long": small_config(max_frames=600),
    "hand geometry": small_config(pose_frontend="hand_geometry", feature_dim=609),
    "exemplars": small_config(pose_frontend="hand_geometry", feature_dim=609, projection="l2", exemplars=5),
}


@cache
def build(variant: str) -> SignClip:
    module = SignClip(VARIANTS[variant], vocab_size=50).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.named_parameters():
        centre = 1.0 if "LayerNorm.weight" in name else 0.0
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + centre)
    if module.pose_tower.exemplars is not None:
        for buffer in module.pose_tower.exemplars.buffers():
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.2)
    return module


def pad(items: list[torch.Tensor], garbage: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack items of unequal length; what stands in the padding must not matter, so anything does."""
    longest = max(map(len, items))
    mask = torch.arange(longest) < torch.tensor([len(item) for item in items]).unsqueeze(1)
    if items[0].is_floating_point():
        batch = torch.randn(len(items), longest, *items[0].shape[1:], generator=garbage) * 5
    else:
        batch = torch.randint(0, 50, (len(items), longest), generator=garbage)
    batch[mask] = torch.cat(items)
    return batch, mask


def clips(config: ModelConfig, lengths: list[int], generator: torch.Generator) -> list[torch.Tensor]:
    """Random walks: neighbouring frames are alike, as in a signer's motion."""
    return [torch.randn(n, config.feature_dim, generator=generator).cumsum(0) * 0.3 for n in lengths]


def off_by(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


lengths_of_clips = st.lists(st.one_of(st.integers(1, 40), st.sampled_from([1, 32, 39, 40])), min_size=1, max_size=6)
lengths_of_texts = st.lists(st.integers(2, 23), min_size=1, max_size=6)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=20)
@given(lengths=lengths_of_clips, seed=st.integers(0, 2**32 - 1))
def test_a_clips_vector_is_its_own(variant, lengths, seed):
    module, generator = build(variant), torch.Generator().manual_seed(seed)
    items = clips(module.config, lengths, generator)
    together = module.encode_pose(*pad(items, generator))
    for row, item in zip(together, items, strict=True):
        alone = module.encode_pose(item.unsqueeze(0), torch.ones(1, len(item), dtype=torch.bool))[0]
        assert off_by(row, alone) <= TOLERANCE


@pytest.mark.parametrize("variant", ["plain", "linear_l2", "scaled"])
@settings(max_examples=20)
@given(lengths=lengths_of_texts, seed=st.integers(0, 2**32 - 1))
def test_a_texts_vector_is_its_own(variant, lengths, seed):
    module, generator = build(variant), torch.Generator().manual_seed(seed)
    items = [torch.randint(0, 50, (n,), generator=generator) for n in lengths]
    together = module.encode_text(*pad(items, generator))
    for row, item in zip(together, items, strict=True):
        alone = module.encode_text(item.unsqueeze(0), torch.ones(1, len(item), dtype=torch.bool))[0]
        assert off_by(row, alone) <= TOLERANCE


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 64), min_size=2, max_size=6), data=st.data())
def test_order_and_company_do_not_move_a_loaded_models_vectors(tiny_model, lengths, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    items = [random.normal(size=(n, 609)).astype(np.float32) for n in lengths]
    order = data.draw(st.permutations(range(len(items))))
    alone = np.concatenate([tiny_model.embed_pose([item], normalize=False) for item in items])
    together = tiny_model.embed_pose([items[index] for index in order], normalize=False)
    assert np.abs(together - alone[list(order)]).max() <= TOLERANCE * np.abs(alone).max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clips_vector_depends_on_its_frames_and_their_order(variant):
    """Guards the properties above against a tower that ignores its input."""
    module = build(variant)
    features = torch.randn(1, 30, module.config.feature_dim, generator=torch.Generator().manual_seed(1)).cumsum(1)
    mask = torch.ones(1, 30, dtype=torch.bool)
    vector = module.encode_pose(features, mask)
    assert off_by(module.encode_pose(features.flip(1), mask), vector) > 1e-3
    assert off_by(module.encode_pose(features[:, :-5], mask[:, :-5]), vector) > 1e-3


@settings(max_examples=30)
@given(count=st.integers(1, 4), frames=st.integers(1, 30), extra=st.integers(0, 12))
def test_convolutions_equal_those_over_the_fully_padded_clip(count, frames, extra):
    max_frames = frames + extra
    torch.manual_seed(0)
    convolution = FrameConvolution(5, count, max_frames).requires_grad_(False)
    features = torch.randn(1, frames, 5)
    hidden = functional.pad(features, (0, 0, 0, max_frames - frames)).transpose(1, 2)
    for layer in convolution.layers:
        hidden = functional.conv1d(hidden, layer.weight, layer.bias, padding=CONVOLUTION_KERNEL // 2)
    got = convolution(features, torch.ones(1, frames, dtype=torch.bool))
    torch.testing.assert_close(got, hidden[:, :, :frames].transpose(1, 2), rtol=1e-5, atol=1e-6)


def test_dropout_of_the_frame_mlp_follows_the_norm_and_the_second_layer():
    mlp = FrameMlp(6, 8, dropout=0.5)
    frames = torch.randn(5, 6, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    dropped = mlp.train()(frames)
    torch.manual_seed(4)
    hidden = functional.dropout(mlp.LayerNorm(functional.gelu(mlp.linear1(frames))), 0.5)
    torch.testing.assert_close(dropped, functional.dropout(mlp.linear2(hidden), 0.5))
    assert (dropped == 0).any()
    torch.testing.assert_close(mlp.eval()(frames), mlp.linear2(mlp.LayerNorm(functional.gelu(mlp.linear1(frames)))))


def test_a_configuration_sets_the_dropout_of_the_frame_mlp_apart_from_berts():
    towers = [SignClip(small_config(**changes), vocab_size=50).pose_tower for changes in ({}, {"frame_dropout": 0.4})]
    assert [tower.mlp.dropout.p for tower in towers] == [0.0, 0.4]
    assert len({tower.bert.config.hidden_dropout_prob for tower in towers}) == 1


def test_scores_of_unit_vectors_are_scaled_cosines():
    module = build("scaled")
    vector = module.encode_text(torch.tensor([[1, 2, 3]]), torch.ones(1, 3, dtype=torch.bool))[0]
    assert float(vector @ vector) == pytest.approx(30.0, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "mask_shape", "message"),
    [
        ((1, 5, 62), (1, 5), "62 features"),
        ((1, 0, 63), (1, 0), "poses of 0 frames"),
        ((1, 41, 63), (1, 41), "1 to 40 frames"),
        ((2, 5, 63), (1, 5), r"frame_mask is \(1, 5\)"),
        ((1, 5, 63), (1, 4), r"frame_mask is \(1, 4\)"),
    ],
)
def test_poses_of_another_shape_are_refused(shape, mask_shape, message):
    with pytest.raises(ShapeError, match=message):
        build("plain").encode_pose(torch.zeros(shape), torch.ones(mask_shape, dtype=torch.bool))


@pytest.mark.parametrize(
    ("shape", "mask_shape", "message"),
    [
        ((1, 1), (1, 1), "texts of 1 tokens"),
        ((1, 24), (1, 24), "takes 2 to 23"),
        ((2, 4), (2, 3), r"attention_mask is \(2, 3\)"),
    ],
)
def test_texts_of_another_shape_are_refused(shape, mask_shape, message):
    with pytest.raises(ShapeError, match=message):
        build("plain").encode_text(torch.ones(shape, dtype=torch.long), torch.ones(mask_shape, dtype=torch.bool))


def test_a_vocabulary_is_needed():
    with pytest.raises(ShapeError, match="vocab_size"):
        SignClip(small_config())


def test_clips_of_another_width_are_refused_before_padding(tiny_model):
    with pytest.raises(ShapeError, match=r"\[608, 609\] features; model 'tiny' takes 609"):
        tiny_model.encode("pose", [np.zeros((3, 609), np.float32), np.zeros((3, 608), np.float32)])


def test_long_clips_and_texts_are_cut_as_in_training(tiny_model):
    frames = np.random.default_rng(0).normal(size=(80, 609)).astype(np.float32)
    np.testing.assert_array_equal(tiny_model.embed_pose([frames]), tiny_model.embed_pose([frames[:64]]))
    words = " ".join(["sun"] * 40)
    np.testing.assert_array_equal(tiny_model.embed_text([words]), tiny_model.embed_text([" ".join(["sun"] * 29)]))


def test_vectors_have_unit_length_on_request_and_none_is_none(tiny_model):
    raw = tiny_model.embed_text(["house", "sun"], normalize=False)
    unit = tiny_model.embed_text(["house", "sun"])
    np.testing.assert_allclose(unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-5)
    assert tiny_model.embed_text([]).shape == tiny_model.embed_pose([]).shape == (0, 32)
