from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.backends import pytorch
from models.catalog import ModelConfig, load_catalog
from models.checkpoints.folders import read_digest
from models.probe import FRAMES, find_expected_vectors, make_probe_items
from models.tokenization import load_tokenizer
from models.vectors import measure_error


@pytest.fixture
def folder(tiny_weights: Path, tmp_path: Path) -> Path:
    """The tiny model's folder, without a record of its probe."""
    return Path(shutil.copytree(tiny_weights / "tiny", tmp_path / "tiny", ignore=shutil.ignore_patterns("*.probe.*")))


@pytest.fixture
def expect(folder: Path) -> Callable[..., dict[str, np.ndarray]]:
    config = load_catalog(weights=folder.parent)["tiny"]

    def ask(config: ModelConfig = config, digest: str | None = None) -> dict[str, np.ndarray]:
        path = folder / "model.safetensors"
        tokenizer = load_tokenizer(folder / "tokenizer", config.lowercase)
        return find_expected_vectors(path, config, tokenizer, digest=digest or read_digest(path))

    return ask


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were run, not read from their record."""
    names: list[str] = []

    class Counted(pytorch.TorchBackend):
        def __init__(self, path: Path, config: ModelConfig, **options: object) -> None:
            names.append(config.name)
            super().__init__(path, config, **options)

    monkeypatch.setattr(pytorch, "TorchBackend", Counted)
    return names


def test_the_probe_is_a_word_and_a_moving_clip(tiny_model):
    items = make_probe_items(tiny_model.config, tiny_model.tokenizer)
    assert (
        items["text"].tolist()
        == tiny_model.tokenizer.build_input_ids(tiny_model.tokenizer.split(["house"])[0], max_pieces=29).tolist()
    )
    assert items["pose"].shape == (FRAMES, 609)
    assert items["pose"].dtype == np.float32
    assert np.abs(np.diff(items["pose"], axis=0)).max() < 0.1


def test_the_probe_fits_models_of_few_frames(tiny_model, make_config):
    assert make_probe_items(make_config(max_frames=7), tiny_model.tokenizer)["pose"].shape == (7, 63)


def test_the_expected_vectors_are_the_models(tiny_model, expect):
    items = make_probe_items(tiny_model.config, tiny_model.tokenizer)
    expected = expect()
    for tower in ("text", "pose"):
        assert measure_error(tiny_model.encode(tower, [items[tower]])[0], expected[tower]) < 1e-6


def test_they_are_computed_once_and_kept(folder, expect, built):
    first, second = expect(), expect()
    assert built == ["tiny"]
    for tower in ("text", "pose"):
        np.testing.assert_array_equal(first[tower], second[tower])
    record = folder / "tiny.probe.safetensors"
    assert record.stat().st_mode & stat.S_IRGRP == (folder / "config.yaml").stat().st_mode & stat.S_IRGRP


@pytest.mark.parametrize("change", [{"max_frames": 20}, {"lowercase": True}, {"projection": "l2"}])
def test_they_are_computed_anew_for_another_configuration(tiny_model, expect, built, change):
    expect()
    expect(tiny_model.config.model_copy(update=change))
    assert built == ["tiny", "tiny"]


def test_they_are_computed_anew_for_another_checkpoint(expect, built):
    expect()
    expect(digest="0" * 64)
    assert built == ["tiny", "tiny"]


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_damaged_record_is_replaced(folder, expect, built, content):
    (folder / "tiny.probe.safetensors").write_bytes(content)
    expect()
    expect()
    assert built == ["tiny"]


def test_a_folder_that_cannot_be_written_to_costs_time_only(folder, expect, built):
    (folder / "tiny.probe.safetensors").mkdir()
    np.testing.assert_array_equal(expect()["text"], expect()["text"])
    assert built == ["tiny", "tiny"]
