"""Loader workers: none where they would cost more than they save, and the same ones from validation to validation."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
import torch

from corpora.errors import WorkerLostError
from tests.running import ROOT, watch_processes
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


WAITING = """
import sys
import torch
from tests.training.test_loader import ProcessPairs
from training.loader import open_loader

batches = iter(open_loader(ProcessPairs(), range(1000), workers=2, device=torch.device("cpu")))
print(*(int(next(batches).marks[0]) for _ in range(2)), flush=True)
sys.stdin.read()
"""


def test_workers_end_when_their_trainer_is_killed():
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trainer:
        workers = {int(pid) for pid in trainer.stdout.readline().split()}
        server = {psutil.Process(pid).ppid() for pid in workers}
        assert (len(workers), len(server)) == (2, 1)
        with watch_processes(workers | server) as have_ended:
            trainer.kill()
            assert have_ended()


class KilledPairs(HeldPairs):
    """Batches of which the second one costs the life of the process that makes it."""

    def __getitem__(self, index):
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_worker_that_is_killed_is_named():
    loader = open_loader(KilledPairs(), range(3), workers=1, device=torch.device("cpu"))
    with pytest.raises(WorkerLostError, match=r"one of 1 processes that make batches died.*smaller data\.workers"):
        list(loader)


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
