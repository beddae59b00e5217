"""The contrastive loss against plain loops."""

import math

import pytest
import torch

from training.loss import compute_info_nce


def test_identity_targets_are_plain_info_nce():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    rows = [-math.log(math.exp(scores[i, i]) / sum(math.exp(s) for s in scores[i])) for i in range(6)]
    columns = [-math.log(math.exp(scores[i, i]) / sum(math.exp(s) for s in scores[:, i])) for i in range(6)]
    expected = (sum(rows) + sum(columns)) / 12
    assert float(compute_info_nce(scores, torch.eye(6))) == pytest.approx(expected, rel=1e-5)


def test_soft_targets_are_shared_out_both_ways():
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[1.0, 0.1, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    texts = -(targets / targets.sum(1, keepdim=True) * scores.log_softmax(1)).sum(1).mean()
    clips = -(targets / targets.sum(0, keepdim=True) * scores.log_softmax(0)).sum(0).mean()
    assert float(compute_info_nce(scores, targets)) == pytest.approx(float(texts + clips) / 2, rel=1e-5)
