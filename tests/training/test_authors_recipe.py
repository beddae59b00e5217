"""Every experiment of the paper, resolved, against what the authors did; differences are listed with their reasons."""

from collections import Counter

import pytest
import yaml

from corpora.prompts import tag_text
from corpora.readers import asl_signs, rwth_fingerspelling, spreadthesign
from corpora.registry import CORPORA
from evaluation.probing import LOGISTIC_STEPS
from evaluation.shots import SHOTS
from evaluation.vocabulary import RARE_COUNT
from models.catalog import TAGGED_PROMPT
from training.experiment import EXPERIMENTS, read_experiment

ROOT = EXPERIMENTS.parents[1]
AUTHORS = yaml.safe_load((ROOT / "configs" / "authors.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
SHARED = AUTHORS["shared"]
FILES = {
    path.relative_to(EXPERIMENTS).with_suffix("").as_posix(): path
    for path in EXPERIMENTS.rglob("*.yaml")
    if path.parent.name != "base"
}
# Our kinds of features, and how the authors' files name the same points (pose_components, preprocess).
POINTS = {
    "s3d": "stored video features",
    "i3d": "stored video features",
    "i3d_512": "stored video features",
    "signclip_full_face": "body, whole face and both hands",
    "fingerclip": "RIGHT_HAND_LANDMARKS",
    "fingerclip_both_hands": "LEFT_HAND_LANDMARKS, RIGHT_HAND_LANDMARKS",
    "fingerclip_3d": "RIGHT_HAND_LANDMARKS, normalize_hand",
    "islr_no_face": "pose, left_hand, right_hand",
    "islr_full_face": "pose, left_hand, right_hand, face_full",
    "islr_selected_face": "pose, left_hand, right_hand, face",
    "signclip": "reduced_face",
    "signclip_reduced": "sign-vq-original-scale",
    "signclip_standardized": "sign-vq",
}
# What the authors' settings of augmentation mean: pose-format's defaults of augment2d; dsprocessor_sign.py.
AUGMENTATION = {
    "augment2d": {"rotation": 0.2, "shear": 0.2, "scale": 0.2},
    "temporal": {"temporal": 0.2},
    "noise": {"noise": 0.001},
}
PROMPTS = {"fingerclip": "rwth_fingerspelling", "signclip": "asl_signs_islr"}
PROJECTIONS = {None: "none", True: "linear", "l2_norm": "linear_l2"}


def describe_theirs(entry):
    """What an entry of authors.yaml asks for, in the words of our settings."""
    augmentation = {}
    for key, value in entry.get("augmentation", {}).items():
        augmentation |= AUGMENTATION.get(key, {key: value})
    pretrained = entry["data"][0] == "spreadthesign"
    room = entry["source"].partition("/")[0]
    dropout = entry.get("dropout")
    return {
        "data": entry["data"],
        "validation": [f"{name} val" for name in entry.get("validation", entry["data"])],
        "prompt": AUTHORS["prompts"][entry.get("prompt", PROMPTS.get(room, "tagged"))],
        "epochs": entry.get("epochs", SHARED["epochs"]),
        "points": entry["points"],
        "feature_dim": entry["feature_dim"],
        "frames": entry["frames"],
        "tokens": entry["tokens"],
        "bert": entry["bert"],
        "layers": entry["layers"],
        "batch": entry["batch"],
        "warmup": entry["warmup"],
        "projection": PROJECTIONS[entry.get("projection")],
        "convolutions": entry.get("convolutions", 0),
        "dropout": SHARED["text_dropout"] if dropout is None else dropout,
        "frame_dropout": dropout or 0.0,
        "text_dropout": SHARED["text_dropout"],
        "anonymize": entry.get("anonymize", False),
        "augmentation": augmentation,
        "clean_glosses": entry.get("clean_glosses", False),
        "starts_from": entry.get("start"),
        # RWTHFSMetaProcessor and ASLSignMetaProcessor; SignCLIPMetaProcessor.
        "unique_texts": entry.get("unique_texts", room in ("fingerclip", "signclip")),
        # SignCLIPMetaProcessor
        "skip_long": room in ("signclip_asl", "signclip_bsl", "signclip_v1") and not pretrained,
        "pretrained_split": AUTHORS["splits"]["spreadthesign"]["test"] if pretrained else None,
    }


def describe_ours(run):
    model, data = run.model, run.data
    names = [part.dataset for part in data.train]
    glosses = [name.endswith("_glosses") for name in names]
    start = None if run.start.model is None else run.start.model.rpartition("/")[2]
    return {
        "data": [_find_data_set(part) for part in data.train],
        "validation": [_find_data_set(part) for part in data.validation],
        "prompt": model.prompt,
        "epochs": run.epochs,
        "points": POINTS[model.features],
        "feature_dim": model.feature_dim,
        "frames": model.max_frames,
        "tokens": model.max_tokens,
        "bert": model.tokenizer,
        "layers": model.pose_tower.layers,
        "batch": run.batch.size,
        "warmup": run.optimizer.warmup,
        "projection": model.projection,
        "convolutions": model.convolutions,
        "dropout": model.dropout,
        "frame_dropout": model.frame_dropout,
        "text_dropout": model.dropout if model.text_dropout is None else model.text_dropout,
        "anonymize": data.anonymize,
        "augmentation": {key: value for key, value in data.augmentation.model_dump().items() if value},
        "clean_glosses": any(name in ("asl_citizen", "sem_lex") for name in names) and not any(glosses),
        "starts_from": "baseline_temporal" if start == "default" else start,
        "unique_texts": data.unique_texts,
        "skip_long": data.skip_long,
        "pretrained_split": spreadthesign.HELD_OUT if names == ["spreadthesign"] else None,
    }


def _find_data_set(part):
    # Variants of a data set have longer names.
    sets = ("rwth_fingerspelling", "asl_signs", "asl_citizen", "sem_lex")
    name = max((known for known in sets if part.dataset.startswith(known)), default=part.dataset)
    return name if part.split == "train" else f"{name} {part.split}"


def test_all_experiments_are_compared():
    assert set(FILES) == {*AUTHORS["experiments"], *AUTHORS["own"]}


def test_every_file_of_the_authors_has_a_counterpart_or_a_reason():
    sources = {entry["source"].removesuffix(".yaml") for entry in AUTHORS["experiments"].values()}
    assert not sources & set(AUTHORS["left_out"])
    folders = Counter(name.partition("/")[0] for name in (*sources, *AUTHORS["left_out"]))
    assert folders == AUTHORS["files"]
    rows = [f"| `{name}` | {why} |" for name, why in AUTHORS["left_out"].items()]
    section = PAGE.partition("These have none:")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows
    total, missing = sum(AUTHORS["files"].values()), len(rows)
    assert f"Of the authors' {total} files of training, {total - missing} have a counterpart here." in PAGE


@pytest.mark.parametrize("name", AUTHORS["experiments"])
def test_differences_are_none_or_listed(name):
    entry = AUTHORS["experiments"][name]
    run = read_experiment(FILES[name])
    theirs, ours = describe_theirs(entry), describe_ours(run)
    found = {key: (theirs[key], ours[key]) for key in theirs if theirs[key] != ours[key]}
    assert set(found) == set(entry.get("differences", {})), found
    assert all(len(reason) > 20 for reason in entry.get("differences", {}).values())


@pytest.mark.parametrize("name", AUTHORS["experiments"])
def test_what_all_runs_share(name):
    run = read_experiment(FILES[name])
    optimizer = run.optimizer
    assert {
        "learning_rate": optimizer.learning_rate,
        "betas": list(optimizer.betas),
        "epsilon": optimizer.epsilon,
        "weight_decay": optimizer.weight_decay,
        "clip_norm": optimizer.clip_norm,
        "decay_steps": optimizer.decay_steps,
        "power": optimizer.power,
        "precision": run.precision,
        "best": run.validation.best,
        "loss": run.loss.reduction,
    } == {key: value for key, value in SHARED.items() if key not in ("batch_multiple", "text_dropout", "epochs")}


@pytest.mark.parametrize("name", AUTHORS["experiments"])
def test_batches_are_those_that_fairseq_reaches(name):
    entry = AUTHORS["experiments"][name]
    multiple = SHARED["batch_multiple"]
    assert entry["batch"] == entry.get("batch_written", entry["batch"]) // multiple * multiple


def test_splits_prompts_and_vocabulary():
    splits, written = AUTHORS["splits"], AUTHORS["prompts"]
    for reader, name in ((spreadthesign, "spreadthesign"), (asl_signs, "asl_signs")):
        assert reader.HELD_OUT == splits[name]["val"] == splits[name]["test"]
    assert written["rwth_fingerspelling"] == rwth_fingerspelling.PROMPT
    assert written["asl_signs_islr"] == asl_signs.PROMPT
    assert written["tagged"] == TAGGED_PROMPT
    assert TAGGED_PROMPT.format(spoken="en", sign="ase", text="house") == tag_text("house", spoken="en", sign="ase")
    assert AUTHORS["vocabulary"]["over"] == RARE_COUNT


def test_probes():
    probes = AUTHORS["probes"]
    assert list(SHOTS) == probes["shots"]
    assert probes["regression_steps"] < LOGISTIC_STEPS  # a difference that the page names
    assert "stop the regression after 100 steps" in PAGE
    assert f"--neighbours {probes['neighbours']}" in PAGE
    assert set(probes["embeddings"]) <= set(CORPORA)


def test_flags_of_zero_shot_evaluations_are_on_the_page():
    for name, entry in AUTHORS["evaluations"].items():
        options = [f"--flip {entry['flip']}"] * (entry["flip"] != "never") + ["--anonymize"] * entry["anonymize"]
        shown = name if name.startswith("E8") else "| zero-shot |"
        (line,) = [
            line
            for line in PAGE.splitlines()
            if line.startswith("|") and (shown in line if "|" in shown else f"({shown})" in line)
        ]
        assert line.endswith(f"| {'`' + ' '.join(options) + '`' if options else 'none'} |")


def test_the_page_lists_what_differs():
    rows = [f"| {d['what']} | {d['theirs']} | {d['ours']} | {d['why']} |" for d in AUTHORS["differences"]]
    section = PAGE.partition("## How training differs")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("| ")][1:] == rows
    for name, entry in AUTHORS["experiments"].items():
        if "differences" in entry:
            assert f"`{name}`" in section
