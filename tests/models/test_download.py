from __future__ import annotations

import os
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

import models.download
from models.backends.pytorch import TorchBackend
from models.catalog import ModelConfig, load_catalog
from models.checkpoints.folders import compute_digest, read_digest
from models.download import Fetched, fetch, read_record
from models.errors import DigestMismatchError, DownloadError, TensorMismatchError
from models.registry import Registry
from tests.models.origins import COMMIT, FILE_ID, QUOTA_PAGE


@pytest.fixture
def config(weights) -> ModelConfig:
    return load_catalog(weights=weights.path)["small"]


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


WHOLE = {"config.yaml", "checkpoint_best.pt", "model.safetensors", "download.json"}


def test_a_model_is_fetched_recorded_and_converted(origins, weights, config):
    fetched = fetch(config, weights)
    folder = weights.locate_folder(config)
    assert fetched == Fetched(checkpoint=True, tokenizer=True, path=folder / "model.safetensors")
    assert weights.find_missing(config) is None
    assert (folder / "checkpoint_best.pt").read_bytes() == origins.files[FILE_ID]
    assert left_in(folder) == WHOLE
    assert read_digest(fetched.path) == compute_digest(folder / "checkpoint_best.pt")

    record = read_record(folder)
    assert record is not None
    assert record.source == f"drive:{FILE_ID}"
    assert record.experiment == "runs/small"
    assert abs((datetime.now(UTC) - record.downloaded).total_seconds()) < 3600
    assert record.files["checkpoint_best.pt"].sha256 == compute_digest(folder / "checkpoint_best.pt")
    assert record.files["checkpoint_best.pt"].size_bytes == len(origins.files[FILE_ID])


def test_the_tokenizers_own_files_are_fetched_and_no_others(origins, weights, config):
    fetch(config, weights)
    folder = weights.locate_tokenizer(config)
    assert left_in(folder) == {"vocab.txt", "tokenizer_config.json", "config.json", "download.json"}
    assert not [line for line in origins.requests if "model.safetensors" in line]
    record = read_record(folder)
    assert record is not None
    assert record.source == f"hub:bert-small@{COMMIT}"
    assert set(record.files) == {"vocab.txt", "tokenizer_config.json", "config.json"}
    assert AutoTokenizer.from_pretrained(folder).tokenize("House") == ["H", "##o", "##u", "##s", "##e"]


def test_everything_is_offline_afterwards(origins, weights, config):
    fetch(config, weights)
    origins.requests.clear()
    registry = Registry(
        load_catalog(weights=weights.path),
        weights,
        make_backend=lambda path, config: TorchBackend(path, config, device="cpu", dtype="float32"),
    )
    assert registry.get("small").embed_text(["house"]).shape == (1, 32)
    assert fetch(config, weights) == Fetched(checkpoint=False, tokenizer=False, path=weights.locate_converted(config))
    assert origins.requests == []


def test_a_broken_transfer_resumes_where_it_broke(origins, weights, config):
    origins.cut_after = 1_700_000
    with pytest.raises(DownloadError, match=r"^the checkpoint of 'small' could not be downloaded: .*resume"):
        fetch(config, weights)
    assert not weights.locate_checkpoint(config).exists()
    assert weights.find_missing(config) is not None
    (part,) = weights.locate_folder(config).glob("*.part")
    received = part.stat().st_size
    assert 500_000 < received <= 1_700_000

    origins.cut_after = None
    fetch(config, weights)
    assert origins.drive_requests()[-1].endswith(f"bytes={received}-")
    assert weights.locate_checkpoint(config).read_bytes() == origins.files[FILE_ID]
    assert left_in(weights.locate_folder(config)) == WHOLE


def test_a_transfer_that_ended_before_it_was_checked_is_checked_now(origins, weights, config):
    (weights.locate_folder(config) / "checkpoint_best.pt.part").write_bytes(origins.files[FILE_ID])
    assert fetch(config, weights).checkpoint
    assert left_in(weights.locate_folder(config)) == WHOLE


def test_force_starts_over(origins, weights, config):
    origins.cut_after = 1_700_000
    with pytest.raises(DownloadError):
        fetch(config, weights)
    origins.cut_after = None
    origins.requests.clear()
    assert fetch(config, weights, force=True).checkpoint
    assert not [line for line in origins.requests if "bytes=" in line]
    assert left_in(weights.locate_folder(config)) == WHOLE


def test_force_fetches_and_converts_what_is_here(origins, weights, config, make_tensors, tmp_path):
    """However old the file is on Drive: it is newer here than what was converted before."""
    before = read_digest(fetch(config, weights).path)
    tensors = make_tensors(config, vocab_size=12_000)
    tensors["mmmodel.video_encoder.videomlp.linear1.bias"] += 1
    torch.save({"model": tensors}, tmp_path / "newer.pt")
    origins.files[FILE_ID] = (tmp_path / "newer.pt").read_bytes()

    assert not fetch(config, weights).checkpoint
    fetched = fetch(config, weights, force=True)
    assert fetched == Fetched(checkpoint=True, tokenizer=True, path=fetched.path)
    assert read_digest(fetched.path) == compute_digest(tmp_path / "newer.pt") != before


@pytest.mark.parametrize("name", ["small/checkpoint_best.pt", "tokenizers/bert-small/vocab.txt"])
def test_a_changed_file_is_found_and_replaced_on_request(origins, weights, config, name):
    fetch(config, weights)
    changed = weights.path / name
    good = changed.read_bytes()
    changed.write_bytes(good[:-1] + b"x")
    with pytest.raises(DigestMismatchError, match=f"{changed} is not what was downloaded on .* --force"):
        fetch(config, weights)
    fetch(config, weights, force=True)
    assert changed.read_bytes() == good


