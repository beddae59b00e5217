"""On a GPU: no padding, captured forwards, overlapping batches, every number format, and the CPU's vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from benchmarks.forward_cases import load
from benchmarks.goldens import read_goldens
from benchmarks.inputs import full_size_weights
from models.backends import packed
from models.backends.attention import attend_by_length, attend_padded
from models.backends.choice import make_backend
from models.backends.cuda_graphs import CapturedForwards
from models.backends.packed import PackedBackend, pack
from models.backends.pytorch import TorchBackend
from models.backends.shapes import list_captured_sizes
from models.batching import pad
from models.catalog import load_catalog
from tests.models.backends.variants import VARIANTS, draw_items, error, write_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
# Largest difference from float32 on a CPU, as a share of the largest value; on a CPU these models' float16 differs by
# 3e-3, their bfloat16 by 2e-2.
TOLERANCE = {"float32": 1e-4, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 6e-2}
HALVES = ("float16", "bfloat16")
# Largest difference that batch mates may make.
INDEPENDENCE = {"float32": 2e-5, "float16": 5e-3}


def vectors(backend: PackedBackend, tower: str, items: list[np.ndarray]) -> np.ndarray:
    return backend.begin(tower, items, np.array([len(item) for item in items])).wait()


def padded_vectors(backend: TorchBackend, tower: str, items: list[np.ndarray]) -> np.ndarray:
    if tower == "text":
        return backend.encode_text(*pad(items, dtype=np.int64))
    return backend.encode_pose(*pad(items, dtype=np.float32))


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[TorchBackend, PackedBackend]]]:
    """Builds the float32 backend of a variant on the CPU and the one that serves it on the GPU, once."""
    made: dict[tuple[str, str], tuple[TorchBackend, PackedBackend]] = {}

    def build(variant: str = "plain", dtype: str = "float16") -> tuple[TorchBackend, PackedBackend]:
        if (variant, dtype) not in made:
            path, config = write_model(tmp_path_factory.mktemp("variant"), variant)
            on_gpu = make_backend(path, config, backend="auto", device="cuda", dtype=dtype, threads=None)
            assert isinstance(on_gpu, PackedBackend), "it fell back to padded batches; the log says why"
            made[variant, dtype] = TorchBackend(path, config, device="cpu", dtype="float32"), on_gpu
        return made[variant, dtype]

    yield build
    made.clear()
    torch.cuda.empty_cache()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_the_cpus_vectors(backends, variant: str, dtype: str) -> None:
    on_cpu, on_gpu = backends(variant, dtype)
    longest = {"text": on_cpu.config.max_tokens - 1, "pose": on_cpu.config.max_frames}
    for tower, most in longest.items():
        for lengths in ([2], [5, 5, 5], [2, 9, 17, 11], [most, 3, most - 1], [11] * 900):
            items = draw_items(on_cpu.config, tower, lengths)
            assert error(vectors(on_gpu, tower, items), padded_vectors(on_cpu, tower, items)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_attend_by_length_and_small_batches_are_captured(backends, dtype: str) -> None:
    _, on_gpu = backends("plain", dtype)
    assert on_gpu._towers.can_be_captured
    assert on_gpu._graphs is not None
    assert len(on_gpu._graphs) == len(list_captured_sizes("text")) + len(list_captured_sizes("pose"))


def test_captured_forwards_give_what_single_launches_give(backends, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of many sizes, one after another: nothing is left from the one before."""
    _, on_gpu = backends()
    generator = np.random.default_rng(0)
    graphs = on_gpu._graphs
    for round_ in range(30):
        tower = ("text", "pose")[round_ % 2]
        lengths = generator.integers(2, 24, generator.integers(1, 60)).tolist()
        items = draw_items(on_gpu._padded.config, tower, lengths, seed=round_)
        monkeypatch.setattr(on_gpu, "_graphs", graphs)
        captured = vectors(on_gpu, tower, items)
        monkeypatch.setattr(on_gpu, "_graphs", None)
        assert error(captured, vectors(on_gpu, tower, items)) <= 5e-3


