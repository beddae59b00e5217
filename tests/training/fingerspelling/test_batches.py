"""Batches of letters: which clips they hold, and what a frozen tower makes of them."""

from pathlib import Path

import pytest
import torch

from models.architecture import SignClip
from training.experiment import read_experiment_as
from training.fingerspelling.batches import HandBatches, SampledBatch, ServedBatch, ServedClips
from training.fingerspelling.lexicon import read_lexicon
from training.fingerspelling.preparation import HandExperiment, count_sampled_frames
from training.fingerspelling.prompts import build_tokenizer
from training.fingerspelling.unknown import UNKNOWN_WORD

CONFIG = Path(__file__).parents[3] / "configs" / "experiments" / "fingerspelling.yaml"


@pytest.fixture(scope="module")
def clips():
    return read_lexicon(languages=frozenset({"ase", "gsg"}))


@pytest.fixture(scope="module")
def tower(clips):
    run = read_experiment_as(HandExperiment, CONFIG)
    torch.manual_seed(0)
    model = SignClip(run.model, vocab_size=build_tokenizer(clips).get_vocab_size())
    return model.pose_tower.eval()


def make_batches(clips, *, share: float, tower, steps=3):
    changes = [f"steps={steps}", "freeze_after.steps=2", f"data.unknown.share={share}", "data.unknown.clips=3"]
    run = read_experiment_as(HandExperiment, CONFIG, changes=changes)
    return HandBatches(
        run,
        run.data,
        clips=clips,
        tokenizer=build_tokenizer(clips),
        sampled_frames=count_sampled_frames(_Geometry(tower)),
    )


class _Geometry:
    def __init__(self, tower):
        self.pose_tower = tower


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_pairs_shows_no_letter(share, clips, tower):
    batches = make_batches(clips, share=share, tower=tower)
    rows = torch.cat([batches[step].marks[:, 0] for step in range(3)])
    unknown = rows >= len(clips)
    assert abs(unknown.float().mean() - share) < 0.1
    assert rows.max() < len(clips) + 15
    if share in (0.0, 1.0):
        assert unknown.all() == bool(share)


def test_clips_without_a_letter_share_a_label_and_have_an_unknown_word(clips, tower):
    batches = make_batches(clips, share=1.0, tower=tower)
    batch = batches[0]
    assert len(set(batch.marks[:, 1].tolist())) == 1
    unknown = build_tokenizer(clips).token_to_id("[UNK]")
    assert (batch.input_ids == unknown).any(dim=1).all()
    assert UNKNOWN_WORD not in build_tokenizer(clips).get_vocab()


def test_stages_read_clips_in_two_ways(clips, tower):
    batches = make_batches(clips, share=0.2, tower=tower)
    assert [type(batches[step]) for step in range(3)] == [SampledBatch, SampledBatch, ServedBatch]


def test_a_frozen_tower_runs_once_and_gives_what_it_would_give_each_time(tower):
    readings = torch.randn(9, 4, tower.geometry.steps, tower.geometry.out_dim)
    rows = torch.tensor([3, 3, 0, 8])
    served, runs = ServedClips(readings), []
    with torch.no_grad():
        expected = tower.encode_readings(readings[rows])
        tower.requires_grad_(False)
        handle = tower.mlp.register_forward_hook(lambda *_: runs.append(1))
        for _ in range(3):
            torch.testing.assert_close(served.pool(tower, rows), expected)
        assert len(runs) == 1
        tower.requires_grad_(True)
        torch.testing.assert_close(ServedClips(readings).pool(tower, rows), expected)
        handle.remove()


def test_a_tower_that_learns_runs_every_time(tower):
    served = ServedClips(torch.randn(5, 4, tower.geometry.steps, tower.geometry.out_dim))
    tower.requires_grad_(True)
    before = served.pool(tower, torch.arange(5))
    assert before.requires_grad
    with torch.no_grad():
        tower.mlp.linear2.bias += 1
    assert not torch.allclose(served.pool(tower, torch.arange(5)), before)
    with torch.no_grad():
        tower.mlp.linear2.bias -= 1
