"""Commands that were moved: the former name still runs the command."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("training.stats", "corpora stats"),
        ("training.export", "models.export"),
        ("training.crossvalidate", "training.fingerspelling.crossvalidate"),
        ("training.dictionary", "training.fingerspelling.dictionary"),
    ],
)
def test_the_former_name_runs_the_command(former, present):
    command = [sys.executable, "-m", former, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: python -m {present} ")
