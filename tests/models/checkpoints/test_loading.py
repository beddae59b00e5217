from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

import models.checkpoints.loading
from models.backends.pytorch import TorchBackend
from models.checkpoints.authors import BERT_CLS_ID, BERT_SEP_ID, convert
from models.checkpoints.folders import TEXT_WORDS
from models.checkpoints.loading import (
    POSE_POSITIONS,
    POSE_WORDS,
    interpolate_positions,
    load_model,
    write_safetensors,
)
from models.errors import CheckpointFormatError, TensorMismatchError

LINEAR1 = "mmmodel.video_encoder.videomlp.linear1.weight"
MASK = torch.ones(1, 12, dtype=torch.bool)


@pytest.fixture
def converted(make_config, make_tensors, save_checkpoint, tmp_path) -> Path:
    """A small checkpoint as it is served."""
    config = make_config()
    convert(save_checkpoint(make_tensors(config)), tmp_path / "model.safetensors", config)
    return tmp_path / "model.safetensors"


def features(config, frames: int = 12) -> torch.Tensor:
    return torch.randn(1, frames, config.feature_dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "changes",
    [{}, {"projection": "linear"}, {"projection": "linear_l2"}, {"convolutions": 2}, {"max_frames": 700}],
    ids=str,
)
def test_every_tensor_of_a_checkpoint_is_placed(make_config, make_tensors, save_checkpoint, tmp_path, changes):
    config = make_config(**changes)
    tensors = make_tensors(config)
    convert(save_checkpoint(tensors), tmp_path / "model.safetensors", config)
    module = load_model(tmp_path / "model.safetensors", config)
    unused = [name for name in tensors if "pooler" in name or "position_ids" in name]
    assert len(module.state_dict()) == len(tensors) - len(unused)
    words = tensors["mmmodel.video_encoder.bert.embeddings.word_embeddings.weight"]
    assert torch.equal(module.state_dict()[POSE_WORDS], words[[BERT_CLS_ID, BERT_SEP_ID]])
    assert torch.equal(module.pose_tower.mlp.linear1.weight, tensors[LINEAR1])
    assert module.encode_pose(features(config), MASK).isfinite().all()


@pytest.mark.parametrize("vocab_size", [103, 500])
def test_the_vocabulary_is_as_large_as_the_checkpoints(
    make_config, make_tensors, save_checkpoint, tmp_path, vocab_size
):
    config = make_config()
    convert(save_checkpoint(make_tensors(config, vocab_size=vocab_size)), tmp_path / "model.safetensors", config)
    module = load_model(tmp_path / "model.safetensors", config)
    assert module.text_tower.bert.embeddings.word_embeddings.weight.shape == (vocab_size, 32)
    last = torch.tensor([[101, vocab_size - 1, 102]])
    assert module.encode_text(last, torch.ones(1, 3, dtype=torch.bool)).isfinite().all()


def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(converted, monkeypatch):
    before = converted.read_bytes()

    def crash(tensors: object, name: str, metadata: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(models.checkpoints.loading, "save_file", crash)
    with pytest.raises(OSError, match="No space left"):
        write_safetensors(converted, {"w": torch.ones(2)}, {})
    assert converted.read_bytes() == before
    assert {path.name for path in converted.parent.iterdir()} == {"checkpoint_best.pt", "model.safetensors"}


def test_who_reads_while_another_writes_keeps_the_old_file(converted):
    """A served model is mapped from it: writing into it would change vectors under the server's hands."""
    before = converted.read_bytes()
    with converted.open("rb") as reader:
        write_safetensors(converted, {"w": torch.ones(2)}, {})
        assert reader.read() == before
    assert list(load_file(converted)) == ["w"]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda raw: b"", CheckpointFormatError, "header claims 0 bytes"),
        (lambda raw: b"\xff" * 100, CheckpointFormatError, "no safetensors file"),
        (lambda raw: raw[:300], CheckpointFormatError, "no safetensors file"),
        (lambda raw: raw[:-10], CheckpointFormatError, "cannot be read"),
        (lambda raw: (4).to_bytes(8, "little") + b"[1]]", CheckpointFormatError, "no safetensors file"),
        (lambda raw: (4).to_bytes(8, "little") + b"[12]", CheckpointFormatError, "not a mapping"),
        (lambda raw: raw.replace(b"linear1", b"linear9"), TensorMismatchError, "mlp.linear1.weight is missing"),
    ],
)
def test_a_damaged_safetensors_file_is_refused(make_config, converted, damage, error, message):
    converted.write_bytes(damage(converted.read_bytes()))
    with pytest.raises(error, match=message):
        load_model(converted, make_config())


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool, torch.int64])
def test_whole_numbers_are_no_weights(make_config, converted, kind):
    tensors = load_file(converted)
    write_safetensors(converted, tensors | {TEXT_WORDS: tensors[TEXT_WORDS].to(kind)}, {})
    with pytest.raises(TensorMismatchError, match=r"word_embeddings\.weight is [BIU]\w+, not floating-point"):
        load_model(converted, make_config())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_any_floating_format_are_weights(make_config, converted, kind):
    write_safetensors(converted, {name: tensor.to(kind) for name, tensor in load_file(converted).items()}, {})
    assert {tensor.dtype for tensor in load_model(converted, make_config()).state_dict().values()} == {torch.float32}


