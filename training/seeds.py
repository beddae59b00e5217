"""Independent random numbers for every step, process and purpose, derived from the one seed of a run."""

import numpy as np

# Each purpose has its own numbers, so that no two purposes draw the same.
WEIGHTS, DROPOUT, BATCHES = range(3)


def derive_seed(seed: int, *place: int) -> int:
    """Derive a seed from a run's seed and a place, such as the purpose and the step: 0 to 2^63 - 1."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0] >> np.uint64(1))
