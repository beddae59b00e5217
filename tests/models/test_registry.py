from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.backends.pytorch import TorchBackend
from models.catalog import load_catalog
from models.checkpoints.authors import convert
from models.checkpoints.folders import WeightsFolder, compute_digest, read_digest
from models.errors import (
    CheckpointFormatError,
    TensorMismatchError,
    TokenizerError,
    UnknownModelError,
    WeightsMissingError,
)
from models.registry import Registry, choose_default_model, ensure_converted

WAIT_S = 60


def torch_backend(path, config):
    return TorchBackend(path, config, device="cpu", dtype="float32")


@pytest.fixture
def weights(tiny_weights: Path, tmp_path: Path) -> WeightsFolder:
    """The tiny model three times over, as a, b and c, in a folder the test may spoil."""
    for name in "abc":
        shutil.copytree(tiny_weights / "tiny", tmp_path / name)
    return WeightsFolder(tmp_path)


@pytest.fixture
def make_registry(weights: WeightsFolder) -> Callable[..., Registry]:
    def make(**arguments: object) -> Registry:
        arguments = {"make_backend": torch_backend, **arguments}
        return Registry(load_catalog(weights=weights.path), weights, **arguments)

    return make


def test_a_model_is_loaded_once_however_many_ask(make_registry):
    built = []
    everyone_asks = threading.Barrier(16, timeout=WAIT_S)

    def build(path, config):
        built.append(config.name)
        return torch_backend(path, config)

    registry = make_registry(make_backend=build)

    def ask(number):
        everyone_asks.wait()
        return registry.get("ab"[number % 2])

    with ThreadPoolExecutor(16) as pool:
        models = list(pool.map(ask, range(16)))
    assert sorted(built) == ["a", "b"]
    assert len({id(model) for model in models}) == 2


def test_a_slow_load_keeps_nobody_else_waiting(make_registry):
    started, go_on = threading.Event(), threading.Event()

    def build(path, config):
        if config.name == "a":
            started.set()
            assert go_on.wait(WAIT_S)
        return torch_backend(path, config)

    registry = make_registry(make_backend=build)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(registry.get, "a")
        assert started.wait(WAIT_S)
        assert registry.get("b").config.name == "b"
        assert registry.list_statuses()["a"].state == "loading"
        assert registry.get_loaded("a") is None
        go_on.set()
        assert slow.result(WAIT_S) is registry.get_loaded("a")


def test_the_least_recently_used_is_let_go(make_registry):
    registry = make_registry(max_loaded=2)
    first = registry.get("a")
    registry.get("b")
    assert registry.get("a") is first
    registry.get("c")
    assert registry.list_loaded() == ["a", "c"]
    assert registry.list_statuses()["b"].state == "available"
    assert first.embed_text(["house"]).shape == (1, 32)


def test_a_look_at_a_loaded_model_counts_as_a_use(make_registry):
    registry = make_registry(max_loaded=2)
    registry.get("a")
    registry.get("b")
    assert registry.get_loaded("a") is not None
    registry.get("c")
    assert registry.list_loaded() == ["a", "c"]


def test_a_model_can_be_unloaded_and_loaded_again(make_registry):
    registry = make_registry()
    before = registry.get("a")
    assert registry.unload("a")
    assert not registry.unload("a")
    after = registry.get("a")
    assert after is not before
    np.testing.assert_array_equal(after.embed_text(["house"]), before.embed_text(["house"]))


def test_names_nobody_knows_are_refused(make_registry):
    registry = make_registry()
    for ask in (registry.get, registry.unload):
        with pytest.raises(UnknownModelError):
            ask("nothing")
    assert registry.get_loaded("nothing") is None


def test_a_failure_is_kept_as_state_and_tried_again(make_registry, weights):
    registry = make_registry()
    good = (weights.path / "a" / "model.safetensors").read_bytes()
    (weights.path / "a" / "model.safetensors").write_bytes(good[:1000])
    for _ in range(2):
        with pytest.raises(CheckpointFormatError):
            registry.get("a")
    state = registry.list_statuses()["a"]
    assert state.state == "failed"
    assert "no safetensors file" in (state.reason or "")
    assert registry.list_statuses()["b"].state == "available"

    (weights.path / "a" / "model.safetensors").write_bytes(good)
    assert registry.get("a").config.name == "a"
    assert registry.list_statuses()["a"].state == "loaded"


def test_a_backend_that_breaks_leaves_the_model_loadable(make_registry):
    broken = [RuntimeError("out of memory")]

    def build(path, config):
        if broken:
            raise broken.pop()
        return torch_backend(path, config)

    registry = make_registry(make_backend=build)
    with pytest.raises(RuntimeError, match="out of memory"):
        registry.get("a")
    assert registry.list_statuses()["a"].state == "available"
    assert registry.get("a").config.name == "a"


def test_states_say_what_is_known(make_registry, weights):
    registry = make_registry()
    registry.get("a")
    shutil.rmtree(weights.path / "c" / "tokenizer")
    states = registry.list_statuses()
    assert (states["a"].state, states["a"].device, states["a"].dtype) == ("loaded", "cpu", "float32")
    assert states["a"].digest == compute_digest(weights.path / "a" / "model.safetensors")
    assert states["b"].state == "available"
    # Not loaded, and its file does not tell: nobody reads it through for a list of models.
    assert states["b"].digest is None
    path = weights.path / "b" / "model.safetensors"
    save_file(load_file(path), path, metadata={"digest": "7" * 64})
    assert registry.list_statuses()["b"].digest == "7" * 64
    assert states["c"].state == "missing"
    assert "tokenizer" in (states["c"].reason or "")
    assert states["default"].state == "missing"
    assert "python -m models download default" in (states["default"].reason or "")
    assert set(states) == set(registry.catalog)


