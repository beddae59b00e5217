"""An interrupted run ends with the weights of an uninterrupted one, to the bit."""

import csv
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.synthetic_pairs import HeldPairs, PairBatches, tiny_model, tiny_run
from training import loop
from training.distribution import open_accelerator
from training.errors import StateError
from training.experiment import EXPERIMENTS, read_experiment
from training.loop import Sources, train
from training.runs.files import RunFiles
from training.runs.state import RunProgress, load_state, save_state

ROOT = Path(__file__).parents[2]
RECIPE = {
    "model": {"dropout": 0.2, "projection": "l2"},
    "loss": {"learn_scale": True, "temperature": 0.1},
    "batch": {"chunk": 3},
    "freeze_after": {"tower": "pose", "steps": 7},
    "save_every": 3,
    "validation": {"every": 4},
}


class KilledError(Exception):
    """Stands for whatever ends a process."""


def _run(folder, *, dies_after=None, run=None):
    run = run or tiny_run(folder, **RECIPE)

    def report(step, _):
        if step + 1 == dies_after:
            raise KilledError

    files = RunFiles(run, lambda _: None)
    sources = Sources(PairBatches(), HeldPairs())
    accelerator = open_accelerator(run, cpu=True)
    return train(run, tiny_model(run.model), sources=sources, accelerator=accelerator, files=files, report=report)


def _written(folder):
    texts = {
        path.name: path.read_text() for suffix in ("csv", "yaml") for path in (folder / "tiny-run").glob(f"*.{suffix}")
    }
    return texts, load_file(folder / "tiny-run" / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    yield _run(folder).state_dict(), *_written(folder)
    torch.set_num_threads(threads)


def _assert_same(model, folder, whole):
    last, whole_texts, whole_best = whole
    # Logs without a row twice or missing, and the configuration with the learned scale.
    texts, best = _written(folder)
    assert texts == whole_texts
    for found, expected in ((model.state_dict(), last), (best, whole_best)):
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("steps", range(1, 13))
def test_any_step_may_be_the_last_before_an_interruption(tmp_path, whole, steps):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=steps)
    _assert_same(_run(tmp_path), tmp_path, whole)


def test_a_run_may_die_often(tmp_path, whole):
    for steps in (2, 4, 5, 8, 11):
        with pytest.raises(KilledError):
            _run(tmp_path, dies_after=steps)
    _assert_same(_run(tmp_path), tmp_path, whole)


def test_a_finished_run_is_not_trained_again(tmp_path, whole):
    _run(tmp_path)
    _assert_same(_run(tmp_path, dies_after=1), tmp_path, whole)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import test_resuming

