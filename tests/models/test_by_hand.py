"""Without a network: which files go where, and the shipped model stays at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import download
from models.__main__ import main
from models.by_hand import describe_by_hand
from models.catalog import load_catalog
from models.checkpoints.folders import SHIPPED, WeightsFolder
from models.errors import DownloadError


def test_every_released_model_has_an_address_a_size_and_a_place(tmp_path: Path) -> None:
    weights = WeightsFolder(tmp_path)
    for config in load_catalog(weights=tmp_path).values():
        said = describe_by_hand(config, weights)
        if config.download is None:
            assert said == ""
            continue
        assert (config.download.drive_file or config.download.drive_folder or "-") in said
        assert str(tmp_path / config.folder / "checkpoint_best.pt") in said
        assert str(tmp_path / "tokenizers" / config.tokenizer) in said
        assert "GB in float16" in said


def test_a_download_that_fails_says_what_to_fetch_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr(download, "fetch", fail)
    assert main(["--weights-dir", str(tmp_path), "download", "default"]) == 1
    said = capsys.readouterr().err
    assert "https://drive.google.com/uc?id=" in said
    assert said.index("by hand") < said.index("error: no network")


def test_a_tokenizer_that_is_here_is_not_asked_for(tmp_path: Path) -> None:
    weights = WeightsFolder(tmp_path)
    config = load_catalog(weights=tmp_path)["default"]
    folder = weights.locate_tokenizer(config)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("[PAD]\n")
    assert "huggingface" not in describe_by_hand(config, weights)


def test_another_weights_folder_keeps_the_shipped_model(tmp_path: Path) -> None:
    weights = WeightsFolder(tmp_path)
    config = load_catalog(weights=tmp_path)["fingerspelling"]
    assert weights.locate_folder(config) == SHIPPED / "fingerspelling"
    assert weights.find_missing(config) is None
    (tmp_path / "fingerspelling").mkdir()
    assert weights.locate_folder(config) == tmp_path / "fingerspelling"
    assert weights.find_missing(config) is not None
