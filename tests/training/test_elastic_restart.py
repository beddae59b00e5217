"""torchrun starts all processes again when it loses one, and the run ends as if none had been lost."""

import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
PROCESS = """
import os, signal, sys
from pathlib import Path
import torch
from tests.training.synthetic_pairs import PairBatches, tiny_model, tiny_run
from training.batches import ProcessShare
from training.distribution import open_accelerator
from training.loop import Sources, train
from training.runs.files import RunFiles

torch.set_num_threads(1)
folder = Path(sys.argv[1])
attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])


def go(name, dies_after=None):
    steps = []
    run = tiny_run(
        folder / name,
        model={"dropout": 0.2, "projection": "l2"},
        batch={"size": 7, "chunk": 2},
        loss={"learn_scale": True, "temperature": 0.1},
        save_every=3,
    )
    accelerator = open_accelerator(run, cpu=True)

    def report(step, _):
        steps.append(step)
        if step + 1 == dies_after and accelerator.process_index == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    share = ProcessShare(accelerator.process_index, accelerator.num_processes)
    files = RunFiles(run, lambda _: None, writes=accelerator.is_main_process)
    sources = Sources(PairBatches(share=share, pairs=7))
    model = train(run, tiny_model(run.model), sources=sources, accelerator=accelerator, files=files, report=report)
    return accelerator, steps, model.state_dict()


accelerator, steps, resumed = go("killed", dies_after=8 if attempt == 0 else None)
assert attempt == 1
_, all_steps, whole = go("whole")
found = {"steps": steps, "all_steps": all_steps, "equal": all(map(torch.equal, resumed.values(), whole.values()))}
torch.save(found, folder / f"{accelerator.process_index}.pt")
accelerator.end_training()
"""


def test_a_run_that_loses_a_process_ends_with_the_same_weights(tmp_path):
    (tmp_path / "process.py").write_text(PROCESS)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command, "process.py", "."], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for process in range(2):
        found = torch.load(tmp_path / f"{process}.pt", weights_only=True)
        # The last state was written after step 6 of 12; steps count from 0.
        assert found == {"steps": list(range(6, 12)), "all_steps": list(range(12)), "equal": True}
