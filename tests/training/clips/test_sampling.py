"""Orders of clips: what an epoch shows, and that a step's batch follows from its number alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.clips.sampling import ShuffledSampler, UniqueTextSampler, ValidationSampler
from training.errors import DataError

SEEDS = st.integers(0, 2**32)


def epoch_of(sampler, epoch):
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    return [sampler.draw_rows(step) for step in steps]


@st.composite
def texts_and_batch_sizes(draw):
    counts = draw(st.lists(st.integers(1, 7), min_size=2, max_size=12))
    texts = np.repeat(np.arange(len(counts)), counts)
    draw(st.randoms(use_true_random=False)).shuffle(texts)
    return texts, draw(st.integers(1, len(counts)))


@given(st.integers(2, 60), st.integers(1, 60), SEEDS)
def test_every_clip_is_shown_once_an_epoch(clips, batch_size, seed):
    batch_size = min(batch_size, clips)
    sampler = ShuffledSampler(clips, batch_size, seed=seed)
    for epoch in range(2):
        batches = epoch_of(sampler, epoch)
        assert {len(batch) for batch in batches} == {batch_size}
        counts = np.bincount(np.concatenate(batches), minlength=clips)
        assert counts.max() == 1
        assert (counts == 0).sum() == clips % batch_size


@given(texts_and_batch_sizes(), SEEDS)
def test_unique_texts(case, seed):
    texts, batch_size = case
    sampler = UniqueTextSampler(texts, batch_size, seed=seed)
    in_text = np.bincount(texts)
    rounds = in_text.max()
    for epoch in range(2):
        batches = epoch_of(sampler, epoch)
        assert {len(batch) for batch in batches} == {batch_size}
        for batch in batches:
            assert len(set(texts[batch])) == batch_size
        shown = np.bincount(np.concatenate(batches), minlength=len(texts))
        left_out = rounds * len(in_text) % batch_size
        assert shown.sum() == rounds * len(in_text) - left_out
        # A text's clips take turns: of a text with half as many clips as the commonest, each is shown twice.
        assert (shown <= -(-rounds // in_text[texts])).all()
        assert (shown < rounds // in_text[texts]).sum() <= left_out


@given(texts_and_batch_sizes(), SEEDS)
def test_steps_may_come_in_any_order(case, seed):
    texts, batch_size = case
    for make in (
        lambda: ShuffledSampler(len(texts), batch_size, seed=seed),
        lambda: UniqueTextSampler(texts, batch_size, seed=seed),
        lambda: ValidationSampler(len(texts), batch_size, seed=seed),
    ):
        forward, backward = make(), make()
        steps = range(2 * forward.steps_per_epoch + 1)
        expected = [forward.draw_rows(step) for step in steps]
        for step in reversed(steps):
            np.testing.assert_array_equal(backward.draw_rows(step), expected[step])


def test_epochs_and_seeds_differ():
    texts = np.arange(40) % 10
    for make in (lambda seed: ShuffledSampler(40, 10, seed=seed), lambda seed: UniqueTextSampler(texts, 10, seed=seed)):
        orders = [np.concatenate(epoch_of(make(seed), epoch)).tolist() for seed in (0, 1) for epoch in (0, 1)]
        assert len({tuple(order) for order in orders}) == 4


@given(st.integers(1, 80), st.integers(1, 20), SEEDS)
def test_validation_shows_everything_and_does_not_change(clips, batch_size, seed):
    sampler = ValidationSampler(clips, batch_size, seed=seed)
    batches, again = epoch_of(sampler, 0), epoch_of(sampler, 1)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    shown = np.concatenate(batches)
    assert len(set(shown)) == len(shown) == clips
    np.testing.assert_array_equal(shown, np.concatenate(again))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShuffledSampler(5, 6, seed=0), "batches of 6 pairs from 5 clips: batch.size can be 5 at most"),
        (lambda: UniqueTextSampler(np.array([0, 0, 1]), 3, seed=0), "batches of 3 different texts from 2"),
    ],
)
def test_batches_larger_than_the_data_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
