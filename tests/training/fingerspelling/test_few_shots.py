"""Few-shot scores on made-up signers: more examples help, unknown letters are accepted at the stated rate."""

from __future__ import annotations

import numpy as np
import pytest

from search.banks import build_bank
from training.fingerspelling.few_shots import (
    NOISE_CLIPS,
    RATES,
    Task,
    format_tables,
    measure_hits,
    measure_rejections,
    score_methods,
    score_rejections,
)
from training.fingerspelling.lexicon import LETTERS


def build_task(sign: str, seed: int, *, signers: int = 8, spread: float = 0.09) -> Task:
    """Letters around centers that all signers share; texts are farther from them than examples are."""
    centers = np.random.default_rng(0).normal(size=(26, 64))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)

    def draw(count: int, wide: float) -> np.ndarray:
        return (np.repeat(centers[None], count, axis=0) + rng.normal(0, wide, (count, 26, 64))).astype(np.float32)

    others = draw(signers, spread).reshape(-1, 64)
    return Task(
        sign,
        draw(1, spread)[0],
        list(LETTERS),
        build_bank(others, list(LETTERS) * signers),
        draw(1, 2 * spread)[0],
        rng.normal(0, 0.1, (NOISE_CLIPS, 64)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return [build_task(f"l{seed}", seed) for seed in range(1, 9)]


def test_more_examples_are_more_right(tasks):
    def measure(method: str, shots: int) -> float:
        return float(np.mean([measure_hits(task, shots=shots, method=method, seed=0) for task in tasks]))

    assert measure("prototype", 5) > measure("prototype", 1) > 0.5
    assert measure("neighbours", 1) == measure("prototype", 1)
    assert measure("prototype", 5) > measure("text", 5)


def test_unknown_letters_are_accepted_at_the_stated_rate_and_noise_is_not(tasks):
    for rate in RATES:
        found = [
            measure_rejections(task, shots=5, method="prototype", rate=rate, seed=seed)
            for task in tasks
            for seed in range(6)
        ]
        unknown = np.concatenate([one.unknown for one in found])
        assert len(unknown) == 8 * 6 * 5
        # 240 clips: the standard error of a share of 0.2 is 0.026.
        assert abs(unknown.mean() - rate) < 0.08
        assert np.concatenate([one.noise for one in found]).mean() < rate + 0.05
        assert np.concatenate([one.known for one in found]).mean() > 0.8


def test_tables_have_a_row_for_each_method_and_number(tasks):
    few = tasks[:2]
    accuracy, rejections = score_methods(few, seeds=range(2)), score_rejections(few, seeds=range(1))
    assert accuracy["text, 1"]["accuracy"] == accuracy["text, 5"]["accuracy"]
    assert set(rejections) == {f"{m}, {r} %" for m in ("prototype", "neighbours", "probe") for r in (5, 10, 20)}
    table = format_tables(accuracy, rejections)
    assert len(table.splitlines()) == 1 + 12 + 2 + 9