def test_a_header_whose_entries_are_no_tensors_is_refused(make_config, converted):
    for entry in ("text", {"shape": None}, {}, {"shape": [1, "x"]}):
        header = json.dumps({"w": entry}).encode()
        converted.write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises((CheckpointFormatError, TensorMismatchError)):
            load_model(converted, make_config())


@pytest.mark.parametrize("shape", [[], [0, 32], [2**47, 32]], ids=str)
def test_a_word_list_of_a_shape_that_the_file_does_not_hold_is_refused(make_config, converted, shape):
    raw = converted.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header[TEXT_WORDS]["shape"] = shape
    changed = json.dumps(header).encode()
    converted.write_bytes(len(changed).to_bytes(8, "little") + changed + raw[8 + length :])
    with pytest.raises(
        (CheckpointFormatError, TensorMismatchError), match=r"cannot be read|word_embeddings\.weight is"
    ):
        load_model(converted, make_config())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_gives_the_model_or_the_one_error(make_config, converted, data):
    whole = converted.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    copy = converted.with_name("damaged.safetensors")
    copy.write_bytes(damaged)
    with contextlib.suppress(CheckpointFormatError, TensorMismatchError):
        assert (
            load_model(copy, make_config()).state_dict().keys()
            == load_model(converted, make_config()).state_dict().keys()
        )


def test_long_clips_stretch_the_stored_table_when_loaded(make_config, make_tensors, save_checkpoint, tmp_path):
    short, long = make_config(), make_config(max_frames=700)
    convert(save_checkpoint(make_tensors(short)), tmp_path / "model.safetensors", short)
    stored = load_file(tmp_path / "model.safetensors")[POSE_POSITIONS]
    table = load_model(tmp_path / "model.safetensors", long).state_dict()[POSE_POSITIONS]
    assert stored.shape == (512, 32)
    assert table.shape == (702, 32)
    # Brute force: row i of the new table lies at (i + 0.5) * 512 / 702 - 0.5 of the old, ends held.
    where = np.clip((np.arange(702) + 0.5) * 512 / 702 - 0.5, 0, 511)
    expected = np.stack([np.interp(where, np.arange(512), column) for column in stored.numpy().T], axis=1)
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-5)
    assert torch.equal(load_model(tmp_path / "model.safetensors", short).state_dict()[POSE_POSITIONS], stored)


def test_a_table_stretched_to_its_own_size_stays():
    table = torch.randn(20, 4)
    torch.testing.assert_close(interpolate_positions(table, 20), table)


def test_bfloat16_and_float32_agree_coarsely(make_config, converted):
    mask = np.ones((1, 12), dtype=bool)
    frames = features(make_config()).numpy()
    vectors = [
        TorchBackend(converted, make_config(), device="cpu", dtype=dtype).encode_pose(frames, mask)
        for dtype in ("float32", "bfloat16")
    ]
    assert vectors[1].dtype == np.float32
    assert 0 < np.abs(vectors[0] - vectors[1]).max() / np.abs(vectors[0]).max() < 0.1


MAPPED = """
import sys
from pathlib import Path
from models.catalog import ModelConfig
from models.checkpoints.loading import load_model
module = load_model(Path(sys.argv[1]), ModelConfig.model_validate_json(sys.argv[2]))
large = module.text_tower.bert.embeddings.word_embeddings.weight
start, size = large.data_ptr(), large.numel() * 4
for line in Path("/proc/self/maps").read_text().splitlines():
    first, last = (int(word, 16) for word in line.split()[0].split("-"))
    if first <= start and start + size <= last:
        print(line.split(maxsplit=5)[-1])
"""


def test_float32_weights_stay_in_the_file(make_config, converted):
    """Several processes then share one copy, and loading costs no time."""
    command = [sys.executable, "-c", MAPPED, str(converted), make_config().model_dump_json()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert printed.stdout.strip() == str(converted)
