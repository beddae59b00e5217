"""Texts and features in, vectors out: what a notebook calls."""

import numpy as np
import pytest

from models.embedding import EmbeddingModel, embed_clips, embed_prompts
from models.errors import ShapeError
from models.vectors import normalize_vectors


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, 609)).astype(np.float32)


def test_texts_and_clips_come_back_in_order_at_unit_length(tiny_model: EmbeddingModel) -> None:
    texts = tiny_model.embed_text(["house", "how are you?", ""])
    clips = tiny_model.embed_pose([clip(9, 1), clip(3, 2)])
    assert texts.shape == (3, 32)
    assert clips.shape == (2, 32)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([texts, clips]), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(clips[1], tiny_model.embed_pose([clip(3, 2)])[0], atol=1e-6)


def test_raw_vectors_keep_their_length(tiny_model: EmbeddingModel) -> None:
    raw = tiny_model.embed_text(["house"], normalize=False)
    np.testing.assert_allclose(normalize_vectors(raw), tiny_model.embed_text(["house"]), rtol=1e-6)
    assert abs(np.linalg.norm(raw) - 1) > 1e-3


def test_what_is_too_long_is_cut_as_in_training(tiny_model: EmbeddingModel) -> None:
    long = clip(100)
    np.testing.assert_array_equal(tiny_model.embed_pose([long]), tiny_model.embed_pose([long[:64]]))
    many = "a " * 100
    np.testing.assert_array_equal(tiny_model.embed_text([many]), tiny_model.embed_text(["a " * 29]))


def test_nothing_gives_nothing(tiny_model: EmbeddingModel) -> None:
    assert tiny_model.embed_text([]).shape == (0, 32)
    assert tiny_model.embed_pose([]).shape == (0, 32)


@pytest.mark.parametrize("tower", ["text", "pose"])
@pytest.mark.parametrize("length", [0, 65])
def test_items_out_of_range_are_refused_whatever_runs_them(tiny_model: EmbeddingModel, tower: str, length: int) -> None:
    good = np.ones(4, np.int32) if tower == "text" else clip(4)
    bad = np.ones(length, np.int32) if tower == "text" else clip(length)
    with pytest.raises(ShapeError):
        tiny_model.encode(tower, [good, bad])  # type: ignore[arg-type]


def test_clips_of_another_kind_of_features_are_refused(tiny_model: EmbeddingModel) -> None:
    with pytest.raises(ShapeError, match="63"):
        tiny_model.encode("pose", [np.zeros((4, 63), np.float32)])


@pytest.mark.parametrize("frames_at_once", [1, 50, 10_000])
def test_batches_do_not_change_vectors(
    tiny_model: EmbeddingModel, frames_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.embedding.CLIPS_READ_AHEAD", 4)
    clips = [clip(frames, seed) for seed, frames in enumerate((9, 70, 3, 9, 20, 1, 64))]
    single = np.concatenate([tiny_model.embed_pose([one], normalize=False) for one in clips])
    batched = embed_clips(tiny_model, iter(clips), frames_at_once=frames_at_once)
    np.testing.assert_allclose(batched, single, atol=1e-4 * np.abs(single).max())


def test_prompts_keep_their_order(tiny_model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.embedding.TEXTS_AT_ONCE", 3)
    prompts = ["how are you", "", "sun", "house"]
    single = np.concatenate([tiny_model.embed_text([prompt], normalize=False) for prompt in prompts])
    np.testing.assert_allclose(embed_prompts(tiny_model, prompts), single, atol=1e-4 * np.abs(single).max())


def test_of_no_clips_and_no_prompts_there_are_no_vectors(tiny_model: EmbeddingModel) -> None:
    assert embed_clips(tiny_model, iter([])).shape == (0, 32)
    assert embed_prompts(tiny_model, []).shape == (0, 32)
