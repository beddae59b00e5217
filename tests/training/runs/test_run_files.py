"""What a run writes: a model that the service loads as it is, with the trained model's numbers."""

import csv
import re
import resource
from importlib.metadata import version

import numpy as np
import pytest
import torch

from evaluation.provenance import read_training_record
from models.backends.pytorch import TorchBackend
from models.catalog import load_catalog
from models.checkpoints.folders import CONVERTED, WeightsFolder
from models.checkpoints.loading import load_model
from models.registry import Registry
from tests.training.synthetic_pairs import HeldPairs, PairBatches, tiny_model, tiny_run
from training.batches import PairBatch, ProcessShare
from training.distribution import open_accelerator
from training.errors import DivergedError
from training.fingerspelling.batches import SampledBatch, ServedBatch, ServedClips
from training.learning import Learner
from training.loop import Sources, train
from training.runs.files import RunFiles
from training.runs.model_folder import copy_tokenizer, write_weights
from training.runs.record import RunRecord, describe_machine
from training.runs.state import STATE, RunProgress, load_state, save_state
from training.validation import Validator

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz<>"]

BOLD = {"learning_rate": 1.0, "warmup": 8}
"""Steps that help at first and then overshoot."""


def _train(tmp_path, *, held=None, **changes):
    tokenizer = tmp_path / "given"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    run = tiny_run(tmp_path, **changes)
    files = RunFiles(run, lambda folder: copy_tokenizer(tokenizer, folder))
    accelerator = open_accelerator(run, cpu=True)
    sources = Sources(PairBatches(), held)
    return run, train(run, tiny_model(run.model), sources=sources, accelerator=accelerator, files=files)


def test_the_folder_says_how_its_model_was_trained(tmp_path):
    run, lines = tiny_run(tmp_path, validation={"every": 4}), []
    data = {"training": {"from": ["manifest own train"], "clips": 8, "sha256": "ab"}}
    accelerator = open_accelerator(run, cpu=True)
    record = RunRecord(run, data, describe_machine(accelerator))
    sources = Sources(PairBatches(), HeldPairs())

    def go(limit=None):
        def stop(step, _):
            if step + 1 == limit:
                raise KeyboardInterrupt

        files = RunFiles(run, lambda _: None, record=record, announce=lines.append)
        train(run, tiny_model(run.model), sources=sources, accelerator=accelerator, files=files, report=stop)

    with pytest.raises(KeyboardInterrupt):
        go(limit=6)
    assert [line.partition(":")[0] for line in lines] == ["step 4"]
    assert re.fullmatch(r"step 4: validation loss \d+\.\d{4}, pose→text R@1 0\.\d{3}, .*\(best so far\)", lines[0])
    go()
    assert lines[1] == "resuming after step 4 of 12; the best weights so far are of step 4"
    written = read_training_record(run.output_folder)
    best = [int(line.split()[1].rstrip(":")) for line in lines if line.endswith("(best so far)")]
    assert (written["experiment"], written["seed"], written["step"]) == ("tiny-run", 0, best[-1])
    assert written["data"] == data
    assert written["recipe"] == run.describe()
    assert [start["step"] for start in written["starts"]] == ([0, 4] if best[-1] > 4 else [0])
    assert written["starts"][0]["software"]["torch"] == version("torch")
    assert written["starts"][0]["device"] == "cpu"


def _serve(folder):
    registry = Registry(
        load_catalog(weights=folder),
        WeightsFolder(folder),
        make_backend=lambda path, config: TorchBackend(path, config, device="cpu", dtype="float32"),
    )
    return registry.get("tiny-run")


@pytest.mark.parametrize(
    "changes",
    [{}, {"model": {"projection": "l2"}, "loss": {"learn_scale": True, "temperature": 0.1}}],
    ids=["as SignCLIP", "unit vectors with a learned scale"],
)
def test_the_service_loads_what_was_trained(tmp_path, changes):
    _, model = _train(tmp_path, **changes)
    served = _serve(tmp_path)
    clips = [np.random.default_rng(0).normal(size=(frames, 12)).astype(np.float32) for frames in (3, 7)]
    for clip, vector in zip(clips, served.embed_pose(clips, normalize=False), strict=True):
        with torch.no_grad():
            expected = model.encode_pose(torch.from_numpy(clip)[None], torch.ones(1, len(clip), dtype=torch.bool))[0]
        np.testing.assert_allclose(vector, expected.numpy(), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        ids = torch.tensor([[2, 30, 4, 31, 5, 3]])
        expected = model.encode_text(ids, torch.ones_like(ids, dtype=torch.bool))[0]
    np.testing.assert_allclose(served.embed_text(["<a>b"], normalize=False)[0], expected.numpy(), rtol=1e-4, atol=1e-5)
    if changes:
        assert np.square(vector).sum() == pytest.approx(served.config.logit_scale, rel=1e-4)
        assert served.config.logit_scale != pytest.approx(10, rel=1e-4)


def test_best_weights_are_kept(tmp_path):
    run, last = _train(tmp_path, held=HeldPairs(), validation={"every": 2}, optimizer=BOLD)
    with (run.logs_folder / "validation.csv").open(newline="") as file:
        losses = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}
    best = min(losses, key=losses.get)
    assert list(losses) == [2, 4, 6, 8, 10, 12]
    assert best < 12  # or the last would be the best
    kept = load_model(run.output_folder / "model.safetensors", run.model)
    assert _validation_loss(run, kept) == pytest.approx(losses[best], rel=1e-5)
    assert _validation_loss(run, last) == pytest.approx(losses[12], rel=1e-5)