@pytest.mark.parametrize("dtype", INDEPENDENCE)
@pytest.mark.parametrize("variant", ["plain", "three convolutions"])
def test_batch_mates_do_not_matter(backends, variant: str, dtype: str) -> None:
    _, on_gpu = backends(variant, dtype)
    generator = np.random.default_rng(0)
    for round_ in range(20):
        tower = ("text", "pose")[round_ % 2]
        lengths = generator.integers(2, 24, generator.integers(1, 80)).tolist()
        items = draw_items(on_gpu._padded.config, tower, lengths, seed=round_)
        order = generator.permutation(len(items))
        together = vectors(on_gpu, tower, [items[index] for index in order])
        chosen = order[:4]
        alone = np.concatenate([vectors(on_gpu, tower, [items[index]]) for index in chosen])
        assert error(together[:4], alone) <= INDEPENDENCE[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_same_batch_gives_the_same_bits(backends, dtype: str) -> None:
    _, on_gpu = backends("plain", dtype)
    for tower in ("text", "pose"):
        for count in (1, 40, 900):
            items = draw_items(on_gpu._padded.config, tower, [3 + number % 20 for number in range(count)])
            first = vectors(on_gpu, tower, items)
            for _ in range(3):
                np.testing.assert_array_equal(vectors(on_gpu, tower, items), first)


def test_many_batches_may_run_at_once(backends) -> None:
    """Each waits for its own: staging memory and captured vectors are used again only once nobody needs them."""
    _, on_gpu = backends()
    generator = np.random.default_rng(0)
    batches = []
    for number in range(60):
        lengths = generator.integers(2, 24, (1, 30, 700)[number % 3]).tolist()
        tower = ("pose", "text")[number % 2]
        batches.append((tower, draw_items(on_gpu._padded.config, tower, lengths, seed=number)))
    wanted = [vectors(on_gpu, tower, items) for tower, items in batches]
    running = [on_gpu.begin(tower, items, np.array([len(item) for item in items])) for tower, items in batches]
    for number in reversed(range(len(batches))):
        np.testing.assert_array_equal(running[number].wait(), wanted[number])


def test_overflow_runs_again_in_float32_and_leaves_the_others_alone(backends) -> None:
    on_cpu, on_gpu = backends()
    for count in (3, 900):
        items = draw_items(on_cpu.config, "pose", [3 + number % 20 for number in range(count)])
        clean = vectors(on_gpu, "pose", items)
        items[1] *= 1e5
        wanted = padded_vectors(on_cpu, "pose", [items[1]])
        got = vectors(on_gpu, "pose", items)
        assert error(got[[1]], wanted) <= 1e-4
        np.testing.assert_array_equal(np.delete(got, 1, axis=0), np.delete(clean, 1, axis=0))
        np.testing.assert_array_equal(np.delete(vectors(on_gpu, "pose", items), 1, axis=0), np.delete(clean, 1, axis=0))


def test_another_model_loads_while_one_computes(backends, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Capturing in one thread must not disturb another thread's batches, nor they the capture."""
    on_cpu, on_gpu = backends()
    items = draw_items(on_cpu.config, "pose", [3 + number % 20 for number in range(40)])
    wanted = vectors(on_gpu, "pose", items)
    path, config = write_model(tmp_path_factory.mktemp("other"), "projection")
    loaded: list[object] = []

    def load() -> None:
        loaded.append(make_backend(path, config, backend="auto", device="cuda", dtype="float16", threads=None))

    loader = threading.Thread(target=load)
    loader.start()
    while loader.is_alive():
        np.testing.assert_array_equal(vectors(on_gpu, "pose", items), wanted)
    loader.join()
    assert isinstance(loaded[0], PackedBackend)
    assert loaded[0]._graphs is not None
    np.testing.assert_array_equal(vectors(on_gpu, "pose", items), wanted)


@pytest.mark.parametrize("broken", [(attend_by_length,), (attend_by_length, attend_padded)])
def test_what_is_missing_falls_back(tmp_path, broken, monkeypatch: pytest.MonkeyPatch) -> None:
    path, config = write_model(tmp_path, "plain")
    padded = TorchBackend(path, config, device="cuda", dtype="float16")
    for prepare in broken:

        def fail(segments: object) -> object:
            raise RuntimeError("no kernel for this device")

        monkeypatch.setattr(f"models.backends.attention.{prepare.__name__}", fail)
    backend = pack(padded)
    assert isinstance(backend, PackedBackend if len(broken) == 1 else TorchBackend)
    items = draw_items(config, "pose", [3, 20])
    on_cpu = TorchBackend(path, config, device="cpu", dtype="float32")
    got = backend.encode_pose(*pad(items, dtype=np.float32))
    assert error(got, padded_vectors(on_cpu, "pose", items)) <= TOLERANCE["float16"]


def test_without_captures_batches_run_launch_by_launch(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, config = write_model(tmp_path, "plain")

    class Failing(CapturedForwards):
        def __init__(self, towers: object) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(packed, "CapturedForwards", Failing)
    backend = pack(TorchBackend(path, config, device="cuda", dtype="float16"))
    assert isinstance(backend, PackedBackend)
    assert backend._graphs is None
    items = draw_items(config, "text", [3, 20])
    on_cpu = TorchBackend(path, config, device="cpu", dtype="float32")
    assert error(vectors(backend, "text", items), padded_vectors(on_cpu, "text", items)) <= TOLERANCE["float16"]


def test_float32_stays_exact_beside_tf32(backends) -> None:
    """TF32 is a switch of the whole process: each forward holds it as it needs."""
    _, rounding = backends("three convolutions", "tf32")
    on_cpu, exact = backends("three convolutions", "float32")
    items = draw_items(on_cpu.config, "pose", [3, 20, 9])
    wanted = padded_vectors(on_cpu, "pose", items)
    before = vectors(exact, "pose", items)
    vectors(rounding, "pose", items)
    np.testing.assert_array_equal(vectors(exact, "pose", items), before)
    assert error(before, wanted) <= TOLERANCE["float32"]


def test_overlapped_float32_gives_the_authors_numbers_beside_tf32() -> None:
    """In one thread and beside another: no product of float32 is launched while TF32 is allowed."""
    config, weights = load_catalog()["default"], full_size_weights()
    exact, rounding = (
        load(config, weights, backend="torch", device="cuda", dtype=dtype) for dtype in ("float32", "tf32")
    )
    wanted, items = read_goldens()
    golden = wanted["default"]["clips"]
    clips = [clip[: config.max_frames] for clip in items["clips"]]
    for _ in range(10):
        running = [model.begin("pose", clips) for model in (exact, rounding, exact)]
        first, rounded, last = (batch.wait() for batch in running)
        assert error(first, golden) <= TOLERANCE["float32"]
        assert error(last, golden) <= TOLERANCE["float32"]
        assert TOLERANCE["float32"] < error(rounded, golden) <= TOLERANCE["tf32"], "it is not TF32"

    ended = threading.Event()

    def run_beside() -> int:
        batches = 0
        while not ended.is_set():
            assert error(rounding.encode("pose", clips), golden) > TOLERANCE["float32"], "it is not TF32"
            batches += 1
        return batches

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(run_beside)
        try:
            before = exact.begin("pose", clips)
            for _ in range(100):
                running_next = exact.begin("pose", clips)
                assert error(before.wait(), golden) <= TOLERANCE["float32"]
                before = running_next
            assert error(before.wait(), golden) <= TOLERANCE["float32"]
        finally:
            ended.set()
        assert beside.result() > 1
