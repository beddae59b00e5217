"""Orders of clips: what an epoch shows, and that a step's batch follows from its number alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.clips.sampling import EachOnce, Shuffled, UniqueTexts

SEEDS = st.integers(0, 2**32)


def epoch_of(sampler, epoch):
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    return [sampler.rows(step) for step in steps]


@st.composite
def texts_and_batch_sizes(draw):
    counts = draw(st.lists(st.integers(1, 7), min_size=2, max_size=12))
    texts = np.repeat(np.arange(len(counts)), counts)
    draw(st.randoms(use_true_random=False)).shuffle(texts)
    return texts, draw(st.integers(1, len(counts)))


@given(st.integers(2, 60), st.integers(1, 60), SEEDS)
def test_every_clip_is_shown_once_an_epoch(clips, batch_size, seed):
    batch_size = min(batch_size, clips)
    sampler = Shuffled(clips, batch_size, seed)
    for epoch in range(2):
        batches = epoch_of(sampler, epoch)
        assert {len(batch) for batch in batches} == {batch_size}
        counts = np.bincount(np.concatenate(batches), minlength=clips)
        assert counts.max() == 1
        assert (counts == 0).sum() == clips % batch_size


@given(texts_and_batch_sizes(), SEEDS)
def test_unique_texts(case, seed):
    texts, batch_size = case
    sampler = UniqueTexts(texts, batch_size, seed)
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
        lambda: Shuffled(len(texts), batch_size, seed),
        lambda: UniqueTexts(texts, batch_size, seed),
        lambda: EachOnce(len(texts), batch_size, seed),
    ):
        forward, backward = make(), make()
        steps = range(2 * forward.steps_per_epoch + 1)
        expected = [forward.rows(step) for step in steps]
        for step in reversed(steps):
            np.testing.assert_array_equal(backward.rows(step), expected[step])


def test_epochs_and_seeds_differ():
    texts = np.arange(40) % 10
    for make in (lambda seed: Shuffled(40, 10, seed), lambda seed: UniqueTexts(texts, 10, seed)):
        orders = [np.concatenate(epoch_of(make(seed), epoch)).tolist() for seed in (0, 1) for epoch in (0, 1)]
        assert len({tuple(order) for order in orders}) == 4


@given(st.integers(1, 80), st.integers(1, 20), st.integers(1, 4), SEEDS)
def test_validation_shows_everything_and_does_not_change(clips, shares, multiple, seed):
    batch_size = shares * multiple
    if clips < multiple:
        with pytest.raises(ValueError, match="processes"):
            EachOnce(clips, batch_size, seed, multiple=multiple)
        return
    sampler = EachOnce(clips, batch_size, seed, multiple=multiple)
    batches, again = epoch_of(sampler, 0), epoch_of(sampler, 1)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= multiple
    assert not any(size % multiple for size in sizes)
    shown = np.concatenate(batches)
    assert len(set(shown)) == len(shown) == clips - clips % multiple
    np.testing.assert_array_equal(shown, np.concatenate(again))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shuffled(5, 6, 0), "batches of 6 pairs from 5 clips; batch.size can be 5 at most"),
        (lambda: UniqueTexts(np.array([0, 0, 1]), 3, 0), "batches of 3 different texts from 2"),
    ],
)
def test_batches_larger_than_the_data_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
