"""Every file of configs/experiments: it reads, its data fit its model, and it is on the page of experiments."""

import re
import shlex
from pathlib import Path

import pytest

from corpora import get_feature_dim
from corpora.registry import CORPORA
from evaluation.arguments import build_parser as build_evaluation_parser
from evaluation.published import read_published
from models.catalog import load_catalog
from training.__main__ import _build_parser as build_training_parser
from training.__main__ import main as train
from training.clips.augmentation import check_augmentation
from training.experiment import EXPERIMENTS, read_experiment
from training.sections.clips import ClipData

FILES = {
    path.relative_to(EXPERIMENTS).with_suffix("").as_posix(): path
    for path in sorted(EXPERIMENTS.rglob("*.yaml"))
    if path.parent.name != "base"
}
OWN = {"fingerspelling", "own_data", "own_data_small", "from_fingerspelling"}
"""Of this project, not of the paper."""
PAPER = [name for name in FILES if name not in OWN]
PAGE = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text(encoding="utf-8")
NOT_TRAINED = {"fingerclip/rwthfs_videoclip_zeroshot"}
# The authors' first runs on American signs name the language in words.
NAMED = "<{language}> {text}"


CORPORA_PROMPTS = {
    name: (
        "Fingerspell the letter {text} in {language}."
        if name.startswith("rwth")
        else 'Sign the sign "{text}" in {language}.'
        if name.startswith("asl_signs_")
        else "<{spoken}> <{sign}> {text}"
    )
    for name in CORPORA
}


@pytest.mark.parametrize("name", FILES)
def test_files_read(name):
    run = read_experiment(FILES[name])
    assert run.name == name
    data = run.data
    if isinstance(data, ClipData):
        kind = run.model.features
        assert get_feature_dim(kind) == run.model.feature_dim
        check_augmentation(data.augmentation, kind)
        # The texts of a run say what its data set's own prompts say.
        own = {CORPORA_PROMPTS[part.dataset] for part in data.train}
        assert own == {run.model.prompt} or (name.startswith("signclip_v1/") and run.model.prompt == NAMED)
        assert {part.dataset for part in data.validation} <= {part.dataset for part in data.train}
        # What is validated on is not learned.
        learned = {(part.dataset, part.root, part.split) for part in data.train}
        assert not learned & {(part.dataset, part.root, part.split) for part in data.validation}
        assert {part.split for part in data.train} <= {"train", "val"}
        assert {part.split for part in data.validation} == {"val"}


def test_all_published_experiments_can_be_trained():
    assert set(read_published()) - NOT_TRAINED <= set(PAPER)