class KilledError(Exception):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
test_resuming.KilledError = KilledError
test_resuming._run(Path(sys.argv[1]), dies_after=int(sys.argv[2]))
"""


def test_kill_9_changes_nothing(tmp_path, whole):
    paths = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    step = str(random.Random().randint(4, 11))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), step], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "tiny-run" / "state.pt").is_file()
    _assert_same(_run(tmp_path), tmp_path, whole)


def test_half_a_state_is_no_state(tmp_path, whole):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=7)
    (tmp_path / "tiny-run" / ".state.pt.0a1b2c3d.part").write_bytes(b"PK half of a file")
    with (tmp_path / "tiny-run" / "steps.csv").open("a") as file:
        file.write("8,0.3")
    _assert_same(_run(tmp_path), tmp_path, whole)


def test_another_run_is_refused(tmp_path):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=4)
    other = tiny_run(tmp_path, **{**RECIPE, "seed": 1, "loss": {**RECIPE["loss"], "temperature": 0.2}})
    with pytest.raises(StateError, match=r"seed 0, now 1; loss\.temperature 0\.1, now 0\.2; use --restart"):
        _run(tmp_path, run=other)


def test_another_machine_may_go_on(tmp_path, whole):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=7)
    elsewhere = {"save_every": 5, "data": {"workers": 7, "folder": "/mnt/data", "cache": "/tmp/cache"}}
    _assert_same(_run(tmp_path, run=tiny_run(tmp_path, **{**RECIPE, **elsewhere})), tmp_path, whole)


def test_a_state_with_former_names_of_settings_may_go_on(tmp_path, whole):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=7)
    path = tmp_path / "tiny-run" / "state.pt"
    state = torch.load(path, weights_only=True)
    freeze_after, loss = state["run"].pop("freeze_after"), state["run"]["loss"]
    state["run"]["rest"] = {"tower": freeze_after["tower"], "after": freeze_after["steps"]}
    loss["directions"] = loss.pop("reduction")
    torch.save(state, path)
    _assert_same(_run(tmp_path), tmp_path, whole)


@pytest.mark.parametrize(("schedule", "goes_on"), [("polynomial", True), ("constant", True), ("cosine", False)])
def test_a_run_may_be_longer_where_that_does_not_bend_its_learning_rate(tmp_path, schedule, goes_on):
    changes = {"optimizer": {"schedule": schedule}, "validation": {"every": 4}}
    _run(tmp_path, run=tiny_run(tmp_path, **changes, steps=8))
    longer = tiny_run(tmp_path, **changes, steps=12)
    if not goes_on:
        with pytest.raises(StateError, match="steps 8, now 12"):
            _run(tmp_path, run=longer)
        return
    once = tmp_path / "once"
    expected = _run(once, run=tiny_run(once, **changes, steps=12)).state_dict()
    found = _run(tmp_path, run=longer).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


@pytest.mark.parametrize(("annealing", "goes_on"), [(0.3, False), (0, True)])
def test_a_run_whose_augmentation_weakens_towards_its_end_may_not_be_longer(tmp_path, annealing, goes_on):
    changes = ["optimizer.schedule=constant", "freeze_after=null", f"data.annealing={annealing}"]
    short, long = (read_experiment(EXPERIMENTS / "fingerspelling.yaml", [*changes, f"steps={n}"]) for n in (8, 12))
    save_state(tmp_path, short, progress=RunProgress(step=8), learned={})
    if goes_on:
        assert load_state(tmp_path, long) == (RunProgress(step=8), {})
        return
    with pytest.raises(StateError, match="steps 8, now 12"):
        load_state(tmp_path, long)


def test_without_validation_there_is_a_state_too(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LEAST_STEPS", 3)  # below the four steps of an epoch
    run = tiny_run(tmp_path)
    accelerator = open_accelerator(run, cpu=True)
    begun = []

    def report(step, _):
        begun.append(step)
        if step == 9:
            raise KilledError

    def go(report=None):
        files = RunFiles(run, lambda _: None)
        sources = Sources(PairBatches())
        return train(run, tiny_model(run.model), sources=sources, accelerator=accelerator, files=files, report=report)

    with pytest.raises(KilledError):
        go(report)
    begun.clear()
    go(lambda step, _: begun.append(step))
    assert begun == [8, 9, 10, 11]
    begun.clear()
    go(lambda step, _: begun.append(step))
    assert not begun, "a finished run is trained again"


def test_a_log_that_lost_everything_is_begun_anew(tmp_path, whole):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=4)
    (tmp_path / "tiny-run" / "steps.csv").write_text("")
    _run(tmp_path)
    with (tmp_path / "tiny-run" / "steps.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(4, 13))


def test_logs_of_a_resumed_run_have_one_kind_of_line_end(tmp_path):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=7)
    folder = tmp_path / "tiny-run"
    # As an earlier version wrote it: other line ends, and a validation without ties.
    for name in ("steps.csv", "validation.csv"):
        with (folder / name).open(newline="") as file:
            rows = list(csv.reader(file))
        kept = [row[:-1] if name == "validation.csv" else row for row in rows]
        (folder / name).write_bytes("".join(",".join(row) + "\r\n" for row in kept).encode())
    _run(tmp_path)
    for name in ("steps.csv", "validation.csv"):
        text = (folder / name).read_bytes().decode()
        assert "\r" not in text
        rows = list(csv.reader(text.splitlines()))
        assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[0] for row in rows[1:]] == ["4", "8", "12"]


def test_damaged_state_is_named(tmp_path):
    run = tiny_run(tmp_path, **RECIPE)
    run.logs_folder.mkdir(parents=True)
    (run.logs_folder / "state.pt").write_bytes(b"nothing")
    with pytest.raises(StateError, match=r"state\.pt cannot be read"):
        _run(tmp_path)


def test_logs_tell_every_step_and_validation(tmp_path, whole):
    with pytest.raises(KilledError):
        _run(tmp_path, dies_after=8)
    _run(tmp_path)
    with (tmp_path / "tiny-run" / "steps.csv").open(newline="") as file:
        steps = list(csv.DictReader(file))
    assert [int(row["step"]) for row in steps] == list(range(1, 13))
    assert [float(row["learning_rate"]) for row in steps[:3]] == [0.0, 5e-3, 1e-2]
    with (tmp_path / "tiny-run" / "validation.csv").open(newline="") as file:
        validations = list(csv.DictReader(file))
    assert [int(row["step"]) for row in validations] == [4, 8, 12]
    board = EventAccumulator(str(tmp_path / "tiny-run" / "tensorboard"))
    board.Reload()
    drawn = {event.step: event.value for event in board.Scalars("training/loss")}
    assert drawn == pytest.approx({int(row["step"]): float(row["loss"]) for row in steps}, rel=1e-6)
    metrics = [event.value for event in board.Scalars("validation/pose_to_text/R@1")]
    assert metrics == pytest.approx([float(row["pose_to_text R@1"]) for row in validations], rel=1e-6)
