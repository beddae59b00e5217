"""Reading a run's file: bases, changes from the command line, and refusals that say what is wrong."""

from pathlib import Path

import pytest

from training.errors import ExperimentError
from training.experiment import EXPERIMENTS, RENAMED, read_experiment
from training.sections.hands import HandData

FINGERSPELLING = EXPERIMENTS / "fingerspelling.yaml"
BASE = """
model: {base: default}
start: {text: bert-base-cased, pose: bert-base-cased}
data:
  kind: clips
  train: [{dataset: spreadthesign, root: a}, {dataset: wlasl, root: b}]
  workers: 5
optimizer: {learning_rate: 0.5, warmup: 7}
epochs: 2.5
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "deep").mkdir()
    middle = "base: ../base.yaml\nname: middle\noptimizer: {warmup: 8}\nmodel: {pose_tower: {layers: 6}}\n"
    (tmp_path / "deep" / "middle.yaml").write_text(middle)
    top = "base: middle.yaml\ndata: {train: [{dataset: asl_signs, root: c}]}\n"
    (tmp_path / "deep" / "top.yaml").write_text(top)
    return tmp_path


def test_bases_are_merged_through_several_levels(files):
    run = read_experiment(files / "deep" / "top.yaml")
    assert (run.optimizer.learning_rate, run.optimizer.warmup) == (0.5, 8)
    assert [part.dataset for part in run.data.train] == ["asl_signs"]  # lists are replaced
    assert run.data.workers == 5
    assert (run.model.pose_tower.layers, run.model.text_tower.layers) == (6, 12)
    # The middle one's name is its own.
    assert (run.name, run.model.name) == ("top", "top")


def test_languages_come_with_weights_only(files):
    assert read_experiment(files / "base.yaml").model.sign_languages is None
    assert "ase" in read_experiment(files / "base.yaml", ["start.model=default"]).model.sign_languages


def test_nothing_else_of_a_base_model_is_handed_on(files):
    model = read_experiment(files / "base.yaml").model
    assert (model.aliases, model.download, model.weights) == ((), None, None)


def test_authors_defaults(files):
    run = read_experiment(files / "base.yaml", ["optimizer={warmup: 1000}"])
    assert run.optimizer.model_dump() == {
        "learning_rate": 0.5,
        "betas": (0.9, 0.98),
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "clip_norm": 2.0,
        "schedule": "polynomial",
        "warmup": 1000,
        "power": 1.0,
        "decay_steps": 1_000_000,
    }
    assert (run.loss.reduction, run.loss.learn_scale, run.model.logit_scale) == ("sum", False, 1.0)


def test_names_and_folders():
    run = read_experiment(FINGERSPELLING)
    assert run.name == "fingerspelling"
    assert (run.output_folder, run.logs_folder) == (
        Path("weights/fingerspelling"),
        Path("runs/training/fingerspelling"),
    )
    assert isinstance(run.data, HandData)


def test_default_folders(files):
    run = read_experiment(files / "base.yaml", ["name=paper/first"])
    assert run.output_folder == run.logs_folder == Path("runs/training/paper/first")
    assert run.model.name == "first"


def test_epochs_become_steps(files):
    assert read_experiment(files / "base.yaml").count_steps(100) == 250
    assert read_experiment(FINGERSPELLING, ["steps=7"]).count_steps(100) == 7


def test_changes_from_the_command_line():
    changes = ["steps=7", "optimizer.learning_rate=1", "data.augmentation.noise=0", "data.prompts.untagged=0.5"]
    run = read_experiment(FINGERSPELLING, changes)
    assert (run.steps, run.optimizer.learning_rate) == (7, 1.0)
    assert (run.data.augmentation.noise, run.data.prompts.untagged) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps", "'steps' is no change: write key=value"),
        ("stepz=3", "fingerspelling.yaml: there is no setting stepz; did you mean steps?"),
        ("data.augmentation.nois=3", "there is no setting data.augmentation.nois"),
        ("data.prompts.english=often", "data.prompts.english: .*number.*it is 'often'"),
        ("optimizer.schedule=linear", "optimizer.schedule: .*'cosine'.*it is 'linear'"),
        ("steps=many", "steps: .*integer.*it is 'many'"),
        ("steps=null", "a run has either steps or epochs"),
        ("epochs=3", "a run has either steps or epochs"),
        ("seed={a: 1}", "seed: .*integer"),
        ("data.kind=cats", "data: .*'cats'"),
        ("data=null", "data: "),
        ("start.freeze=[text, pose]", "both towers are frozen"),
        ("start.freeze=[feet]", "start.freeze"),
        ("model.layers=3", "there is no setting model.layers"),
        ("model.base=no", "model.base is False, which is not the name of a model"),
        ("start.model=3", "start.model is 3, which is not the name of a model"),
        ("model=3", "model and start must be mappings"),
        ("record=null", "would be served as fingerspelling, which is another model"),
        ("seed=[", "seed=.* is not YAML"),
        ("output=runs/{seed}/x", "output: only {name} may be in braces"),
        ("logs=runs/{", "logs: only {name} may be in braces"),
        ("name=2024-13-45", "name=2024-13-45 is not YAML: month must be in 1..12"),
        ("model.size=[tiny]", r"model.size is \['tiny'\]; use one of tiny"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate: .*finite number.*it is inf"),
        ("data.augmentation.noise=.inf", "data.augmentation.noise: .*finite number.*it is inf"),
        ("model.logit_scale=.inf", "model.logit_scale: .*finite number.*it is inf"),
        ("loss.temperature=0.001", "temperature 0.001 is a scale of 1000, .*largest_scale, 100: set a larger one"),
    ],
)
def test_wrong_changes_are_named(change, message):
    with pytest.raises(ExperimentError, match=message):
        read_experiment(FINGERSPELLING, [change])


@pytest.mark.parametrize(
    ("change", "former", "now"),
    [
        ("rest={tower: pose, after: 600}", "rest", "freeze_after"),
        ("rest.after=600", "rest.after", "freeze_after.steps"),
        ("rest=null", "rest", "freeze_after"),
        ("loss.directions=sum", "loss.directions", "loss.reduction"),
        ("data.settling=0.1", "data.settling", "data.annealing"),
        ("data.settled_strength=0.1", "data.settled_strength", "data.annealed_strength"),
        ("data.resting.pairs=8", "data.resting", "data.after_freeze"),
    ],
)
def test_former_names_are_refused_with_the_present_ones(change, former, now):
    assert RENAMED[former] == now
    with pytest.raises(ExperimentError, match=rf"{former} is now called {now}\b"):
        read_experiment(FINGERSPELLING, [change])


@pytest.mark.parametrize("former", RENAMED)
def test_present_names_are_settings(former):
    values = read_experiment(FINGERSPELLING).describe()
    for key in RENAMED[former].split("."):
        values = values[key]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: top.yaml", "top.yaml is its own base"),
        ("base: nowhere.yaml", "nowhere.yaml cannot be read"),
        ("- steps", "is not a mapping"),
        ("steps: [", "is not YAML"),
        ("steps: 3", "data is missing"),
        ("{}\n---\n{}", "is not YAML"),
    ],
)
def test_wrong_files_are_named(files, text, message):
    (files / "top.yaml").write_text(text)
    with pytest.raises(ExperimentError, match=message):
        read_experiment(files / "top.yaml")
