"""Weights that are broken: their model fails, and no other one does."""

from __future__ import annotations

import os
import shutil

import pytest

from models import registry as registry_module
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder
from models.registry import Registry


@pytest.mark.parametrize("header", [b"[" * 200_000, b'{"a":' * 200_000, b" " * 11_000_000, b"{}x"])
def test_a_broken_file_of_another_model_fails_that_model_alone_and_is_read_once(
    tiny_weights, tmp_path, monkeypatch, header
):
    for name in "ab":
        shutil.copytree(tiny_weights / "tiny", tmp_path / name)
    weights = WeightsFolder(tmp_path)
    (weights.path / "b" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    registry = Registry(load_catalog(weights=tmp_path), weights, make_backend=lambda *_: pytest.fail("not loaded"))
    states = registry.list_statuses()
    assert (states["a"].state, states["b"].state) == ("available", "failed")
    assert "b/model.safetensors is no safetensors file" in (states["b"].reason or "")
    read = []
    monkeypatch.setattr(registry_module, "read_recorded_digest", lambda path: read.append(path))
    assert registry.list_statuses() == states
    assert not read
    os.utime(weights.path / "b" / "model.safetensors", ns=(1, 1))  # another file of the same size
    registry.list_statuses()
    assert read == [weights.path / "b" / "model.safetensors"]
