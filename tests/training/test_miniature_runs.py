"""From each data set's published form through training, evaluation and report, by the commands, at a small size."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from app import create_app
from app.settings import load_settings
from engine.local import LocalEngine
from evaluation import __main__ as evaluation
from evaluation import report
from tests import miniatures
from training import __main__ as training
from training.experiment import EXPERIMENTS

TOWER = "{layers: 1, width: 16, heads: 2, inner: 32}"
SMALL = (
    *("model.embed_dim=16", f"model.pose_tower={TOWER}", f"model.text_tower={TOWER}"),
    *("start.text=scratch", "start.pose=scratch", "epochs=null", "steps=3", "batch={size: 2, chunk: null}"),
    *("precision=no", "data.workers=0", "optimizer.warmup=1"),
)
PAGE = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text(encoding="utf-8")
SHIPPED_TOKENIZER = Path(__file__).parents[1] / "golden" / "tokenizer"


@dataclass(frozen=True)
class Case:
    """One run: an experiment, the miniature of its data, and what the miniature is too small for."""

    experiment: str
    build: Callable[[Path], Path]
    dataset: str
    root: str
    split: str = "test"
    changes: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


NO_VALIDATION = ("data.validation=[]",)
RWTH, ASL_SIGNS = miniatures.rwth, miniatures.asl_signs


def own(dataset: str, build: Callable[[Path], Path], root: str) -> Case:
    """Any data set, by the file for one's own."""
    train = f"data.train=[{{dataset: {dataset}, root: {root}, split: all}}]"
    return Case("own_data", build, dataset, root, "all", (train, *NO_VALIDATION, "start.model=null"))


