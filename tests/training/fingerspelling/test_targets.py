"""Soft targets of letters, by hand."""

import pytest
import torch

from training.fingerspelling.targets import make_soft_targets


def test_targets_by_hand():
    targets = make_soft_targets(
        torch.tensor([3, 5, 3, 8]), torch.tensor([0, 0, 0, 1]), torch.tensor([True, False, True, True]), same_letter=0.1
    )
    assert targets.tolist() == [
        [1, pytest.approx(0.1), 1, 0],  # clip 3 again is its own match; clip 5 shows the letter in another language
        [1, 1, 1, 0],  # a text without tags is true of every clip of the letter
        [1, pytest.approx(0.1), 1, 0],
        [0, 0, 0, 1],
    ]
