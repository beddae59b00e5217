"""Votes of learned clips: they solve kernel ridge regression, and say what each clip is and nothing else."""

import numpy as np
import pytest
import torch

from corpora.prompts import tag_text
from models.exemplars import measure_closeness
from training.errors import ExperimentError
from training.experiment import EXPERIMENTS, read_experiment
from training.fingerspelling import exemplars as module
from training.fingerspelling.exemplars import aim_votes, describe_means, find_exemplars, solve_votes
from training.fingerspelling.lexicon import LETTERS, read_lexicon
from training.fingerspelling.others import read_poses
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.robustness import CHANGES
from training.fingerspelling.scoring import embed_letters, rank_letters
from training.fingerspelling.trained import load_trained
from training.fingerspelling.webcam import change_clips, remove_depth
from training.sections.hands import ExemplarVotes


@pytest.fixture(scope="module")
def trained():
    return load_trained("fingerspelling")


@pytest.fixture(scope="module")
def clips():
    return read_lexicon(languages=frozenset({"gsg", "swl"}))


def test_without_changes_votes_are_plain_kernel_ridge_regression():
    generator = torch.Generator().manual_seed(0)
    points = 0.3 * torch.randn(20, 7, generator=generator)
    aims = torch.randn(20, 5, generator=generator).double()
    kernel = measure_closeness(points.double(), points.double())
    expected = torch.linalg.solve(kernel + 0.3 * torch.eye(20, dtype=torch.float64), aims)
    torch.testing.assert_close(solve_votes(points, aims, points, ridge=0.3), expected, atol=1e-4, rtol=1e-4)


def test_equal_clips_can_be_solved():
    points = torch.zeros(4, 7)
    votes = solve_votes(points, torch.ones(4, 2, dtype=torch.float64), points, ridge=1e-9)
    assert votes.sum(dim=0).tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_a_vote_aims_at_its_letter_in_any_language_and_a_little_at_its_own(trained, clips):
    whole, own = (aim_votes(trained.model, trained.tokenizer, clips, own_text=share).numpy() for share in (0.0, 0.5))
    untagged = embed_texts(trained.model, trained.tokenizer, [tag_text(letter) for letter in LETTERS])
    basic = [row for row, clip in enumerate(clips) if clip.is_basic]
    letters = np.array([LETTERS.index(clips[row].letter) for row in basic])
    for aims in (whole, own):
        assert (rank_letters(aims[basic], untagged, letters) == 1).all()
    for row in basic:
        clip = clips[row]
        texts = [tag_text(clip.letter, sign=sign, spoken="en") for sign in ("gsg", "swl")]
        gsg, swl = embed_texts(trained.model, trained.tokenizer, texts) @ (own - whole)[row]
        assert gsg > swl if clip.sign == "gsg" else swl > gsg


def test_exemplars_are_the_clips_and_their_votes_name_them(trained, clips, monkeypatch):
    monkeypatch.setattr(module, "CHANGES", module.CHANGES[:1])
    found = find_exemplars(trained.model, trained.tokenizer, clips, settings=ExemplarVotes(share=0.5))
    half = find_exemplars(trained.model, trained.tokenizer, clips, settings=ExemplarVotes(share=0.25))
    torch.testing.assert_close(half.votes, found.votes / 2)
    geometry = trained.model.pose_tower.geometry
    means = describe_means(geometry, [clip.features for clip in clips])
    assert torch.equal(found.points, means)
    votes = (measure_closeness(means, found.points) @ found.votes).numpy()
    untagged = embed_texts(trained.model, trained.tokenizer, [tag_text(letter) for letter in LETTERS])
    basic = [row for row, clip in enumerate(clips) if clip.is_basic]
    letters = np.array([LETTERS.index(clips[row].letter) for row in basic])
    assert (rank_letters(votes[basic], untagged, letters) == 1).mean() > 0.95


def test_a_model_without_hand_geometry_has_no_exemplars(clips):
    other = load_trained("fingerspelling")
    other.model.pose_tower.geometry = None
    with pytest.raises(ExperimentError, match="reads no hand geometry"):
        find_exemplars(other.model, other.tokenizer, clips, settings=ExemplarVotes(share=0.5))


def test_the_frames_that_votes_learned_are_not_those_that_robustness_tests(clips):
    """Otherwise hands lost in 45 % of frames would be measured on the very frames that votes were fitted to."""
    (pose,) = read_poses(clips[:1])
    learned, tested = module.CHANGES[-1](pose), CHANGES["hands lost in 45 %"](pose)
    assert not np.array_equal(learned.body.confidence, tested.body.confidence)


def test_the_shipped_models_votes_help_it_without_depth(trained, clips):
    basic = [clip for clip in clips if clip.is_basic]
    untagged = embed_texts(trained.model, trained.tokenizer, [tag_text(letter) for letter in LETTERS])
    letters = np.array([LETTERS.index(clip.letter) for clip in basic])
    features = change_clips(read_poses(basic), remove_depth, trim=trained.config.trim)
    voting = (rank_letters(embed_letters(trained.model, features), untagged, letters) == 1).mean()
    votes = trained.model.pose_tower.exemplars
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(votes, "votes", torch.zeros_like(votes.votes))
        silent = (rank_letters(embed_letters(trained.model, features), untagged, letters) == 1).mean()
    assert voting > silent + 0.03


def test_a_run_starts_without_the_exemplars_of_its_base_but_keeps_those_of_its_start():
    assert read_experiment(EXPERIMENTS / "fingerspelling.yaml").model.exemplars == 0
    assert read_experiment(EXPERIMENTS / "from_fingerspelling.yaml").model.exemplars == 600
