"""docs/reproduce.md against what the code knows: published metrics, data sets, options."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.registry import CORPORA
from evaluation.arguments import build_parser
from evaluation.published import find_published_test, read_published

PAGE_PATH = Path(__file__).parents[2] / "docs" / "reproduce.md"
PAGE = PAGE_PATH.read_text(encoding="utf-8")
PUBLISHED = read_published()


@pytest.mark.parametrize("experiment", PUBLISHED)
def test_published_figures_stand_on_the_page(experiment):
    (line,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{experiment}`" in line]
    shown = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line.split("|")[4])]
    dataset = line.split("|")[3].strip(" `")
    assert dataset in CORPORA
    metrics = find_published_test(PUBLISHED, experiment, dataset).metrics
    in_domain = ["pose_to_text R@1", "pose_to_text R@5", "pose_to_text R@10", "pose_to_text median_rank"]
    columns = in_domain if experiment.startswith("signclip") else ["pose_to_text R@1", "text_to_pose P@1"]
    # Published with four digits, shown with three; four digits that end in 5 may be rounded either way.
    assert shown == pytest.approx([metrics[column] for column in columns], abs=0.0005001)


def test_options_on_the_page_exist():
    evaluation = {option for action in build_parser()._actions for option in action.option_strings}
    # Of the example client, videos, iconicity, the report, torchrun, training, TensorBoard and corpora.
    elsewhere = {
        "--sign-language",
        "--text",
        "--network",
        "--weights",
        "--one-word",
        "--clips",
        "--from",
        "--all",
        "--concept",
        "--nproc-per-node",
        "--max-restarts",
        "--restart",
        "--logdir",
    }
    assert set(re.findall(r"--[a-z][a-z-]*[a-z]", PAGE)) <= evaluation | elsewhere


@pytest.mark.parametrize("code", re.findall(r'python -c "([^"]+)"', PAGE))
def test_python_on_the_page_runs(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=PAGE_PATH.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
