"""The forward without padding gives the padded one's vectors, and an item's vector is its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backends import packed
from models.backends.attention import Prepare, Segments, attend_by_item, attend_padded
from models.backends.packed import PackedBackend, pack
from models.backends.packed_towers import PackedTowers
from models.backends.pytorch import TorchBackend
from models.backends.shapes import Size, lay_out_clips, lay_out_texts
from models.backends.staging import gather
from models.batching import pad
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder
from models.embedding import EmbeddingModel
from models.errors import BackendError
from tests.models.backends.variants import VARIANTS, draw_items, error, write_model

# Largest difference as a share of the largest value that batch mates may make.
TOLERANCE = {"float32": 2e-5, "float16": 5e-3}


def vectors(backend: PackedBackend, tower: str, items: list[np.ndarray]) -> np.ndarray:
    return backend.begin(tower, items, np.array([len(item) for item in items])).wait()


def padded_vectors(backend: TorchBackend | PackedBackend, tower: str, items: list[np.ndarray]) -> np.ndarray:
    if tower == "text":
        return backend.encode_text(*pad(items, dtype=np.int64))
    return backend.encode_pose(*pad(items, dtype=np.float32))


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[TorchBackend, PackedBackend]]:
    """Builds a variant's padded backend and the packed one on the same module, once."""
    made: dict[tuple[str, str], tuple[TorchBackend, PackedBackend]] = {}

    def build(variant: str = "plain", dtype: str = "float32") -> tuple[TorchBackend, PackedBackend]:
        if (variant, dtype) not in made:
            path, config = write_model(tmp_path_factory.mktemp("variant"), variant)
            padded = TorchBackend(path, config, device="cpu", dtype=dtype)
            made[variant, dtype] = padded, PackedBackend(padded)
        return made[variant, dtype]

    return build