def test_the_page_lists_every_experiment_and_no_other():
    rows = re.findall(r"^\|[^|]*\| `([^`]+/[^`]+)` \| `([a-z0-9_]+)`", PAGE, flags=re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted({*PAPER, *NOT_TRAINED})
    for name, dataset in rows:
        if name not in NOT_TRAINED and dataset != "joined":
            assert dataset in {part.dataset for part in read_experiment(FILES[name]).data.train}, name


def test_every_command_of_the_page_names_a_file_that_is_there():
    named = re.findall(r"configs/experiments/([A-Za-z0-9_./]+)\.yaml", PAGE)
    assert {name for name in named if name != "EXPERIMENT"} <= set(FILES)
    assert set(re.findall(r"--experiment ([a-z0-9_./]+)", PAGE)) <= set(read_published()) | set(FILES)


COMMANDS = [
    shlex.split(line.replace("\\\n", " "), comments=True)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in re.findall(r"^ *(python -m (?:training|evaluation) (?:.*\\\n)*.*)$", block, flags=re.MULTILINE)
]


@pytest.fixture(scope="module")
def evaluated():
    """Models that are served, and where the runs put theirs."""
    outputs = {str(read_experiment(file).output_folder) for file in FILES.values()}
    return {*load_catalog(), *outputs, "weights/my_signs", "weights/videoclip"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_of_the_page_parse(command, evaluated):
    module, arguments = command[2], command[3:]
    if "EXPERIMENT" in " ".join(arguments):
        return  # the pattern of the others
    if module == "evaluation":
        options = build_evaluation_parser().parse_intermixed_args(arguments)
        assert options.protocol is not None or options.dataset in CORPORA
        assert options.model in evaluated
    else:
        options = build_training_parser().parse_args(arguments)
        read_experiment(EXPERIMENTS.parents[1] / options.config, options.changes)


def test_there_are_commands_on_the_page():
    assert len(COMMANDS) >= 14


@pytest.mark.parametrize("change", sorted({*re.findall(r"`(\"?[a-z_.]+=[^`…]+)`", PAGE)} - {"key=value"}))
def test_changes_that_the_page_names_are_settings(change):
    read_experiment(FILES["own_data"], ["start.model=null", *shlex.split(change)])


@pytest.mark.parametrize("name", PAPER)
def test_numbers_that_all_of_the_authors_runs_share(name):
    run = read_experiment(FILES[name])
    optimizer = run.optimizer
    assert (optimizer.learning_rate, optimizer.betas, optimizer.weight_decay) == (5e-5, (0.9, 0.98), 0)
    assert (optimizer.clip_norm, optimizer.schedule, optimizer.decay_steps) == (2.0, "polynomial", 1_000_000)
    epochs = 10 if name in ("fingerclip/rwthfs_videoclip_finetune", "signclip_v1/baseline_asl_finetune") else 25
    assert (run.epochs, run.steps, run.precision, run.validation.best) == (epochs, None, "fp16", "loss")
    assert (run.loss.reduction, run.loss.temperature, run.loss.learn_scale) == ("sum", None, False)
    assert (run.start.model is not None) == ("finetune" in name)
    assert run.model.sign_languages
    assert run.model.spoken_languages
    if run.start.model is None:
        assert run.start.text == run.start.pose == run.model.tokenizer


def changes(name):
    """What a run changes of the fields that the tables of experiments are about."""
    run = read_experiment(FILES[name])
    model, data = run.model, run.data
    return {
        "layers": model.pose_tower.layers,
        "features": model.features,
        "frames": model.max_frames,
        "tokens": model.max_tokens,
        "projection": model.projection,
        "convolutions": model.convolutions,
        "dropout": model.dropout,
        "frame_dropout": model.frame_dropout,
        "text_dropout": model.text_dropout,
        "batch": run.batch.size,
        "warmup": run.optimizer.warmup,
        "unique_texts": data.unique_texts,
        "skip_long": data.skip_long,
        "anonymize": data.anonymize,
        **{key: value for key, value in data.augmentation.model_dump().items() if value},
    }


CAMERA = {"rotation": 0.2, "shear": 0.2, "scale": 0.2}
TEMPORAL = changes("signclip_v1_1/baseline_temporal")
FACE = changes("islr/asl_signs_face")
HAND = changes("fingerclip/rwthfs_scratch_hand_dominant")
BASELINE = {key: value for key, value in TEMPORAL.items() if key != "temporal"}


@pytest.mark.parametrize(
    ("name", "base", "changed"),
    [
        ("signclip_v1_1/baseline", BASELINE, {"layers": 6}),
        ("signclip_v1_1/baseline_layer", BASELINE, {}),
        ("signclip_v1_1/baseline_proj", BASELINE, {"projection": "linear"}),
        ("signclip_v1_1/baseline_proj_l2", BASELINE, {"projection": "linear_l2"}),
        ("signclip_v1_1/baseline_reduce", BASELINE, {"features": "signclip_reduced"}),
        ("signclip_v1_1/baseline_pre", BASELINE, {"features": "signclip_standardized"}),
        ("signclip_v1_1/baseline_anonym", BASELINE, {"features": "signclip_standardized", "anonymize": True}),
        ("signclip_v1_1/baseline_handedness", BASELINE, {"flip": 0.2}),
        ("signclip_v1_1/baseline_spatial", BASELINE, CAMERA),
        ("signclip_v1_1/baseline_noise", BASELINE, {"noise": 0.001}),
        ("signclip_v1_1/baseline_final", BASELINE, {"temporal": 0.2, "noise": 0.001}),
        ("islr/asl_signs", FACE, {"features": "islr_no_face", "warmup": 100}),
        ("islr/asl_signs_face_full", FACE, {"features": "islr_full_face"}),
        ("islr/asl_signs_face_conv1d", FACE, {"convolutions": 2}),
        ("islr/asl_signs_face_dropout_0.2", FACE, {"dropout": 0.2, "frame_dropout": 0.2, "text_dropout": 0.1}),
        ("islr/asl_signs_face_dropout_0.4", FACE, {"dropout": 0.4, "frame_dropout": 0.4, "text_dropout": 0.1}),
        ("islr/asl_signs_face_dropout_0.8", FACE, {"dropout": 0.8, "frame_dropout": 0.8, "text_dropout": 0.1}),
        ("signclip_v1_1/baseline_final_proj", BASELINE, {"temporal": 0.2, "noise": 0.001, "projection": "linear"}),
        ("signclip_v1_1/baseline_anonym_no_pre", BASELINE, {"anonymize": True}),
        ("islr/asl_signs_face_batch_250", FACE, {"batch": 248}),
        ("fingerclip/rwthfs_scratch_pose", HAND, {"features": "signclip_full_face"}),
        ("fingerclip/rwthfs_scratch_pose_aug", HAND, {"features": "signclip_full_face", **CAMERA}),
        ("fingerclip/rwthfs_scratch_hand_dominant_3d_norm", HAND, {"features": "fingerclip_3d"}),
        ("fingerclip/rwthfs_scratch_hand_dominant_aug", HAND, CAMERA),
        ("fingerclip/rwthfs_scratch_s3d", HAND, {"features": "s3d", "frames": 8, "tokens": 32}),
        ("fingerclip/rwthfs_scratch_i3d", HAND, {"features": "i3d", "frames": 32}),
        ("fingerclip/rwthfs_scratch_i3d_512", HAND, {"features": "i3d_512", "frames": 32}),
        ("signclip_asl/asl_citizen_scratch", BASELINE, {"batch": 256, "skip_long": True}),
        ("signclip_asl/asl_citizen_finetune", BASELINE, {"batch": 256, "skip_long": True, "warmup": 122}),
        ("signclip_v1/baseline", BASELINE, {"layers": 6, "batch": 256, "skip_long": True}),
        ("signclip_v1/baseline_aug", BASELINE, {"layers": 6, "batch": 256, "skip_long": True, **CAMERA}),
        ("signclip_v1/baseline_sp_b768", BASELINE, {"layers": 6, "batch": 768}),
        ("fingerclip/rwthfs_scratch_hand", HAND, {"features": "fingerclip_both_hands"}),
        (
            *("fingerclip/rwthfs_videoclip_finetune", HAND),
            {"features": "s3d", "frames": 8, "tokens": 32, "warmup": 122},
        ),
        ("signclip_suisse/suisse_finetune", BASELINE, {"warmup": 122}),
        ("signclip_asl/asl_finetune", BASELINE, {"skip_long": True, "warmup": 122}),
    ],
)
def test_what_each_experiment_changes(name, base, changed):
    assert changes(name) == base | changed


def test_what_the_compared_ones_are():
    assert TEMPORAL == BASELINE | {"temporal": 0.2}
    common = {"projection": "none", "dropout": 0.1, "frame_dropout": 0.0, "text_dropout": None, "convolutions": 0}
    common |= {"anonymize": False, "skip_long": False}
    signclip = {"layers": 12, "features": "signclip", "frames": 256, "tokens": 64, "batch": 448, "warmup": 1000}
    islr = {"layers": 6, "features": "islr_selected_face", "frames": 128, "tokens": 96, "batch": 128, "warmup": 1000}
    hand = {"layers": 6, "features": "fingerclip", "frames": 128, "tokens": 96, "batch": 32, "warmup": 1000}
    assert common | signclip | {"unique_texts": False} == BASELINE
    assert common | islr | {"unique_texts": True} == FACE
    assert common | hand | {"unique_texts": True} == HAND


def test_videoclips_configuration_on_the_page_fits_the_experiment(tmp_path):
    (text,) = re.findall(r"```yaml\n(base: fingerclip\n.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "videoclip").mkdir()
    (tmp_path / "videoclip" / "config.yaml").write_text(text)
    config = load_catalog(weights=tmp_path)["videoclip"]
    run = read_experiment(FILES["fingerclip/rwthfs_videoclip_finetune"])
    assert Path(run.start.model).name == config.name
    alike = ("features", "feature_dim", "embed_dim", "max_frames", "max_tokens", "pose_tower", "text_tower", "prompt")
    assert {name: getattr(run.model, name) for name in alike} == {name: getattr(config, name) for name in alike}


def test_runs_that_start_from_another_run_name_its_experiment():
    starts = {name: read_experiment(FILES[name]).start.model for name in PAPER}
    earlier = {name: start.removeprefix("runs/training/") for name, start in starts.items() if "runs/" in str(start)}
    assert len(earlier) == 5
    for name, start in earlier.items():
        one, other = read_experiment(FILES[name]).model, read_experiment(FILES[start]).model
        for field in ("features", "feature_dim", "embed_dim", "pose_tower", "text_tower", "prompt", "convolutions"):
            assert getattr(one, field) == getattr(other, field)
        assert f"Train {start} first." in FILES[name].read_text() + FILES[start].read_text()
        assert set(one.sign_languages) <= set(other.sign_languages)


def test_a_run_whose_start_was_not_trained_yet_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train([str(FILES["signclip_v1/baseline_asl_finetune"]), "precision=no", "--cpu"]) == 1
    assert "There is no runs/training/signclip_v1/baseline_asl/config.yaml either" in capsys.readouterr().err
