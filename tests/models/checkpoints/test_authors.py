from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from models.architecture import SignClip
from models.checkpoints.authors import (
    BERT_CLS_ID,
    BERT_SEP_ID,
    convert,
    read_checkpoint,
    rename_to_ours,
    rename_to_theirs,
    write_checkpoint,
)
from models.checkpoints.folders import TEXT_WORDS, compute_digest, read_digest, read_safetensors_header
from models.checkpoints.loading import POSE_WORDS, load_model
from models.errors import CheckpointFormatError, TensorMismatchError
from tests.models.conftest import small_config

LINEAR1 = "mmmodel.video_encoder.videomlp.linear1.weight"
THEIR_POSE_WORDS = "mmmodel.video_encoder.bert.embeddings.word_embeddings.weight"
MASK = torch.ones(1, 12, dtype=torch.bool)
# Every way in which a model's tensors differ: two variants that normalize and two lengths share one layout.
VARIANTS = [
    {},
    {"projection": "linear"},
    {"projection": "linear_l2"},
    {"projection": "l2"},
    {"convolutions": 1},
    {"convolutions": 8},
    {"max_frames": 700},
    {"pose_tower": {"layers": 12, "width": 32, "heads": 4, "inner": 64}},
]
OURS_ALONE = {"pose_frontend": "hand_geometry", "feature_dim": 609}
names = st.one_of(
    st.text(),
    st.builds(
        "".join,
        st.lists(
            st.sampled_from(
                [
                    *("mmmodel.", "video_encoder.", "text_encoder.", "videomlp.", "videoconv.conv1d_", "bert."),
                    *("pose_tower.", "text_tower.", "mlp.", "convolution.layers.", "embeddings.", "linear.", "weight"),
                    *("video_projection.", "text_projection.", "pose_projection.", "0", "12", "{rest}", "{", "\n"),
                ]
            )
        ),
    ),
)


def tensors_of(changes):
    """Tensors of a small model by our names, every one different."""
    config = small_config(**changes)
    torch.manual_seed(0)
    module = SignClip(config, vocab_size=120)
    if config.interpolates_positions:  # files hold the table that the long one is stretched from
        module = SignClip(config.model_copy(update={"max_frames": 40}), vocab_size=120)
    return config, {name: torch.randn(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("changes", [*VARIANTS, OURS_ALONE], ids=str)
def test_ours_to_theirs_and_back_is_the_same(tmp_path, changes):
    config, tensors = tensors_of(changes)
    write_checkpoint(tmp_path / "out.pt", tensors)
    back = read_checkpoint(tmp_path / "out.pt", config)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_theirs_to_ours_and_back_is_the_same(make_tensors, save_checkpoint, tmp_path, changes):
    config = small_config(**changes)
    tensors = make_tensors(config)
    write_checkpoint(tmp_path / "out.pt", read_checkpoint(save_checkpoint(tensors), config))
    again = torch.load(tmp_path / "out.pt", weights_only=True)["model"]
    assert again.keys() == tensors.keys()
    # What no tower uses is not kept: it comes back as zeros.
    rows = torch.zeros(120, 1)
    rows[[BERT_CLS_ID, BERT_SEP_ID]] = 1
    for name, tensor in tensors.items():
        kept = tensor * rows if name == THEIR_POSE_WORDS else tensor * 0 if "pooler" in name else tensor
        assert torch.equal(again[name], kept), name


@given(names)
def test_a_name_means_one_tensor_in_either_direction(name):
    ours, theirs = rename_to_ours(name), rename_to_theirs(name)
    assert ours is None or rename_to_theirs(ours) == name
    assert theirs is None or rename_to_ours(theirs) == name


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("mmmodel.video_encoder.videomlp.LayerNorm.bias", "pose_tower.mlp.LayerNorm.bias"),
        ("mmmodel.video_encoder.videoconv.conv1d_11.weight", "pose_tower.convolution.layers.11.weight"),
        ("mmmodel.video_encoder.bert.encoder.layer.3.output.dense.bias",) * 2,
        ("mmmodel.text_encoder.embeddings.word_embeddings.weight", TEXT_WORDS),
        ("mmmodel.video_projection.linear.weight", "pose_projection.weight"),
        ("mmmodel.text_projection.linear.weight", "text_projection.weight"),
    ],
)
def test_names_are_translated(theirs, ours):
    ours = ours.replace("mmmodel.video_encoder", "pose_tower")
    assert rename_to_ours(theirs) == ours
    assert rename_to_theirs(ours) == theirs