def test_last_weights_are_kept_if_asked_for(tmp_path):
    changes = {"validation": {"every": 2, "keep": "last"}, "optimizer": BOLD}
    run, last = _train(tmp_path, held=HeldPairs(), **changes)
    kept = load_model(run.output_folder / "model.safetensors", run.model).state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in last.state_dict().items())


def _validation_loss(run, model):
    total = 0.0
    for index in range(3):
        batch = HeldPairs()[index]
        with torch.no_grad():
            poses = model.encode_pose(batch.pose_features, batch.frame_mask)
            texts = model.encode_text(batch.input_ids, batch.attention_mask)
        scores = (texts @ poses.T).double()
        own = scores.diag()
        total += float((2 * own - scores.logsumexp(0) - scores.logsumexp(1)).sum())
    return -total / 19  # the mean over 8 + 8 + 3 pairs


def test_validation_is_evaluations_search(tmp_path):
    run = tiny_run(tmp_path)
    learner = Learner(run, tiny_model(run.model), accelerator=open_accelerator(run, cpu=True), steps=12)
    metrics = Validator(learner, HeldPairs()).validate()
    assert learner.contrastive.training
    model = tiny_model(run.model).eval()
    batches = [HeldPairs()[index] for index in range(3)]
    with torch.no_grad():
        poses = torch.cat([model.encode_pose(batch.pose_features, batch.frame_mask) for batch in batches])
        texts = torch.cat([model.encode_text(batch.input_ids, batch.attention_mask) for batch in batches])
    # Both whole batches are the same eight pairs: candidates are 11 texts, clips with the same text count as right.
    label = [*range(8), *range(8), 8, 9, 10]
    different = [label.index(number) for number in range(11)]
    scores = (poses @ texts[different].T).numpy()
    ranks = np.array([1 + (row > row[label[clip]]).sum() for clip, row in enumerate(scores)])
    assert metrics["pose_to_text R@1"] == pytest.approx((ranks == 1).mean())
    assert metrics["pose_to_text median_rank"] == np.median(ranks)
    order = np.argsort(-scores.T, axis=1, kind="stable")[:, :5]
    hits = np.array([[label[clip] == text for clip in row] for text, row in enumerate(order)])
    assert metrics["text_to_pose P@5"] == pytest.approx(hits.mean())
    assert metrics["loss"] == pytest.approx(_validation_loss(run, model), rel=1e-5)


def test_a_model_that_diverged_is_named(tmp_path):
    run = tiny_run(tmp_path)
    model = tiny_model(run.model)
    learner = Learner(run, model, accelerator=open_accelerator(run, cpu=True), steps=12)
    with torch.no_grad():
        model.pose_tower.mlp.linear1.weight.fill_(torch.nan)
    with pytest.raises(DivergedError, match=r"19 of 19 clips in validation .*learning_rate \(0\.01 now\)"):
        Validator(learner, HeldPairs()).validate()


def test_weights_that_are_no_numbers_replace_neither_state_nor_model(tmp_path):
    bold = {"optimizer": {"learning_rate": 1e38, "warmup": 5}, "save_every": 1}
    with pytest.raises(
        DivergedError, match=r"of its \d+ tensors of weights are no finite .*learning_rate \(1e\+38 now"
    ):
        _train(tmp_path, **bold)
    run = tiny_run(tmp_path, **bold)
    progress, learned = load_state(run.logs_folder, run)
    assert progress.step >= 1  # the rate of the first step is 0
    assert all(tensor.isfinite().all() for tensor in learned["contrast"].values())
    assert not (run.output_folder / "model.safetensors").exists()


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    run, _ = _train(tmp_path)
    learner = Learner(run, tiny_model(run.model), accelerator=open_accelerator(run, cpu=True), steps=12)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = {path: path.read_bytes() for path in (run.logs_folder / STATE, run.output_folder / CONVERTED)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # as a disk that is full
    try:
        with pytest.raises(OSError, match=r"state\.pt cannot be written, most often because the disk is full"):
            save_state(run.logs_folder, run, progress=RunProgress(), learned=learner.state_dict())
        with pytest.raises(OSError, match=r"model\.safetensors cannot be written, most often because the disk is"):
            write_weights(run.output_folder, learner.contrastive.model, experiment="tiny-run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert all(path.read_bytes() == content for path, content in whole.items())


def _build_served_batch(*tensors):
    return ServedBatch(*tensors, ServedClips(torch.zeros(3, 4, 5, 2)))


@pytest.mark.parametrize(("batch_class", "frames"), [(PairBatch, 2), (SampledBatch, 2), (_build_served_batch, 5)])
def test_rows_of_a_batch_lose_the_padding_they_do_not_need(batch_class, frames):
    batch = batch_class(
        torch.ones(3, 5, 2),
        torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool),
        torch.ones(3, 4, dtype=torch.long),
        torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.bool),
        torch.arange(3)[:, None],
    )
    part = batch.select(slice(1, 3))
    # The second dimension of clips as they are served is crops, of which all are needed.
    assert part.pose_features.shape == (2, frames, 2)
    assert (part.frame_mask.shape, part.input_ids.shape, part.marks.tolist()) == ((2, 2), (2, 4), [[1], [2]])
    assert type(part) is type(batch)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_of_processes_cover_the_batch_in_order(count):
    rows = [list(range(21))[ProcessShare(index, count).find_rows(21)] for index in range(count)]
    assert [row for share in rows for row in share] == list(range(21))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