CASES = (
    *(
        Case(f"fingerclip/rwthfs_scratch_{name}", RWTH, "rwth_fingerspelling", "rwth_fingerspelling")
        for name in ("hand", "hand_dominant_aug", "hand_dominant_3d_norm")
    ),
    # The poses of the miniatures have whole faces, as those of the data set.
    Case("fingerclip/rwthfs_scratch_pose_aug", RWTH, "rwth_fingerspelling", "rwth_fingerspelling"),
    *(
        Case(f"fingerclip/rwthfs_scratch_{kind}", RWTH, f"rwth_fingerspelling_{kind}", "rwth_fingerspelling")
        for kind in ("s3d", "i3d", "i3d_512")
    ),
    Case("islr/asl_signs", ASL_SIGNS, "asl_signs_no_face", "asl_signs"),
    Case("islr/asl_signs_face_conv1d", ASL_SIGNS, "asl_signs_selected_face", "asl_signs"),
    Case("islr/asl_signs_face_full", ASL_SIGNS, "asl_signs_full_face", "asl_signs"),
    *(
        Case(f"signclip_v1_1/baseline_{name}", miniatures.spreadthesign, "spreadthesign", "spreadthesign", "all", more)
        for name, more in (
            ("temporal", NO_VALIDATION),
            ("handedness", NO_VALIDATION),
            ("reduce", NO_VALIDATION),
            ("proj_l2", (*NO_VALIDATION, "batch.chunk=1")),
        )
    ),
    Case(
        "signclip_v1_1/baseline_anonym",
        miniatures.spreadthesign,
        "spreadthesign",
        "spreadthesign",
        changes=NO_VALIDATION,
        arguments=("--anonymize",),
    ),
    Case(
        *("signclip_asl/asl_citizen_scratch", miniatures.asl_citizen, "asl_citizen_glosses", "asl_citizen"),
        changes=NO_VALIDATION,
        arguments=("--skip-long",),
    ),
    Case("signclip_asl/asl_signs_scratch", ASL_SIGNS, "asl_signs", "asl_signs"),
    Case(
        *("signclip_asl/sem_lex_scratch", miniatures.sem_lex, "sem_lex_glosses", "sem_lex"),
        changes=("data.train=[{dataset: sem_lex_glosses, root: sem_lex, split: all}]",),  # train has one clip
    ),
    Case("signclip_suisse/suisse_scratch", miniatures.signsuisse, "signsuisse", "signsuisse", changes=NO_VALIDATION),
    own("wlasl", miniatures.wlasl, "wlasl"),
    own("autsl", miniatures.autsl, "autsl"),
    own("how2sign", miniatures.how2sign, "how2sign"),
    own("chicago_fs_wild", miniatures.chicago, "chicago_fs_wild"),
    own("bobsl", miniatures.bobsl, "bobsl"),
    own("dicta_sign", miniatures.dicta_sign, "dicta_sign"),
    own("fingerspelling_lexicon", miniatures.lexicon, "fingerspelling_lexicon"),
    own("manifest", miniatures.manifest, "own"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in: a weights directory with tokenizers under BERT's names; data, cache and runs."""
    place = tmp_path_factory.mktemp("place")
    for name in ("bert-base-cased", "bert-base-uncased"):
        shutil.copytree(SHIPPED_TOKENIZER, place / "weights" / "tokenizers" / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNCLIP_WEIGHTS_DIR", str(place / "weights"))
        patch.chdir(place)
        yield place


def train(case, place, *changes, output=None):
    """Train as the command does; the model's folder."""
    if not (place / "data" / case.root).exists():
        (place / "data" / case.root).mkdir(parents=True)
        case.build(place / "data" / case.root)
    output = output or place / "runs" / f"{case.experiment.replace('/', '-')}-{case.dataset}" / "model"
    config = EXPERIMENTS / f"{case.experiment}.yaml"
    arguments = [str(config), *SMALL, *case.changes, f"output={output}", *changes, "--cpu"]
    assert training.main(arguments) == 0
    return output


def evaluate(case, model, place):
    """Evaluate and report as the commands do; the metrics and the rows of the table."""
    run, tables = model.parent / "evaluation", model.parent / "report"
    arguments = [str(model), case.dataset, str(place / "data" / case.root), "--split", case.split, "--device", "cpu"]
    arguments += ["--experiment", case.experiment, "--out", str(run), "--cache", "runs/cache", *case.arguments]
    assert evaluation.main(arguments) == 0
    assert report.main([str(run), "--out", str(tables)]) == 0
    with (tables / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return json.loads((run / "metrics.json").read_text()), rows


def test_clips_that_are_left_out_are_counted_and_listed(place, tmp_path, capsys):
    data = tmp_path / "data" / "manifest"
    data.mkdir(parents=True)
    miniatures.manifest(data)
    with (data / "manifest.csv").open("a", encoding="utf-8") as file:
        file.write("nowhere.pose,X,,,en,ase,train,me\n")
    changes = (f"data.folder={tmp_path / 'data'}", f"data.cache={tmp_path / 'cache'}")
    case = own("manifest", miniatures.manifest, "manifest")
    model = train(case, place, *changes, output=tmp_path / "model")
    with (model / "left_out.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    printed = capsys.readouterr().err
    assert f"training: {len(listed)} clips are left out" in printed
    assert "left_out.csv" in printed
    assert {"part": "training", "id": "nowhere.pose", "reason": "no file nowhere.pose"} in listed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.experiment}-{case.dataset}")
def test_from_data_to_report(case, place):
    model = train(case, place)
    config = yaml.safe_load((model / "config.yaml").read_text())
    assert config["embed_dim"] == 16
    metrics, rows = evaluate(case, model, place)
    assert metrics["clips"] >= 1
    assert 0 <= metrics["pose_to_text"]["R@1"] <= 1
    assert [row["experiment"] for row in rows] == [case.experiment]
    assert len(list((model.parent / "report").glob("*.png"))) >= 2


def test_fine_tuning_goes_on_from_a_model(place):
    cases = {case.experiment: case for case in CASES}
    scratch = cases["signclip_asl/asl_citizen_scratch"]
    start = train(scratch, place, output=place / "runs" / "started")
    tuned = Case("signclip_asl/asl_citizen_finetune", scratch.build, scratch.dataset, scratch.root)
    changes = (*NO_VALIDATION, f"start.model={start}", "steps=1", "optimizer.learning_rate=1.0e-12", "data.workers=1")
    model = train(tuned, place, *changes, output=place / "runs" / "tuned" / "model")
    before, after = (load_file(folder / "model.safetensors") for folder in (start, model))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        np.testing.assert_allclose(after[name], tensor, atol=1e-6)
    assert evaluate(scratch, model, place)[0]["clips"] == 1


def test_data_sets_are_joined_and_the_model_then_tuned_on_one_of_them(place, capsys):
    builds = {"asl_citizen": miniatures.asl_citizen, "sem_lex": miniatures.sem_lex}
    builds |= dict.fromkeys(("chicago_fs_wild", "chicago_fs_wild_plus"), miniatures.chicago)
    data = place / "joined"
    for root, build in {**builds, "asl_signs": ASL_SIGNS}.items():
        (data / root).mkdir(parents=True)
        build(data / root)
    joined = Case("signclip_v1/baseline_asl_plus_fs", ASL_SIGNS, "asl_signs", "asl_signs")
    # The validation part of ASL Citizen's miniature has no pose, which is not the fault of the part before it.
    arguments = [str(EXPERIMENTS / f"{joined.experiment}.yaml"), *SMALL, f"data.folder={data}", "--cpu"]
    assert training.main([*arguments, f"output={place / 'runs' / 'joined' / 'model'}"]) == 1
    assert "can be used: no file 251188813980209-ONLY ONE.mp4 in" in capsys.readouterr().err
    miniatures.place_pose(data / "asl_citizen" / "ASL_Citizen" / "poses" / "251188813980209-ONLY ONE.pose")
    start = train(joined, place, f"data.folder={data}")
    told = yaml.safe_load((start / "training.yaml").read_text())["data"]["training"]
    # 36 of asl_signs less the one without a file; 2 and 1 of ASL Citizen; 2 and 1 of Sem-Lex; Chicago's 2, twice.
    assert told["clips"] == 35 + 3 + 3 + 4
    tuned = Case("signclip_v1/baseline_asl_finetune", ASL_SIGNS, "asl_signs", "asl_signs")
    model = train(tuned, place, f"data.folder={data}", f"start.model={start}")
    metrics, _ = evaluate(tuned, model, place)
    assert metrics["clips"] == 2
    prompts = np.load(model.parent / "evaluation" / "embeddings.npz")["prompts"]
    assert all(prompt.startswith("<American Sign Language> ") for prompt in prompts)


def test_unknown_words_and_a_long_warm_up_are_named_before_the_first_step(place, tmp_path, capsys):
    data = tmp_path / "data" / "manifest"
    words = ("ꙮ", "ꙭ", "ꙮ")
    for number in range(len(words)):
        miniatures.place_pose(data / f"{number}.pose")
    rows = [f"{number}.pose,{word},en,ase,train" for number, word in enumerate(words)]
    miniatures.place_text(data / "manifest.csv", "path,text,spoken_language,sign_language,split", *rows)
    changes = (f"data.folder={tmp_path / 'data'}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path / 'model'}")
    case = own("manifest", miniatures.manifest, "manifest")
    changes = (*case.changes, *changes, "optimizer.warmup=3", "--cpu")
    assert training.main([str(EXPERIMENTS / "own_data.yaml"), *SMALL, *changes]) == 0
    error = capsys.readouterr().err
    assert "warning: training: 2 prompts, 1 different token row: '<en> <ase> ꙮ'" in error
    assert "warning: optimizer.warmup is 3 steps, and the run has 3" in error


def test_a_run_learns_what_it_is_shown(place):
    case = own("manifest", miniatures.manifest, "own")
    more = ("steps=60", "optimizer.learning_rate=0.01", "batch.size=3", "data.cache=runs/cache", "model.dropout=0")
    model = train(case, place, *more, output=place / "runs" / "learned" / "model")
    metrics, _ = evaluate(case, model, place)
    # "house", "the roof", which is a second of it, and "A".
    assert (metrics["clips"], metrics["pose_to_text"]["R@1"], metrics["text_to_pose"]["P@1"]) == (3, 1.0, 1.0)
    # The evaluation says what was evaluated, and how the model was trained.
    learned = yaml.safe_load((model / "training.yaml").read_text())
    assert metrics["training"] == learned
    assert metrics["data"]["clips"] == 3
    assert learned["data"]["training"]["sha256"] == metrics["data"]["sha256"]


def test_the_guide_to_ones_own_data(place, monkeypatch):
    """Its manifest, its commands and its service, as they stand on the page."""
    guide = re.search(r"^## Your own data set\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)[1]
    blocks = dict(re.findall(r"```(csv|sh)\n(.*?)```", guide, re.DOTALL))
    blocks["sh"] = "\n".join(re.findall(r"```sh\n(.*?)```", guide, re.DOTALL))
    lines = {language: [line.strip() for line in text.splitlines()] for language, text in blocks.items()}
    home = place / "home"
    manifest = miniatures.place_text(home / "data" / "own" / "manifest.csv", *lines["csv"])
    for row in csv.DictReader(lines["csv"]):
        pose = "house" if "house" in row["path"] else "gsg_C" if "c" in Path(row["path"]).stem else "ase_A"
        miniatures.place_pose(manifest.parent / row["path"], pose)
    (home / "configs").symlink_to(EXPERIMENTS.parent)
    shutil.copytree(place / "weights", home / "weights")
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(home / "weights"))
    monkeypatch.chdir(home)
    commands = [shlex.split(line) for line in lines["sh"] if line]
    served = commands.pop()
    for python, option, module, *arguments in commands:
        assert (python, option) == ("python", "-m")
        if module == "training":  # as it stands, from the released model, at its size
            arguments += [*SMALL, "start.model=null", "--cpu"]
        if module == "corpora":
            arguments += ["--workers", "1"]
        name = module if module.count(".") else f"{module}.__main__"
        assert import_module(name).main(arguments) == 0
    assert json.loads((home / "runs" / "my_signs" / "metrics.json").read_text())["clips"] == 2
    assert (home / "runs" / "my_signs" / "report" / "report.md").is_file()
    (variable, model), target = served[0].split("="), served[1:]
    assert target == ["make", "serve"]
    monkeypatch.setenv(variable, model)
    for name, value in {"DEVICE": "cpu", "BACKEND": "torch", "THREADS": "1"}.items():
        monkeypatch.setenv(f"SIGNCLIP_{name}", value)
    settings = load_settings()
    engine = LocalEngine(settings.list_engines()[0])
    try:
        client = create_app(settings, engine).test_client()
        answer = client.post("/api/embed/text", json={"text": ["house"], "sign_language": "ase"}).json
    finally:
        engine.close()
    assert (answer["model_name"], answer["prompts"]) == ("my_signs", ["<en> <ase> house"])
    assert len(answer["embeddings"][0]) == 16
