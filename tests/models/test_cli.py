from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

import models.download
from models.__main__ import main
from models.catalog import load_catalog
from models.checkpoints.folders import ENVIRONMENT_VARIABLE, compute_digest, read_digest
from tests.models.conftest import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(weights, capsys):
    """Runs a command on the test's weights folder: status, what it printed, what it complained of."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main(["--weights-dir", str(weights.path), *map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def checkpoint(weights, make_config, make_tensors, save_checkpoint) -> Path:
    """A checkpoint in `small`'s folder."""
    return save_checkpoint(make_tensors(make_config(), vocab_size=200), weights.path / "small")


def test_list_shows_every_model_and_what_is_here(run, weights):
    status, table, errors = run("list")
    assert (status, errors) == (0, "")
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert set(lines) == set(load_catalog(weights=weights.path))
    assert lines["default"].split()[1:3] == ["missing", "-"]
    assert lines["default"].endswith("English prompts.")


def test_list_for_programs(tiny_weights, capsys):
    assert main(["--weights-dir", str(tiny_weights), "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["tiny"]["state"] == "available"
    assert rows["tiny"]["reason"] is None
    assert rows["tiny"]["size_bytes"] > (tiny_weights / "tiny" / "model.safetensors").stat().st_size
    assert rows["default"]["state"] == "missing"
    assert "python -m models download default" in rows["default"]["reason"]
    assert "multilingual" in rows["default"]["aliases"]


def test_download_fetches_says_so_and_then_verifies(origins, run, weights):
    status, said, errors = run("download", "small")
    assert (status, errors) == (0, "")
    assert said.splitlines() == [
        "small: checkpoint downloaded",
        "small: tokenizer downloaded",
        f"small: ready in {weights.path / 'small' / 'model.safetensors'}",
    ]
    assert run("download", "small")[1].splitlines()[:2] == [
        "small: checkpoint was here, unchanged",
        "small: tokenizer was here, unchanged",
    ]
    status, found, errors = run("verify", "small")
    assert (status, errors) == (0, "")
    assert [line.split()[:3] for line in found.splitlines()] == [
        ["small:", what, "ok:"] for what in ("download", "conversion", "tokenizer", "probe")
    ]
    assert "\nsmall           available" in run("list")[1]


def test_models_that_share_a_folder_are_fetched_once(origins, run, weights):
    (weights.path / "longer").mkdir()
    (weights.path / "longer" / "config.yaml").write_text("base: small\nweights: small\nmax_frames: 600\n")
    status, _, _ = run("download", "small", "longer")
    assert status == 0
    assert len(origins.drive_requests()) == 1
    assert run("verify", "longer")[0] == 0


def test_download_shows_progress_where_someone_looks(origins, weights, monkeypatch):
    shown = []

    class Bar(models.download.tqdm):
        def __init__(self, **options: object) -> None:
            assert options["disable"] is None, "only tqdm knows whether stderr is a terminal"
            super().__init__(**{**options, "disable": False, "file": open(os.devnull, "w")})  # noqa: SIM115

        def close(self) -> None:
            shown.append((self.desc, self.n, self.total))
            super().close()
            self.fp.close()

    monkeypatch.setattr(models.download, "tqdm", Bar)
    assert main(["--weights-dir", str(weights.path), "download", "small"]) == 0
    size = weights.locate_checkpoint(load_catalog(weights=weights.path)["small"]).stat().st_size
    assert ("small", size, size) in shown


def test_force_is_passed_on(origins, run):
    run("download", "small")
    assert "checkpoint downloaded" in run("download", "small", "--force")[1]


def test_convert_takes_a_models_name(run, checkpoint):
    status, said, _ = run("convert", "small")
    assert status == 0
    digest = compute_digest(checkpoint)
    assert read_digest(checkpoint.with_name("model.safetensors")) == digest
    assert digest in said


def test_convert_guesses_the_model_from_the_files_folder(run, checkpoint):
    assert run("convert", checkpoint)[0] == 0
    assert checkpoint.with_name("model.safetensors").is_file()


def test_convert_takes_any_file_with_a_models_configuration(run, checkpoint, tmp_path):
    elsewhere = checkpoint.rename(tmp_path / "mine.pt")
    status, _, error = run("convert", elsewhere)
    assert status == 1
    assert "is no model's name; give the model with --model NAME" in error
    assert run("convert", elsewhere, "--model", "small")[0] == 0
    assert load_file(tmp_path / "mine.safetensors")


def test_convert_repairs_a_damaged_conversion(run, checkpoint):
    checkpoint.with_name("model.safetensors").write_bytes(b"damaged")
    assert run("convert", "small")[0] == 0
    assert load_file(checkpoint.with_name("model.safetensors"))


def test_verify_reports_what_fails_and_refuses(run, checkpoint, weights, tiny_weights):
    config = {**SMALL, "feature_dim": 64}
    (weights.path / "small" / "config.yaml").write_text(yaml.safe_dump(config))
    tokenizer = weights.path / "small" / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_bytes((tiny_weights / "tiny" / "tokenizer" / "vocab.txt").read_bytes())
    status, found, error = run("verify", "small")
    assert status == 1
    assert "small: conversion FAILED: " in found
    assert "linear1.weight is (32, 63), not (32, 64)" in found
    assert error == "error: do not serve small (conversion), small (tokenizer), small (probe)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download", "defualt"], "there is no model 'defualt'. Did you mean 'default'?"),
        (["download", "fingerspelling"], "model 'fingerspelling' has no `download:` in its configuration"),
        (["verify", "small"], "model 'small' has no weights on this machine"),
        (["convert", "small"], "checkpoint_best.pt does not exist, so there is nothing to convert"),
        (["convert", "nothing.pt", "--model", "small"], "nothing.pt does not exist"),
        (["convert", "nothing"], "there is no model 'nothing'"),
        (["convert", "nothing.pt", "--model", "nothing"], "there is no model 'nothing'"),
    ],
)
def test_refusals_are_one_line_and_status_1(run, arguments, message):
    status, said, error = run(*arguments)
    assert (status, said) == (1, "")
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_configuration_that_cannot_be_read_is_listed_and_refused(run, weights):
    (weights.path / "small" / "config.yaml").write_text("nothing")
    status, printed, _ = run("list")
    assert status == 0
    (line,) = [line for line in printed.splitlines() if line.startswith("small ")]
    assert "failed" in line
    assert "small/config.yaml is not a mapping" in line
    status, _, error = run("verify", "small")
    assert status == 1
    assert "small/config.yaml is not a mapping" in error


def test_a_broken_transfer_says_how_to_go_on(origins, run):
    origins.cut_after = 1_700_000
    status, _, error = run("download", "small")
    assert status == 1
    assert "run the same command to resume" in error
    origins.cut_after = None
    assert run("download", "small")[0] == 0


def test_an_interruption_is_no_traceback(run, monkeypatch):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models.download, "fetch", interrupt)
    status, _, error = run("download", "small")
    assert (status, error) == (130, "interrupted; the same command resumes\n")


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["download"], ["verify"], ["convert"], ["list", "x"]])
def test_a_misspelt_command_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m models" in capsys.readouterr().err


def test_as_a_program_without_torch(weights):
    """The environment names the folder; listing is instant, and a closed pipe is no fault."""
    environment = {**os.environ, ENVIRONMENT_VARIABLE: str(weights.path)}
    command = [sys.executable, "-X", "importtime", "-m", "models", "list"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    assert "\nsmall  " in finished.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in finished.stderr.splitlines()}
    assert "models.catalog" in imported
    assert not imported & {"torch", "transformers", "gdown", "huggingface_hub"}


def test_a_reader_that_leaves_is_no_fault(weights):
    command = [sys.executable, "-u", "-m", "models", "--weights-dir", str(weights.path), "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
