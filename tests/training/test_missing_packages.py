"""Where only the service is installed, training says what to install, before it reads any data."""

import sys

import pytest

from tests.running import ROOT
from training.__main__ import main

CONFIG = ROOT / "configs" / "experiments" / "fingerspelling.yaml"


@pytest.mark.parametrize("package", ["accelerate", "torch.utils.tensorboard"])
def test_training_says_what_to_install(package, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main([str(CONFIG), f"output={tmp_path / 'model'}", f"logs={tmp_path / 'logs'}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: training needs a package that is not installed")
    assert package in error
    assert "requirements-dev.txt" in error
    assert not any(tmp_path.iterdir())
