"""Independent random numbers for every step, process and purpose, from a run's one seed."""

import numpy as np

WEIGHTS, DROPOUT, BATCHES = range(3)
"""Purposes, so that no two draw the same numbers."""


def derive_seed(seed: int, *place: int) -> int:
    """Mix a run's seed with a purpose, a step and what else tells places apart; 0 to 2^63 - 1."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0] >> np.uint64(1))
