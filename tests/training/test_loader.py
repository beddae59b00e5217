"""Loader workers: none where they would cost more than they save, and the same ones from validation to validation."""

import os
import subprocess
import sys
from dataclasses import replace

import torch

from tests.training.synthetic_pairs import HeldPairs
from training.loader import open_loader
from training.sections.clips import FEW_CLIPS, WORKERS, ClipData

PART = {"dataset": "manifest", "root": "own"}


class ProcessPairs(HeldPairs):
    """Batches whose marks are the number of the process that made them, or of the one that it came from."""

    def __init__(self, find=os.getpid):
        super().__init__()
        self.find = find

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        return replace(batch, marks=torch.full_like(batch.marks, self.find()))


def test_workers_come_from_one_process_that_has_imported_what_they_need():
    # Not from this process, and not each by an import of its own: sources that do not fit a pipe started one worker
    # after another.
    loader = open_loader(ProcessPairs(os.getppid), range(6), workers=2, device=torch.device("cpu"))
    origins = {int(batch.marks[0]) for batch in loader}
    assert len(origins) == 1
    assert os.getpid() not in origins


def test_workers_stay_between_validations():
    loader = open_loader(ProcessPairs(), range(3), workers=1, device=torch.device("cpu"), reused=True)
    makers = [{int(batch.marks[0]) for batch in loader} for _ in range(2)]
    assert makers[0] == makers[1]
    assert len(makers[0]) == 1
    assert os.getpid() not in makers[0]


def test_small_runs_make_their_batches_themselves():
    data = ClipData(train=[PART])
    assert data.choose_workers(FEW_CLIPS - 1) == 0
    assert data.choose_workers(FEW_CLIPS) == WORKERS
    assert ClipData(train=[PART], workers=3).choose_workers(1) == 3
    # Without a cache each clip is parsed at each step.
    assert ClipData(train=[PART], cache=None).choose_workers(1) == WORKERS


def test_tensorboard_starts():
    command = [sys.executable, "-m", "tensorboard.main", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
