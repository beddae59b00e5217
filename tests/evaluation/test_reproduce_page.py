"""docs/reproduce.md against what the code knows: published metrics, data sets, options."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.registry import CORPORA
from evaluation.__main__ import _build_parser
from evaluation.tables import find_published_metrics, read_published

PAGE_PATH = Path(__file__).parents[2] / "docs" / "reproduce.md"
PAGE = PAGE_PATH.read_text(encoding="utf-8")
PUBLISHED = read_published()


@pytest.mark.parametrize("experiment", PUBLISHED)
def test_published_figures_stand_on_the_page(experiment):
    (line,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{experiment}`" in line]
    shown = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line.split("|")[4])]
    assert shown == list(find_published_metrics(PUBLISHED, experiment).values())
    assert line.split("|")[3].strip(" `") in CORPORA


def test_options_on_the_page_exist():
    evaluation = {option for action in _build_parser()._actions for option in action.option_strings}
    # Of the report, torchrun, training and TensorBoard.
    elsewhere = {"--all", "--concept", "--nproc-per-node", "--restart", "--logdir"}
    assert set(re.findall(r"--[a-z][a-z-]*[a-z]", PAGE)) <= evaluation | elsewhere


@pytest.mark.parametrize("code", re.findall(r'python -c "([^"]+)"', PAGE))
def test_python_on_the_page_runs(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=PAGE_PATH.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
