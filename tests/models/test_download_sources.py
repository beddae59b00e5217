"""Where checkpoints are downloaded from: a file on Drive, or an experiment in a folder of Drive."""

from __future__ import annotations

import pytest

from models.catalog import ModelConfig, load_catalog
from models.download import fetch, read_record
from models.errors import DownloadError
from tests.models.origins import FILE_ID, FOLDER_ID, OTHER_ID, RUN_FOLDER_ID


@pytest.fixture
def in_folder(weights) -> ModelConfig:
    """The small model, published as an experiment in a folder of Drive."""
    path = weights.path / "small" / "config.yaml"
    text = path.read_text().replace(f"drive_file: {FILE_ID}", f"drive_folder: {FOLDER_ID}")
    path.write_text(text)
    return load_catalog(weights=weights.path)["small"]


def test_an_experiment_is_found_in_its_folder(origins, weights, in_folder):
    origins.folders = {
        FOLDER_ID: ("public", [(RUN_FOLDER_ID, "runs/"), (OTHER_ID, "checkpoint_best.pt")]),
        RUN_FOLDER_ID: ("runs", [("s" * 33, "small/"), ("x" * 33, "smaller/")]),
        "s" * 33: ("small", [(FILE_ID, "checkpoint_best.pt"), (OTHER_ID, "checkpoint_last.pt")]),
        "x" * 33: ("smaller", [(OTHER_ID, "checkpoint_best.pt")]),
    }
    assert fetch(in_folder, weights).checkpoint
    record = read_record(weights.locate_folder(in_folder))
    assert record is not None
    assert record.source == f"drive:{FILE_ID}"


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            {
                FOLDER_ID: ("public", [(OTHER_ID, "other/")]),
                OTHER_ID: ("other", [(FILE_ID, "checkpoint_best.pt")]),
            },
            "its checkpoints: other$",
        ),
        ({FOLDER_ID: ("public", [])}, "holds 0 files 'runs/small/checkpoint_best.pt'; its checkpoints: none"),
        ({}, "could not be downloaded: Failed to retrieve folder contents"),
    ],
)
def test_a_folder_without_the_experiment_is_an_error(origins, weights, in_folder, folders, message):
    origins.folders = folders
    with pytest.raises(DownloadError, match=message):
        fetch(in_folder, weights)


def test_a_source_that_names_no_file_is_an_error(origins, weights):
    config = load_catalog(weights=weights.path)["small"]
    nowhere = config.model_copy(update={"download": config.download.model_copy(update={"drive_file": None})})
    with pytest.raises(DownloadError, match="neither drive_file nor drive_folder"):
        fetch(nowhere, weights)


def test_a_model_without_a_source_is_an_error(weights, tiny_model):
    with pytest.raises(DownloadError, match=r"model 'tiny' has no `download:` .* put its files into .*/tiny"):
        fetch(tiny_model.config, weights)
