"""The simulated device waits for what its workers cannot make in time, and for nothing else."""

import pytest

from benchmarks.loader import simulate_waits


@pytest.mark.parametrize(
    ("made_s", "share"),
    [
        ([0.8] * 400, 0.0),  # eight workers make a batch in every 0.1 s
        ([1.6] * 400, 0.5),  # one in every 0.2 s
        ([0.1, 1.5] * 200, 0.47),  # the slow ones always fall to the same workers
        ([0.1] * 7 + [5.6] + [0.1] * 392, 0.0),  # one late batch at the start, which does not count
    ],
)
def test_a_device_waits_for_what_workers_cannot_make_in_time(made_s: list[float], share: float) -> None:
    assert simulate_waits(made_s, workers=8, step_s=0.1) == pytest.approx(share, abs=0.01)


def test_a_slow_batch_costs_nothing_while_others_are_ahead() -> None:
    """Two batches of each worker are ready, so the device has sixteen steps until a slow one has to be there."""
    slow = [0.1] * 100 + [1.4] + [0.1] * 299
    assert simulate_waits(slow, workers=8, step_s=0.1) == 0.0
    slower = [0.1] * 100 + [3.4] + [0.1] * 299
    assert simulate_waits(slower, workers=8, step_s=0.1) > 0.0
