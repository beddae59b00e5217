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


def build_task(sign: str, seed: int, *, signers: int = 8, spread: float = 0.16) -> Task:
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
    for shots in (1, 3, 5):
        assert measure("blend", shots) > max(measure("prototype", shots), measure("text", shots)) - 0.02


def test_known_letters_are_accepted_more_often_than_unknown_ones_and_both_more_at_a_higher_rate(tasks):
    shares = []
    for rate in RATES:
        found = [
            measure_rejections(task, shots=5, method="prototype", rate=rate, seed=6 * number + seed)
            for number, task in enumerate(tasks)
            for seed in range(6)
        ]
        unknown, known = (np.concatenate([getattr(one, name) for one in found]) for name in ("unknown", "known"))
        assert (len(unknown), len(known)) == (8 * 6 * 5, 8 * 6 * 21)
        assert {len(one.noise) for one in found} == {NOISE_CLIPS}
        assert known.mean() > 2 * unknown.mean()
        shares.append((unknown.mean(), known.mean()))
    assert shares == sorted(shares)


def test_tables_have_a_row_for_each_method_and_number(tasks):
    few = tasks[:2]
    accuracy, rejections = score_methods(few, seeds=range(2)), score_rejections(few, seeds=range(1))
    assert accuracy["text, 1"]["accuracy"] == accuracy["text, 5"]["accuracy"]
    assert set(rejections) == {
        f"{m}, {r} %" for m in ("prototype", "neighbours", "probe", "blend") for r in (5, 10, 20)
    }
    table = format_tables(accuracy, rejections)
    assert len(table.splitlines()) == 1 + 15 + 2 + 12
