"""A slice of `python -m benchmarks.fuzz`: hostile inputs for everything that takes bytes from outside."""

from __future__ import annotations

import pytest

from benchmarks.fuzz import TARGETS, choose_counts, fuzz

# The command sends a hundred times as many.
INPUTS = 2000
# So few of a kind that is slow may all be broken in the same way.
LEAST = 40
# Behind a service that runs; one of them does for a slice.
SLICE = [name for name in TARGETS if not name.endswith("-socket")]


@pytest.mark.parametrize("name", SLICE)
def test_hostile_inputs_get_answers_with_names(name, tmp_path):
    count = max(LEAST, choose_counts(SLICE, INPUTS)[name])
    found = fuzz(TARGETS[name], count=count, seed="slice", keep=tmp_path, dies=False)
    assert not found.faults
    assert found.inputs == count
    assert len(found.outcomes) > 1, "the inputs are all alike"
