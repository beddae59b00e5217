from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from models.catalog import load_catalog
from models.checkpoints.folders import (
    ENVIRONMENT_VARIABLE,
    ROOT,
    WeightsFolder,
    compute_digest,
    find_weights_dir,
    read_digest,
    read_safetensors_header,
)
from models.errors import CheckpointFormatError

CATALOG = load_catalog()


def write_header(path: Path, header: object) -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    return path


def test_the_weights_folder_is_the_projects_unless_it_is_moved(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert find_weights_dir() == ROOT / "weights"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
    assert find_weights_dir() == ROOT / "weights"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/data/weights")
    assert find_weights_dir() == Path("/data/weights")


def test_files_lie_where_the_readme_says():
    folder = WeightsFolder(Path("w"))
    default = CATALOG["default"]
    assert folder.locate_checkpoint(default) == Path("w/default/checkpoint_best.pt")
    assert folder.locate_converted(default) == Path("w/default/model.safetensors")
    assert folder.locate_tokenizer(default) == Path("w/tokenizers/bert-base-cased")
    assert folder.locate_checkpoint(CATALOG["default_long"]) == folder.locate_checkpoint(default)


def test_a_models_own_tokenizer_comes_first(tmp_path):
    (tmp_path / "default" / "tokenizer").mkdir(parents=True)
    assert WeightsFolder(tmp_path).locate_tokenizer(CATALOG["default"]) == tmp_path / "default" / "tokenizer"


@pytest.mark.parametrize("weights", ["model.safetensors", "checkpoint_best.pt"])
@pytest.mark.parametrize("tokenizer", ["vocab.txt", "tokenizer.json"])
def test_weights_and_tokenizer_are_missed_in_turn(tmp_path, weights, tokenizer):
    folder, config = WeightsFolder(tmp_path), CATALOG["default"]
    missing = folder.find_missing(config)
    assert missing is not None
    assert "has no weights" in str(missing)
    assert missing.command == "python -m models download default"

    (tmp_path / "default").mkdir()
    (tmp_path / "default" / weights).touch()
    missing = folder.find_missing(config)
    assert missing is not None
    assert "has no tokenizer (bert-base-cased)" in str(missing)
    assert missing.command == "python -m models download default"
    of_ones_own = folder.find_missing(config.model_copy(update={"download": None}))
    assert of_ones_own is not None
    assert of_ones_own.command == f"put tokenizer.json or vocab.txt into {tmp_path / 'tokenizers' / 'bert-base-cased'}"

    (tmp_path / "tokenizers" / "bert-base-cased").mkdir(parents=True)
    (tmp_path / "tokenizers" / "bert-base-cased" / tokenizer).touch()
    assert folder.find_missing(config) is None


def test_what_is_on_its_way_is_still_missing(tmp_path):
    (tmp_path / "default").mkdir()
    for name in ("checkpoint_best.pt.part", "checkpoint_best.pt.partabcdefgh.part", ".model.safetensors.x.part"):
        (tmp_path / "default" / name).touch()
    assert WeightsFolder(tmp_path).find_missing(CATALOG["default"]) is not None


def test_digests_are_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 1_000_000)
    assert compute_digest(tmp_path / "file") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_the_recorded_digest_is_that_of_the_source_else_of_the_file(tmp_path):
    assert read_digest(write_header(tmp_path / "a", {"__metadata__": {"digest": "ab"}})) == "ab"
    for metadata in ({}, {"__metadata__": {}}, {"__metadata__": {"digest": 3}}, {"__metadata__": "text"}):
        path = write_header(tmp_path / "b", metadata)
        assert read_digest(path) == compute_digest(path)


def test_headers_are_read_without_the_data(tmp_path):
    header = {"w": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4_000_000]}}
    assert read_safetensors_header(write_header(tmp_path / "file", header)) == header


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "claims 0 bytes"),
        (b"\x00" * 8, "claims 0 bytes"),
        (b"\xff" * 8, "claims 18446744073709551615 bytes"),
        ((200_000_000).to_bytes(8, "little") + b"{}", "claims 200000000 bytes"),
        (
            (11_000_000).to_bytes(8, "little") + b"{}" + b" " * 11_000_000,
            "claims 11000000 bytes, and may have 10000000",
        ),
        ((3).to_bytes(8, "little") + b"{x}", "no safetensors file"),
        ((2).to_bytes(8, "little") + b"\xff\xff", "no safetensors file"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "no safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "not a mapping"),
        ((8).to_bytes(8, "little") + b'{"w": 1}', "gives 'w' no shape"),
        ((14).to_bytes(8, "little") + b'{"w":{"a": 1}}', "gives 'w' no shape"),
        ((21).to_bytes(8, "little") + b'{"w":{"shape":["a"]}}', "gives 'w' no shape"),
        ((20).to_bytes(8, "little") + b'{"w":{"shape":[-1]}}', "gives 'w' no shape"),
        ((33).to_bytes(8, "little") + b'{"w":{"shape":[281474976710656]}}', "gives 'w' no shape"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CheckpointFormatError, match=message):
        read_safetensors_header(tmp_path / "file")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointFormatError, match="No such file"):
        read_safetensors_header(tmp_path / "nothing")