@pytest.mark.parametrize("prepare", [attend_by_item, attend_padded])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_equals_the_padded_forward(
    backends, variant: str, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    padded, _ = backends(variant)
    monkeypatch.setattr(packed, "list_attentions", lambda *_: [prepare])
    unpadded = PackedBackend(padded)
    longest = {"text": padded.config.max_tokens - 1, "pose": padded.config.max_frames}
    for tower, most in longest.items():
        for lengths in ([2], [5, 5, 5], [2, 9, 17, 11], [most, 3, most - 1]):
            items = draw_items(padded.config, tower, lengths)
            wanted = padded_vectors(padded, tower, items)
            assert error(vectors(unpadded, tower, items), wanted) <= 1e-5
            assert error(padded_vectors(unpadded, tower, items), wanted) <= 1e-5
    one_frame = draw_items(padded.config, "pose", [1, 30])
    assert error(vectors(unpadded, "pose", one_frame), padded_vectors(padded, "pose", one_frame)) <= 1e-5


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("variant", ["plain", "projection_l2", "three convolutions"])
@settings(max_examples=25)
@given(data=st.data())
def test_batch_mates_do_not_matter(backends, variant: str, dtype: str, data: st.DataObject) -> None:
    padded, unpadded = backends(variant, dtype)
    tower = data.draw(st.sampled_from(["text", "pose"]))
    shortest, longest = (2, padded.config.max_tokens - 1) if tower == "text" else (1, padded.config.max_frames)
    lengths = data.draw(st.lists(st.integers(shortest, longest), min_size=1, max_size=7))
    items = draw_items(padded.config, tower, lengths, seed=data.draw(st.integers(0, 99)))
    alone = np.concatenate([vectors(unpadded, tower, [item]) for item in items])
    order = data.draw(st.permutations(range(len(items))))
    together = vectors(unpadded, tower, [items[index] for index in order])
    assert error(together, alone[order]) <= TOLERANCE[dtype]


def test_a_bad_batch_mate_does_not_matter(backends) -> None:
    padded, unpadded = backends()
    items = draw_items(padded.config, "pose", [7, 12, 9])
    wanted = vectors(unpadded, "pose", items)
    items[1] = np.full_like(items[1], np.nan)
    got = vectors(unpadded, "pose", items)
    np.testing.assert_array_equal(got[[0, 2]], wanted[[0, 2]])
    assert np.isnan(got[1]).all()


def test_room_behind_a_batch_does_not_matter(backends) -> None:
    """A captured forward runs over more rows and items than a batch has; what stands there is left from others."""
    padded, _ = backends()
    towers = PackedTowers(padded.module, attend_by_item)
    generator = torch.Generator().manual_seed(0)
    for tower in ("text", "pose"):
        lengths = np.array([4, 9, 2])
        values = np.concatenate(draw_items(padded.config, tower, lengths))
        if tower == "text":
            layout = lay_out_texts(values, lengths)
        else:
            layout = lay_out_clips(lengths, sep_position=towers.sep_position)
        found = []
        for rows, items in ((layout.rows, layout.items), (64, 8)):
            frames = None
            if tower == "pose":
                frames = torch.randn(max(rows, len(values)), towers.columns, generator=generator)
                frames[: len(values), : towers.features] = torch.from_numpy(values)
                frames[:, towers.features :] = 0
            flat = torch.from_numpy(layout.flatten(rows, items))
            found.append(towers.encode(flat, Size(rows, items), frames, longest=layout.longest)[:3].numpy())
        assert error(found[1], found[0]) <= 1e-5


def test_float16_overflow_runs_again_in_float32(backends, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    padded, unpadded = backends("plain", "float16")
    path, config = write_model(tmp_path, "plain")
    exact = TorchBackend(path, config, device="cpu", dtype="float32")
    items = draw_items(config, "pose", [7, 12, 9])
    items[1] *= 1e5  # past the 65504 that float16 can hold
    wanted = padded_vectors(exact, "pose", items)
    caplog.set_level(logging.INFO, "models.backends.pytorch")
    for got in (vectors(unpadded, "pose", items), padded_vectors(padded, "pose", items)):
        assert error(got[[1]], wanted[[1]]) <= 1e-6
        assert 1e-5 < error(got[[0, 2]], wanted[[0, 2]]) <= TOLERANCE["float16"], "only the item that overflowed"
    assert [(record.tower, record.items) for record in caplog.records] == [("pose", 1), ("pose", 1)]


def test_an_item_that_is_broken_in_float32_too_stays_broken(backends) -> None:
    _, unpadded = backends("plain", "float16")
    items = draw_items(unpadded._padded.config, "pose", [7, 12])
    items[0][3, 5] = np.nan
    got = vectors(unpadded, "pose", items)
    assert np.isnan(got[0]).all()
    assert np.isfinite(got[1]).all()


def test_arrays_may_be_cut_anywhere_and_be_halves(backends) -> None:
    padded, unpadded = backends()
    lengths = np.array([7, 12, 9])
    flat = np.concatenate(draw_items(padded.config, "pose", lengths))
    wanted = unpadded.begin("pose", [flat], lengths).wait()
    np.testing.assert_array_equal(unpadded.begin("pose", [flat[:3], flat[3:25], flat[25:]], lengths).wait(), wanted)
    halves = unpadded.begin("pose", [flat.astype(np.float16)], lengths).wait()
    assert 0 < error(halves, wanted) <= 5e-3


def test_batches_wait_in_any_order(backends) -> None:
    padded, unpadded = backends()
    batches = [draw_items(padded.config, "pose", lengths) for lengths in ([3, 30], [9], [5, 6, 7])]
    running = [unpadded.begin("pose", items, np.array([len(item) for item in items])) for items in batches]
    for batch, items in reversed(list(zip(running, batches, strict=True))):
        np.testing.assert_array_equal(batch.wait(), vectors(unpadded, "pose", items))


def test_a_model_begins_batches_on_either_backend(tiny_weights: Path, tiny_model: EmbeddingModel) -> None:
    unpadded = EmbeddingModel(tiny_model.config, tiny_model.tokenizer, PackedBackend(tiny_model.backend), "digest")
    for tower in ("text", "pose"):
        lengths = np.array([3, 20, 8])
        items = [item % 100 if tower == "text" else item for item in draw_items(tiny_model.config, tower, lengths)]
        wanted = tiny_model.encode(tower, items)
        for model in (tiny_model, unpadded):
            assert error(model.encode(tower, items), wanted) <= 1e-5
            assert error(model.begin(tower, [np.concatenate(items)], lengths).wait(), wanted) <= 1e-5


@pytest.mark.parametrize("fault", [ImportError("no varlen_attn"), RuntimeError("no kernel for this device"), None])
def test_where_attention_is_missing_batches_are_padded(
    backends, fault: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """None: it runs, and gives other vectors."""
    padded, _ = backends()

    def broken(segments: Segments) -> object:
        if fault is not None:
            raise fault
        return lambda query, key, value: value

    monkeypatch.setattr(packed, "list_attentions", lambda *_: [broken])
    packed._warn_once.cache_clear()
    with pytest.raises(BackendError, match=str(fault) if fault else "off by"):
        PackedBackend(padded)
    assert pack(padded) is padded
    assert pack(padded) is padded
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "attention over packed batches falls back",
        "batches are padded, because packed ones cannot run here",
    ]


def test_the_next_attention_serves_where_the_first_is_missing(backends, monkeypatch: pytest.MonkeyPatch) -> None:
    padded, _ = backends()

    def broken(segments: Segments) -> object:
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(packed, "list_attentions", lambda *_: [broken, attend_padded])
    items = draw_items(padded.config, "pose", [3, 20])
    assert error(vectors(PackedBackend(padded), "pose", items), padded_vectors(padded, "pose", items)) <= 1e-5


def test_hand_geometry_stays_padded_and_is_read_in_float32() -> None:
    """Its coordinates lie close together: read as halves they would give other bones, not a rounded vector."""
    config = load_catalog()["fingerspelling"]
    path = WeightsFolder(Path(__file__).parents[3] / "weights").locate_converted(config)
    exact = TorchBackend(path, config, device="cpu", dtype="float32")
    halves = TorchBackend(path, config, device="cpu", dtype="float16")
    assert pack(halves) is halves
    with np.load(Path(__file__).parents[2] / "golden" / "signclip.npz") as golden:
        clips = [golden["features/house"]]
    assert error(padded_vectors(halves, "pose", clips), padded_vectors(exact, "pose", clips)) <= 5e-3


def test_arrays_are_gathered_by_several_threads() -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal((rows, 300), dtype=np.float32) for rows in (1, 4000, 0, 70, 2500)]
    np.testing.assert_array_equal(gather(arrays, pinned=False).numpy(), np.concatenate(arrays))
    ids = [np.arange(5, dtype=np.int32), np.arange(3, dtype=np.int32)]
    np.testing.assert_array_equal(gather(ids, pinned=False).numpy(), np.concatenate(ids))
