"""The budget follows the device: it grows, it shrinks, and small batches do not mislead it."""

from engine.budget import BatchBudget

GROUP = ("m", "text")


def budget(**changes: object) -> BatchBudget:
    return BatchBudget(**{"target_s": 0.25, "first": 512, **changes})  # type: ignore[arg-type]


def test_it_starts_with_what_it_was_given_and_follows_the_rate() -> None:
    learning = budget()
    assert learning.get_tokens(GROUP) == 512
    learning.observe(GROUP, tokens=512, seconds=0.128)  # 4,000 a second
    assert learning.get_tokens(GROUP) == 1000
    assert learning.get_tokens(("m", "pose")) == 512


def test_one_batch_moves_the_budget_by_a_part_of_what_it_says() -> None:
    learning = budget()
    learning.observe(GROUP, tokens=512, seconds=0.128)  # 4,000 a second
    learning.observe(GROUP, tokens=1000, seconds=0.125)  # 8,000 a second
    assert learning.get_tokens(GROUP) == 1200


def test_small_quick_batches_teach_nothing() -> None:
    learning = budget()
    learning.observe(GROUP, tokens=512, seconds=0.128)
    learning.observe(GROUP, tokens=140, seconds=0.1)
    assert learning.get_tokens(GROUP) == 1000


def test_a_models_first_item_from_a_cold_disk_teaches_nothing() -> None:
    learning = budget()
    learning.observe(GROUP, tokens=3, seconds=0.2)
    assert learning.get_tokens(GROUP) == 512


def test_single_clips_lift_a_budget_that_only_they_fit_into() -> None:
    learning = budget()
    learning.observe(GROUP, tokens=128, seconds=0.35)  # the first batch of its shape
    assert learning.get_tokens(GROUP) == 128
    for _ in range(20):
        learning.observe(GROUP, tokens=75, seconds=0.083)
    assert 210 < learning.get_tokens(GROUP) <= 225


def test_a_budget_that_grew_too_large_shrinks_again() -> None:
    learning = budget()
    learning.observe(GROUP, tokens=100_000, seconds=0.25)
    for _ in range(30):
        learning.observe(GROUP, tokens=1000, seconds=0.25)
    assert learning.get_tokens(GROUP) < 1300


def test_a_fixed_budget_stays() -> None:
    fixed = budget(fixed=77)
    fixed.observe(GROUP, tokens=100_000, seconds=0.25)
    assert fixed.get_tokens(GROUP) == 77
