"""Drawn clips that show no letter: readable, repeatable, and each of its kind."""

import numpy as np
import pytest
import torch

from corpora.clip_files import read_pose
from corpora.readers import fingerspelling_lexicon
from models.hand_geometry import LEFT, RIGHT, split_hands
from poses import FeatureOptions, extract, find_signing
from poses.quality import find_warnings
from training.fingerspelling.lexicon import FEATURE_KIND, read_lexicon
from training.fingerspelling.others import KINDS, draw_others
from training.fingerspelling.prompts import UNKNOWN, build_tokenizer
from training.fingerspelling.unknown import UNKNOWN_WORD, draw_unknown_clips

COUNT = 6


@pytest.fixture(scope="module")
def poses():
    corpus = fingerspelling_lexicon.read(fingerspelling_lexicon.find_installed_folder(), "all")
    return [read_pose(example) for example in corpus.examples if example.sign_language in ("ase", "cse")]


@pytest.fixture(scope="module")
def drawn(poses):
    return draw_others(poses, COUNT, seed=3)


def find_hands(pose):
    """The hands of a clip in shoulder widths, (frames, 2, 21, 3), and whether each is seen, (frames, 2)."""
    features = torch.from_numpy(extract(pose, FEATURE_KIND, FeatureOptions()))
    points, seen = split_hands(features[None])
    return points[0].numpy(), seen[0].numpy()


def test_every_kind_is_drawn_and_readable(drawn):
    assert {kind: len(found) for kind, found in drawn.items()} == dict.fromkeys(KINDS, COUNT)
    for found in drawn.values():
        for pose in found:
            assert np.isfinite(extract(pose, FEATURE_KIND)).all()
            assert not [warning for warning in find_warnings(pose) if "shoulder widths" in warning]


def test_the_same_seed_draws_the_same(poses, drawn):
    again, other = (draw_others(poses, COUNT, seed=seed) for seed in (3, 4))
    for kind, found in drawn.items():
        for first, second in zip(found, again[kind], strict=True):
            np.testing.assert_array_equal(np.asarray(first.body.data), np.asarray(second.body.data))
        assert any(
            first.body.data.shape != second.body.data.shape or not np.array_equal(first.body.data, second.body.data)
            for first, second in zip(found, other[kind], strict=True)
        )


def test_resting_hands_are_never_raised(drawn):
    assert all(find_signing(pose).fault for pose in drawn["rest"])


def test_hands_that_come_up_turn_back(drawn):
    for pose in drawn["raising"]:
        points, seen = find_hands(pose)
        side = RIGHT if seen[:, RIGHT].any() else LEFT
        y = points[:, side, 0, 1]
        assert y.argmin() in range(len(y) // 2 - 2, len(y) // 2 + 2)
        assert abs(y[0] - y[-1]) < 1e-3


def test_waving_hands_go_from_side_to_side_with_straight_fingers(drawn):
    for pose in drawn["waving"]:
        points, seen = find_hands(pose)
        assert seen[:, RIGHT].all()
        hand = points[:, RIGHT]
        assert np.ptp(hand[:, 12, 0]) > 0.1
        for start in (5, 9, 13, 17):
            bones = np.diff(hand[:, start : start + 4], axis=1)
            unit = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
            assert (unit[:, :-1] * unit[:, 1:]).sum(axis=-1).min() > 0.99


def test_other_signs_move_through_space(drawn):
    for pose in drawn["other signs"]:
        points, seen = find_hands(pose)
        assert seen[:, RIGHT].all()
        assert np.ptp(points[:, RIGHT, 0, :2], axis=0).max() > 0.2
        steps = np.linalg.norm(np.diff(points[:, RIGHT, 0, :2], axis=0), axis=-1)
        assert steps.max() < 0.6


def test_noise_jumps(drawn):
    for pose in drawn["noise"]:
        points, seen = find_hands(pose)
        side = RIGHT if seen[:, RIGHT].all() else LEFT
        shape = points[:, side] - points[:, side, :1]
        assert np.linalg.norm(np.diff(shape[:, 1:], axis=0), axis=-1).mean() > 0.03


def test_unknown_clips_have_a_word_that_the_tokenizer_does_not_know():
    clips = read_lexicon(languages=frozenset({"ase"}))
    unknown = draw_unknown_clips(clips, 2, seed=0, trim="auto")
    assert len(unknown) == 2 * len(KINDS)
    assert {clip.letter for clip in unknown} == {UNKNOWN_WORD}
    assert not any(clip.is_basic for clip in unknown)
    assert build_tokenizer(clips).encode(UNKNOWN_WORD, add_special_tokens=False).tokens == [UNKNOWN]
    again = draw_unknown_clips(clips, 2, seed=0, trim="auto")
    for first, second in zip(unknown, again, strict=True):
        np.testing.assert_array_equal(first.features, second.features)
    assert draw_unknown_clips(clips, 0, seed=0, trim="auto") == []
