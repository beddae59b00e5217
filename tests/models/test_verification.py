from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from models.backends.pytorch import TorchBackend
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder, compute_digest
from models.download import DownloadRecord, FileRecord
from models.errors import WeightsMissingError
from models.verification import verify
from tests.models.conftest import SMALL


@pytest.fixture
def folder(tiny_weights, make_config, make_tensors, save_checkpoint, tmp_path) -> Path:
    """A small model with checkpoint, tokenizer and records of their download."""
    folder = tmp_path / "small"
    shutil.copytree(tiny_weights / "tiny" / "tokenizer", folder / "tokenizer")
    (folder / "config.yaml").write_text(yaml.safe_dump(SMALL))
    save_checkpoint(make_tensors(make_config(), vocab_size=200), folder)
    for where, names in ((folder, ["checkpoint_best.pt"]), (folder / "tokenizer", ["vocab.txt"])):
        files = {n: FileRecord(sha256=compute_digest(where / n), size_bytes=(where / n).stat().st_size) for n in names}
        record = DownloadRecord(source="drive:id", downloaded=datetime(2024, 5, 6, tzinfo=UTC), files=files)
        (where / "download.json").write_text(record.model_dump_json())
    return folder


def check(folder: Path) -> dict[str, str]:
    """What was found, by what was looked at; findings against the model start with an exclamation mark."""
    found = verify(load_catalog(weights=folder.parent)["small"], WeightsFolder(folder.parent))
    return {finding.what: ("" if finding.ok else "!") + finding.detail for finding in found}


def test_a_whole_model_passes(folder):
    found = check(folder)
    digest = compute_digest(folder / "checkpoint_best.pt")[:12]
    assert found["download"] == f"as downloaded on 2024-05-06 from drive:id: checkpoint_best.pt {digest}"
    assert found["conversion"] == f"model.safetensors was made from checkpoint_best.pt {digest}"
    assert found["tokenizer"].endswith("pieces, as downloaded from drive:id")
    assert found["probe"].startswith("all tensors fit; text off by ")


def test_a_model_of_the_users_own_passes_without_records(folder):
    for record in folder.rglob("download.json"):
        record.unlink()
    assert not any(detail.startswith("!") for detail in check(folder).values())


def test_a_checkpoint_deleted_after_conversion_is_known_by_what_was_made_of_it(folder):
    check(folder)
    (folder / "checkpoint_best.pt").unlink()
    found = check(folder)
    assert not any(detail.startswith("!") for detail in found.values())
    assert "there is no checkpoint_best.pt to compare with" in found["conversion"]


def test_nothing_to_check_is_an_error(folder):
    (folder / "checkpoint_best.pt").unlink()
    with pytest.raises(WeightsMissingError):
        check(folder)


def test_another_checkpoint_than_was_fetched_is_found(folder, make_config, make_tensors, save_checkpoint):
    check(folder)
    tensors = make_tensors(make_config(), vocab_size=200)
    tensors["mmmodel.text_encoder.embeddings.word_embeddings.weight"][7] += 1
    save_checkpoint(tensors, folder)
    os.utime(folder / "checkpoint_best.pt", (time.time() - 1000,) * 2)  # as `cp -p` leaves it: no newer than its copy
    found = check(folder)
    assert "is not what was downloaded on 2024-05-06" in found["download"]
    assert found["conversion"].startswith("!")
    assert "run: python -m models convert small" in found["conversion"]


def test_a_changed_tokenizer_is_found(folder):
    vocabulary = folder / "tokenizer" / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text().replace("house", "horse"))
    found = check(folder)
    assert found["tokenizer"].startswith("!")
    assert "vocab.txt is not what was downloaded" in found["tokenizer"]
    assert not found["conversion"].startswith("!")


@pytest.mark.parametrize("tensor", ["pose_tower.mlp.linear2.weight", "text_tower.bert.embeddings.LayerNorm.weight"])
def test_changed_weights_give_other_vectors_than_recorded(folder, tensor):
    check(folder)
    path = folder / "model.safetensors"
    tensors, metadata = load_file(path), {"digest": compute_digest(folder / "checkpoint_best.pt")}
    tensors[tensor] = torch.flip(tensors[tensor], [0])
    save_file(tensors, path, metadata)
    found = check(folder)
    assert found["probe"].startswith("!")
    assert "gives other vectors than recorded" in found["probe"]


def test_vectors_that_depend_on_their_neighbours_are_found(folder, monkeypatch):
    check(folder)
    encode = TorchBackend.encode_pose

    def encode_together(self, pose_features, frame_mask):
        vectors = encode(self, pose_features, frame_mask)
        return vectors + vectors.mean(axis=0) - vectors.mean(axis=0)[None] * (len(vectors) == 1)

    monkeypatch.setattr(TorchBackend, "encode_pose", encode_together)
    found = check(folder)
    assert found["probe"].startswith("!")


def test_a_tensor_that_does_not_fit_is_found(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["feature_dim"] = 64
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    found = check(folder)
    assert "linear1.weight is (32, 63), not (32, 64)" in found["conversion"]
    assert not found["download"].startswith("!")


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"source": "x"})])
def test_a_damaged_record_is_found(folder, text):
    (folder / "download.json").write_text(text)
    assert "no record of a download" in check(folder)["download"]