def test_missing_files_are_named_with_what_to_do(make_registry, weights):
    registry = make_registry()
    with pytest.raises(WeightsMissingError, match="python -m models download default"):
        registry.get("default_long")
    (weights.path / "a" / "model.safetensors").unlink()
    with pytest.raises(WeightsMissingError, match=r"put model.safetensors or checkpoint_best.pt into .*/a"):
        registry.get("a")


def test_a_tokenizer_that_cannot_be_read_is_named(make_registry, weights):
    (weights.path / "a" / "tokenizer" / "vocab.txt").write_text("nothing")
    with pytest.raises(TokenizerError, match="a/tokenizer"):
        make_registry().get("a")


def test_a_tokenizer_larger_than_the_word_list_is_refused(make_registry, weights):
    with (weights.path / "a" / "tokenizer" / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("onemore\n")
    with pytest.raises(TensorMismatchError, match=r"its tokenizer has \d+ pieces"):
        make_registry().get("a")


@pytest.fixture
def checkpointed(weights, make_config, make_tensors, save_checkpoint):
    """A folder with a checkpoint in the authors' layout and nothing converted yet."""
    config = make_config()
    (weights.path / "small" / "tokenizer").mkdir(parents=True)
    shutil.copy(weights.path / "a" / "tokenizer" / "vocab.txt", weights.path / "small" / "tokenizer")
    save_checkpoint(make_tensors(config), weights.path / "small")
    return config


def test_a_checkpoint_is_converted_once(weights, checkpointed):
    path = ensure_converted(checkpointed, weights)
    written = path.stat().st_mtime_ns
    assert ensure_converted(checkpointed, weights) == path
    assert path.stat().st_mtime_ns == written
    assert read_digest(path) == compute_digest(weights.locate_checkpoint(checkpointed))


def test_of_many_who_find_a_checkpoint_one_converts(weights, checkpointed, monkeypatch):
    converted = []
    monkeypatch.setattr("models.checkpoints.authors.convert", lambda *a: converted.append(a) or convert(*a))
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: ensure_converted(checkpointed, weights), range(8)))
    assert len(converted) == len(paths) == 1


def test_a_newer_checkpoint_is_converted_anew(weights, checkpointed, make_tensors, save_checkpoint):
    path = ensure_converted(checkpointed, weights)
    before = read_digest(path)
    tensors = make_tensors(checkpointed)
    tensors["mmmodel.video_encoder.videomlp.linear1.weight"] += 1
    newer = save_checkpoint(tensors, weights.path / "small")
    os.utime(newer, (time.time() + 60,) * 2)
    ensure_converted(checkpointed, weights)
    assert read_digest(path) == compute_digest(newer) != before


def test_a_checkpoint_that_went_after_its_conversion_is_not_missed(weights, checkpointed):
    path = ensure_converted(checkpointed, weights)
    weights.locate_checkpoint(checkpointed).unlink()
    assert ensure_converted(checkpointed, weights) == path


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_checkpoint(weights, checkpointed, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("models.checkpoints.authors.convert", refuse)
    with pytest.raises(CheckpointFormatError, match="cannot be written"):
        ensure_converted(checkpointed, weights)


def test_the_default_model_is_the_wanted_one_else_default_else_the_shipped(weights, tiny_weights):
    catalog = load_catalog(weights=weights.path)
    assert choose_default_model(catalog, weights) == "fingerspelling"
    assert choose_default_model(catalog, weights, wanted="a") == "a"
    assert choose_default_model(catalog, weights, wanted="multilingual") == "default"
    with pytest.raises(UnknownModelError):
        choose_default_model(catalog, weights, wanted="nothing")

    shutil.copytree(tiny_weights / "tiny", weights.path / "default", ignore=shutil.ignore_patterns("tokenizer"))
    assert choose_default_model(catalog, weights) == "fingerspelling", "without a tokenizer it cannot answer"
    shutil.copytree(tiny_weights / "tiny" / "tokenizer", weights.path / "tokenizers" / "bert-base-cased")
    assert choose_default_model(catalog, weights) == "default"


@pytest.mark.parametrize("changes", [1, 9])
def test_a_file_that_is_replaced_while_it_loads_gives_its_own_digest(make_registry, weights, changes):
    path = weights.path / "a" / "model.safetensors"
    seen = []

    def build(loaded, config):
        seen.append(path.read_bytes())
        if len(seen) <= changes:
            part = path.with_suffix(".part")
            part.write_bytes(seen[-1][:-1] + bytes([len(seen)]))
            part.replace(path)
        return torch_backend(loaded, config)

    registry = make_registry(make_backend=build)
    if changes == 1:
        assert registry.get("a").digest == hashlib.sha256(seen[-1]).hexdigest()
        assert len(seen) == 2
    else:
        with pytest.raises(CheckpointFormatError, match="was replaced while it was loaded, 3 times"):
            registry.get("a")