@pytest.mark.parametrize(
    "name",
    [
        *("", "weight", "pose_tower.mlp.", "mmmodel.video_encoder.videoconv.conv1d_x.weight", f"x{LINEAR1}"),
        *(LINEAR1.replace(".", "_"), LINEAR1.removeprefix("mmmodel."), "mmmodel.video_projection.linear.weights"),
        *("mmmodelxtext_encoder.weight", f"{LINEAR1}\n", "logit_scale"),
    ],
)
def test_a_name_of_neither_model_has_no_translation(name):
    assert rename_to_ours(name) is None
    assert rename_to_theirs(name) is None


def test_a_tensor_without_a_place_in_their_model_is_named_and_nothing_is_written(tmp_path):
    _, tensors = tensors_of({})
    with pytest.raises(TensorMismatchError, match="stray has no place in the authors' model; more has no place"):
        write_checkpoint(tmp_path / "out.pt", {**tensors, "stray": torch.zeros(1), "more": torch.zeros(1)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [4, 103, 120])
def test_the_pose_towers_word_list_is_as_long_as_the_texts_and_holds_both_rows(tmp_path, rows):
    _, tensors = tensors_of({})
    tensors[TEXT_WORDS] = tensors[TEXT_WORDS][:rows]
    write_checkpoint(tmp_path / "deep" / "out.pt", OrderedDict(tensors))
    words = torch.load(tmp_path / "deep" / "out.pt", weights_only=True)["model"][THEIR_POSE_WORDS]
    assert len(words) == max(rows, 103)
    assert torch.equal(words[[101, 102]], tensors[POSE_WORDS])
    assert torch.count_nonzero(words) == torch.count_nonzero(tensors[POSE_WORDS])


def test_the_pose_tower_keeps_the_rows_of_cls_and_sep(make_config, make_tensors, save_checkpoint):
    tensors = make_tensors(make_config())
    read = read_checkpoint(save_checkpoint(tensors), make_config())
    assert torch.equal(read[POSE_WORDS], tensors[THEIR_POSE_WORDS][[101, 102]])


@pytest.mark.parametrize("name", ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"])
@pytest.mark.parametrize("where", ["mmmodel.video_encoder.videomlp", "mmmodel.other", "other"])
def test_what_is_unused_is_left_out_of_the_towers_only(make_config, make_tensors, save_checkpoint, where, name):
    tensors = make_tensors(make_config())
    tensors[f"{where}.{name}"] = torch.ones(1)
    with pytest.raises(TensorMismatchError, match=rf"{name} is unexpected"):
        read_checkpoint(save_checkpoint(tensors), make_config())


def test_half_precision_is_widened_exactly(make_config, make_tensors, save_checkpoint):
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in make_tensors(make_config()).items()}
    read = read_checkpoint(save_checkpoint(tensors), make_config())
    assert {tensor.dtype for tensor in read.values()} == {torch.float32}
    assert torch.equal(read["pose_tower.mlp.linear1.weight"], tensors[LINEAR1].float())


def test_position_ids_may_be_stored_or_not(make_config, make_tensors, save_checkpoint, tmp_path):
    config = make_config()
    tensors = make_tensors(config)
    vectors = []
    for kept in (tensors, {name: tensor for name, tensor in tensors.items() if "position_ids" not in name}):
        convert(save_checkpoint(kept), tmp_path / "model.safetensors", config)
        module = load_model(tmp_path / "model.safetensors", config)
        vectors.append(module.encode_pose(torch.ones(1, 12, config.feature_dim), MASK))
    assert len(kept) == len(tensors) - 2
    assert torch.equal(*vectors)


def test_a_vocabulary_of_another_size_than_configured_is_refused(make_config, make_tensors, save_checkpoint):
    towers = {"text_tower": {"layers": 2, "width": 32, "heads": 4, "inner": 64, "vocab_size": 200}}
    config = make_config(**towers)
    with pytest.raises(TensorMismatchError, match=r"word_embeddings.weight is \(120, 32\), not \(200, 32\)"):
        read_checkpoint(save_checkpoint(make_tensors(config)), config)


def test_a_pose_vocabulary_without_cls_and_sep_is_refused(make_config, make_tensors, save_checkpoint):
    with pytest.raises(TensorMismatchError, match=r"\(102, 32\), not \(more than 102, 32\)"):
        read_checkpoint(save_checkpoint(make_tensors(make_config(), vocab_size=102)), make_config())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop(LINEAR1), "pose_tower.mlp.linear1.weight is missing"),
        (lambda t: t.update(extra=torch.ones(1)), "extra is unexpected"),
        (lambda t: t.update({"mmmodel.video_encoder.bert.new": torch.ones(1)}), r"pose_tower.bert.new is unexpected"),
        (lambda t: t.update({LINEAR1: t[LINEAR1].T}), r"linear1.weight is \(63, 32\), not \(32, 63\)"),
        (lambda t: t.update({LINEAR1: t[LINEAR1].long()}), "linear1.weight is torch.int64, not a floating-point"),
        (lambda t: t.update({LINEAR1: "text"}), f"{LINEAR1} is no tensor"),
        (lambda t: t.update({7: torch.ones(1)}), "7 is no tensor"),
        (lambda t: t.update({"mmmodel.text_projection.linear.weight": torch.ones(32, 32)}), "text_projection.weight"),
        (lambda t: t.clear(), "; and 56 more$"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(make_config, make_tensors, save_checkpoint, damage, message):
    tensors = make_tensors(make_config())
    damage(tensors)
    with pytest.raises(TensorMismatchError, match=message):
        read_checkpoint(save_checkpoint(tensors), make_config())


def test_all_that_does_not_fit_is_named_at_once(make_config, make_tensors, save_checkpoint):
    tensors = make_tensors(make_config())
    del tensors[LINEAR1]
    tensors["extra"] = torch.ones(1)
    with pytest.raises(TensorMismatchError) as caught:
        read_checkpoint(save_checkpoint(tensors), make_config())
    assert sorted(caught.value.problems) == ["extra is unexpected", "pose_tower.mlp.linear1.weight is missing"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(make_config, make_tensors, save_checkpoint, tmp_path, value):
    tensors = make_tensors(make_config())
    tensors[LINEAR1][3, 5] = value
    with pytest.raises(TensorMismatchError, match=r"pose_tower.mlp.linear1.weight holds NaN or infinity"):
        convert(save_checkpoint(tensors), tmp_path / "model.safetensors", make_config())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("content", [{"no": "model"}, [1, 2], {"model": 3}, {"model": [torch.ones(1)]}])
def test_a_file_without_a_model_is_refused(make_config, tmp_path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointFormatError, match="has no 'model'"):
        read_checkpoint(tmp_path / "checkpoint.pt", make_config())


def test_the_conversion_records_what_it_was_made_from(make_config, make_tensors, save_checkpoint, tmp_path):
    source, target = save_checkpoint(make_tensors(make_config())), tmp_path / "model.safetensors"
    digest = convert(source, target, make_config())
    assert digest == compute_digest(source) == read_digest(target)
    # transformers and others refuse a file that does not say that it is torch's.
    metadata = {"format": "pt", "digest": digest, "source": "checkpoint_best.pt"}
    assert read_safetensors_header(target)["__metadata__"] == metadata
    assert load_file(target)[TEXT_WORDS].dtype == torch.float32
