"""Batches from data sets in their published form: what is in a row, and that a step's number decides it."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import DataLoader

from corpora import ClipUnreadableError, CorpusError, read_corpus, write_prompts
from models.catalog import load_catalog
from models.tokenization import load_tokenizer
from poses import FeatureOptions, extract, read
from tests import miniatures
from tests.training.synthetic_pairs import tiny_run
from training.batches import ProcessShare
from training.clips.batches import ClipBatches
from training.errors import DataError
from training.sections.clips import ClipData
from training.sections.run import BatchSize

TEXTS = ("house", "A", "B", "C", "D", "E", "house", "A")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """A manifest of eight clips of three lengths and six texts, and the other miniatures beside it."""
    folder = tmp_path_factory.mktemp("data")
    poses = list(miniatures.FRAMES)
    rows = ["path,text,spoken_language,sign_language,split"]
    for number, text in enumerate(TEXTS):
        pose = poses[number % 3]
        miniatures.place_pose(folder / "own" / f"{number}.pose", pose)
        rows.append(f"{number}.pose,{text},en,{'ase' if number != 6 else 'gsg'},{'train' if number < 7 else 'val'}")
    miniatures.place_text(folder / "own" / "manifest.csv", *rows)
    miniatures.rwth(folder / "rwth")
    miniatures.asl_signs(folder / "asl_signs")
    return folder


@pytest.fixture(scope="module")
def tiny(tiny_weights):
    return load_catalog(weights=tiny_weights)["tiny"].model_copy(update={"max_frames": 128})


@pytest.fixture(scope="module")
def make(data_folder, tiny, tiny_weights, tmp_path_factory):
    tokenizer = load_tokenizer(tiny_weights / "tiny" / "tokenizer")
    cache = tmp_path_factory.mktemp("cache")

    def build(*, model=None, seed=0, batch_size=4, process=(0, 1), validation=False, **changes):
        part, precision = {"dataset": "manifest", "root": "own"}, changes.pop("precision", "no")
        values = {"train": [part], "validation": [part | {"split": "val"}], "folder": data_folder, "cache": cache}
        data = ClipData(**values | {"workers": 0} | changes)
        settings = {"model": tiny.model_copy(update=model or {}), "seed": seed, "batch": BatchSize(size=batch_size)}
        settings["precision"] = precision
        run = tiny_run(Path("runs")).model_copy(update=settings)
        return ClipBatches(run, data, tokenizer=tokenizer, share=ProcessShare(*process), validation=validation)

    build.tokenizer = tokenizer
    return build


def same(one, other):
    for name in ("pose_features", "frame_mask", "input_ids", "attention_mask", "marks"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)


def clips_of(batch):
    return [clip.numpy() for clip in batch.pose_features.split(batch.frame_mask.sum(dim=1).tolist())]


def texts_of(batch):
    return [tuple(text) for text in batch.list_texts()]


def test_a_row_is_a_clip_and_its_prompt(make, data_folder):
    source = make()
    assert (source.steps_per_epoch, len(source), len(source.examples)) == (1, 1, 7)
    batch = source[0]
    expected = {}
    for example in source.examples:
        prompt = f"<en> <{example.sign_language}> {example.text}"
        ids = tuple(make.tokenizer.build_input_ids(make.tokenizer.split([prompt])[0], max_pieces=29).tolist())
        expected.setdefault(ids, []).append(extract(read(example.path.read_bytes()), "signclip"))
    assert (batch.pose_features.dtype, batch.input_ids.dtype) == (torch.float32, torch.int64)
    assert (batch.frame_mask.dtype, batch.attention_mask.dtype) == (torch.bool, torch.bool)
    for clip, text in zip(clips_of(batch), texts_of(batch), strict=True):
        assert any(np.array_equal(clip, features) for features in expected[text])
    # No padding, neither stored nor in masks that are longer than the longest.
    assert len(batch.pose_features) == batch.frame_mask.sum()
    assert batch.frame_mask.any(dim=0).all()
    assert batch.attention_mask.any(dim=0).all()
    assert source.make_targets(batch.marks) is None


def test_parsing_equals_the_cache(make):
    cached, parsed = make(), make(cache=None)
    for step in range(3):
        same(cached[step], parsed[step])


def test_the_second_time_nothing_is_parsed(make, monkeypatch):
    first = make()[0]
    monkeypatch.setattr("corpora.loading.read_features", None)
    same(make()[0], first)


@pytest.mark.parametrize(("unique_texts", "sizes"), [(False, [2, 2]), (True, [2, 2]), (False, [1, 1, 2])])
def test_processes_make_parts_of_the_joint_batch(make, unique_texts, sizes):
    options = {"unique_texts": unique_texts, "augmentation": {"flip": 0.5, "temporal": 0.2, "noise": 0.01}}
    joint = make(**options)
    for step in (0, 1, 5):
        shares = [make(process=(index, len(sizes)), **options)[step] for index in range(len(sizes))]
        assert [len(share) for share in shares] == sizes
        assert {share.joint_pairs for share in shares} == {4}
        clips = [clip for share in shares for clip in clips_of(share)]
        for clip, expected in zip(clips, clips_of(joint[step]), strict=True):
            np.testing.assert_array_equal(clip, expected)
        assert torch.equal(torch.cat([share.marks for share in shares]), joint[step].marks)


def test_a_step_follows_from_seed_and_number_alone(make):
    options = {"augmentation": {"temporal": 0.2, "noise": 0.01}}
    steps = [make(**options)[step] for step in range(4)]
    source = pickle.loads(pickle.dumps(make(**options)))
    for step in (3, 1, 2, 0):
        same(source[step], steps[step])
    assert not torch.equal(make(seed=1, **options)[0].marks, steps[0].marks)
    noise = make(augmentation={"noise": 0.01}, batch_size=7)  # the same clips every epoch, changed in other ways
    first, second = clips_of(noise[0]), clips_of(noise[1])
    assert {clip.shape for clip in first} == {clip.shape for clip in second}
    assert not any(np.array_equal(one, other) for one in first for other in second)


def test_loader_workers_make_the_same_batches(make):
    source = make(augmentation={"noise": 0.01})
    loader = DataLoader(source, batch_size=None, sampler=range(4), num_workers=2, multiprocessing_context="fork")
    for step, batch in enumerate(loader):
        same(batch, source[step])


def test_a_tower_in_half_precision_gets_clips_in_it(make):
    whole = make(batch_size=7)[0]
    for precision in ("fp16", "bf16"):
        half = make(batch_size=7, precision=precision)[0]
        assert half.pose_features.dtype == torch.float16
        torch.testing.assert_close(half.pose_features, whole.pose_features.half(), rtol=0, atol=0)
        assert torch.equal(half.frame_mask, whole.frame_mask)


def test_a_worker_gets_no_paths_that_it_does_not_need(make):
    assert b"3.pose" not in pickle.dumps(make())
    parsed = pickle.loads(pickle.dumps(make(cache=None)))
    same(parsed[2], make()[2])


def test_no_text_stands_twice(make):
    source = make(unique_texts=True, batch_size=6)
    for step in range(5):
        assert len(set(source[step].marks[:, 0].tolist())) == 6
    with pytest.raises(DataError, match="batches of 8 different texts from 7"):
        make(unique_texts=True, batch_size=8)


def test_long_clips_are_cut_or_left_out(make):
    short = {"max_frames": 25}
    cut = make(model=short, batch_size=7)
    assert max(map(len, clips_of(cut[0]))) == 25
    left_out = make(model=short, skip_long=True, batch_size=2)
    assert sorted(len(clip) for clip in clips_of(left_out[0])) == [21, 21]
    assert len(left_out.skipped) == 5
    assert set(left_out.skipped.values()) == {
        "73 frames; the model takes 25",
        "26 frames; the model takes 25",
    }
    with pytest.raises(ValidationError, match="skip_long needs"):
        make(cache=None, skip_long=True)


def test_validation_is_not_augmented_and_does_not_change(make):
    options = {"augmentation": {"noise": 0.1}, "validation": True}
    source = make(batch_size=4, **options)
    assert len(source) == 1
    (clip,) = clips_of(source[0])
    np.testing.assert_array_equal(clip, extract(read(source.examples[0].path.read_bytes()), "signclip"))
    same(source[0], source[1])


def test_data_sets_are_joined(make):
    parts = [{"dataset": "manifest", "root": "own"}, {"dataset": "asl_signs", "root": "asl_signs"}]
    source = make(train=parts, batch_size=40)
    assert {example.path.suffix for example in source.examples} == {".pose", ".parquet"}
    # 7 of the manifest, and of 40 clips the 36 of train but for the one whose file is missing.
    assert len(source.examples) in (42, 43)
    assert len(source[0]) == 40


def test_other_features(make, tiny):
    parts = [{"dataset": "rwth_fingerspelling_s3d", "root": "rwth"}]
    model = {"features": "s3d", "feature_dim": 512}
    source = make(train=parts, model=model, batch_size=3)
    assert source[0].pose_features.shape == (9, 512)
    assert source[0].frame_mask.all()
    with pytest.raises(DataError, match="s3d features have 512 numbers a frame, but the model takes 609"):
        make(train=parts, model={"features": "s3d"})
    with pytest.raises(DataError, match="s3d features are not made of poses"):
        make(train=parts, model=model, augmentation={"noise": 0.1})
    with pytest.raises(ValidationError, match="features"):  # of as many numbers as the model is served with
        make(features="signclip_depth")


def test_anonymous_poses(make):
    source = make(anonymize=True, batch_size=7)
    expected = [
        extract(read(example.path.read_bytes()), "signclip", FeatureOptions(anonymize=True))
        for example in source.examples
    ]
    for clip in clips_of(source[0]):
        assert any(np.array_equal(clip, features) for features in expected)


def test_clips_are_trimmed_as_the_model_trims_them(make):
    source = make(model={"trim": "auto"}, batch_size=7)
    clips = {
        trim: [extract(read(e.path.read_bytes()), "signclip", FeatureOptions(trim=trim)) for e in source.examples]
        for trim in ("auto", "none")
    }
    for clip in clips_of(source[0]):
        assert any(np.array_equal(clip, features) for features in clips["auto"])
    assert sum(map(len, clips["auto"])) < sum(map(len, clips["none"]))


def test_prompts_are_the_models(make):
    source = make(model={"prompt": "Fingerspell the letter {text} in {language}."}, batch_size=2)
    languages = {"ase": "American Sign Language", "gsg": "German Sign Language"}
    prompts = [f"Fingerspell the letter {e.text} in {languages[e.sign_language]}." for e in source.examples]
    expected = {tuple(make.tokenizer.build_input_ids(p, max_pieces=29).tolist()) for p in make.tokenizer.split(prompts)}
    assert set(texts_of(source[0])) <= expected


def test_unreadable_clips_are_left_out_by_the_cache_and_named_without(make, data_folder, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(data_folder / "own", folder)
    (folder / "3.pose").write_bytes(b"no pose")
    source = make(folder=tmp_path)
    assert len(source.examples) == 6
    assert "3.pose" in source.skipped["3.pose"]
    parsed = make(folder=tmp_path, cache=None, batch_size=7)
    with pytest.raises(ClipUnreadableError, match=r"3\.pose"):
        parsed[0]
    for path in folder.glob("*.pose"):
        path.write_bytes(b"no pose")
    with pytest.raises(CorpusError, match="none of the clips of manifest"):
        make(folder=tmp_path)


def test_what_cannot_be_is_refused(make):
    with pytest.raises(ValidationError, match="there is no data set 'nothing'"):
        make(train=[{"dataset": "nothing", "root": "own"}])
    with pytest.raises(DataError, match=r"batch\.size can be 7 at most"):
        make(batch_size=8)


def test_prompts_of_the_papers_models_are_the_data_sets(data_folder):
    # The model's pattern writes the same prompts as the data set's own, so serving writes those of training.
    catalog = load_catalog()
    for model, name, root in (("fingerclip", "rwth_fingerspelling", "rwth"), ("default", "asl_signs", "asl_signs")):
        corpus = read_corpus(name, Path(data_folder, root))
        expected = write_prompts(corpus.prompt_pattern, corpus.examples)
        assert write_prompts(catalog[model].prompt, corpus.examples) == expected