def test_a_checkpoint_deleted_after_conversion_is_not_fetched_again(origins, weights, config):
    fetch(config, weights)
    weights.locate_checkpoint(config).unlink()
    origins.requests.clear()
    assert not fetch(config, weights).checkpoint
    assert origins.requests == []


def test_files_that_came_another_way_are_left_alone(origins, weights, config, tmp_path):
    weights.locate_checkpoint(config).write_bytes(origins.files[FILE_ID])
    fetched = fetch(config, weights)
    assert (fetched.checkpoint, fetched.tokenizer) == (False, True)
    assert read_record(weights.locate_folder(config)) is None
    assert origins.drive_requests() == []


def test_who_comes_second_waits_and_fetches_nothing(origins, weights, config):
    with ThreadPoolExecutor(4) as pool:
        fetched = list(pool.map(lambda _: fetch(config, weights), range(4)))
    assert sorted(one.checkpoint for one in fetched) == [False, False, False, True]
    assert len(origins.drive_requests()) == 1


@pytest.mark.parametrize("as_attachment", [False, True])
def test_a_quota_page_is_no_checkpoint(origins, weights, config, as_attachment):
    origins.page, origins.as_attachment = QUOTA_PAGE, as_attachment
    with pytest.raises(DownloadError, match=r"Too many users|web page instead of 'runs/small'") as caught:
        fetch(config, weights)
    assert "\n" not in str(caught.value)
    assert left_in(weights.locate_folder(config)) == {"config.yaml"}
    origins.page, origins.as_attachment = None, True
    assert fetch(config, weights).checkpoint


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"x" * 1000], ids=["empty", "empty zip", "noise"])
def test_what_is_no_checkpoint_is_not_kept(origins, weights, config, content):
    good, origins.files[FILE_ID] = origins.files[FILE_ID], content
    with pytest.raises(DownloadError, match="what Google Drive sent as 'runs/small' is no checkpoint"):
        fetch(config, weights)
    assert left_in(weights.locate_folder(config)) == {"config.yaml"}
    origins.files[FILE_ID] = good
    assert fetch(config, weights).checkpoint


def test_a_checkpoint_of_another_model_is_kept_and_named(origins, weights, config):
    other = config.model_copy(update={"feature_dim": 64})
    with pytest.raises(TensorMismatchError, match=r"linear1.weight is \(32, 63\), not \(32, 64\)"):
        fetch(other, weights)
    assert weights.locate_checkpoint(config).is_file()
    assert fetch(config, weights) == Fetched(checkpoint=False, tokenizer=False, path=weights.locate_converted(config))


def test_a_file_drive_does_not_give_is_an_error(origins, weights, config):
    origins.refused.add(FILE_ID)
    with pytest.raises(DownloadError, match="the checkpoint of 'small' could not be downloaded"):
        fetch(config, weights)


def test_a_disk_too_small_is_found_before_the_transfer(origins, weights, config, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(models.download.shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 10, 10))
    monkeypatch.setattr("huggingface_hub.file_download._check_disk_space", lambda *arguments: None)
    with pytest.raises(DownloadError, match=r"has 10 bytes free, the checkpoint needs [\d,]+ more"):
        fetch(config, weights)


def test_a_disk_that_fills_up_keeps_what_was_received(origins, weights, config, monkeypatch):
    def fill(*arguments: object) -> object:
        def report(received: int, total: int | None) -> None:
            if received > 1_000_000:
                raise OSError(28, "No space left on device")

        return report

    with monkeypatch.context() as patch:
        patch.setattr(models.download, "_make_progress", fill)
        with pytest.raises(DownloadError, match=r"cannot be stored: No space left on device\. .*SIGNCLIP_WEIGHTS_DIR"):
            fetch(config, weights)
    fetch(config, weights)
    assert "bytes=1" in origins.drive_requests()[-1]


def test_a_folder_that_cannot_be_made_is_an_error(origins, weights, config):
    (weights.path / "tokenizers").write_text("a file where a folder should be")
    with pytest.raises(DownloadError, match=r"the tokenizer 'bert-small' cannot be stored: .*tokenizers"):
        fetch(config, weights)


def test_a_tokenizer_that_breaks_off_leaves_none(origins, weights, config):
    """The word list alone would be read as lower-casing."""
    origins.refused.add("tokenizer_config.json")
    with pytest.raises(DownloadError, match="the tokenizer 'bert-small' could not be downloaded"):
        fetch(config, weights)
    assert not weights.locate_tokenizer(config).exists()
    origins.refused.clear()
    fetch(config, weights)
    assert left_in(weights.path / "tokenizers") == {"bert-small"}


@pytest.mark.parametrize("repository", [{}, {"config.json": b"{}"}, {"vocab.txt": b"no\nbert\n"}])
def test_a_repository_without_a_tokenizer_is_an_error(origins, weights, config, repository):
    origins.repository = repository
    with pytest.raises(DownloadError, match="on the hub is no tokenizer we can read"):
        fetch(config, weights)
    assert not weights.locate_tokenizer(config).exists()


def test_an_unknown_repository_and_a_machine_offline_are_errors(origins, weights, config, monkeypatch):
    unknown = config.model_copy(update={"tokenizer": "nothing"})
    with pytest.raises(DownloadError, match="the tokenizer 'nothing' could not be downloaded"):
        fetch(unknown, weights)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="offline mode is enabled"):
        fetch(config, weights)


def test_a_damaged_record_is_an_error(origins, weights, config):
    fetch(config, weights)
    (weights.locate_folder(config) / "download.json").write_text("{}")
    with pytest.raises(DownloadError, match="no record of a download"):
        fetch(config, weights)
    os.unlink(weights.locate_folder(config) / "download.json")
    assert not fetch(config, weights).checkpoint
