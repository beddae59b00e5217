"""The contrastive loss against plain loops."""

import math

import pytest
import torch

from training.loss import soft_targets, symmetric_info_nce


def test_targets_by_hand():
    targets = soft_targets(
        torch.tensor([3, 5, 3, 8]), torch.tensor([0, 0, 0, 1]), torch.tensor([True, False, True, True]), same_letter=0.1
    )
    assert targets.tolist() == [
        [1, pytest.approx(0.1), 1, 0],  # clip 3 again is its own match; clip 5 shows the letter in another language
        [1, 1, 1, 0],  # a text without tags is true of every clip of the letter
        [1, pytest.approx(0.1), 1, 0],
        [0, 0, 0, 1],
    ]


def test_identity_targets_are_plain_info_nce():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    rows = [-math.log(math.exp(scores[i, i]) / sum(math.exp(s) for s in scores[i])) for i in range(6)]
    columns = [-math.log(math.exp(scores[i, i]) / sum(math.exp(s) for s in scores[:, i])) for i in range(6)]
    expected = (sum(rows) + sum(columns)) / 12
    assert float(symmetric_info_nce(scores, torch.eye(6))) == pytest.approx(expected, rel=1e-5)


def test_soft_targets_are_shared_out_both_ways():
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[1.0, 0.1, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    texts = -(targets / targets.sum(1, keepdim=True) * scores.log_softmax(1)).sum(1).mean()
    clips = -(targets / targets.sum(0, keepdim=True) * scores.log_softmax(0)).sum(0).mean()
    assert float(symmetric_info_nce(scores, targets)) == pytest.approx(float(texts + clips) / 2, rel=1e-5)
