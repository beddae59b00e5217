"""Probes that learn by gradient descent in small batches: a linear layer, and one hidden layer, on the CPU or a GPU.

The regression of scikit-learn holds all scores at once, 0.9 GB an array for 40,000 clips of ASL Citizen's 2,731 signs.
Here memory is that of one batch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from corpora.arrays import FloatArray, Int64Array

# The linear probe minimizes what scikit-learn's regression minimizes. On the lexicon's letters their R@1 was equal
# within 0.004 (1, 5 and 10 shots, 3 draws: 0.412, 0.692, 0.724). 40,000 clips of 2,731 classes and 768 dimensions took
# the linear probe 22 s on four cores and 6 s on an H200, the hidden layer 60 s and 2 s.
# Clips of a step. Larger batches are hardly faster on a CPU, and need more epochs.
BATCH = 512
EPOCHS = 20
# The clips of a few shots fill few batches; the probe then learns for this many steps.
LEAST_STEPS = 300
# Rows that are classified together; 4,096 × 2,731 scores take 45 MB.
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class ProbeLayers:
    """The layers of a probe, and how it learns.

    Attributes:
        hidden: units of the hidden layer; 0: the probe is linear.
        dropout: of the hidden layer.
        learning_rate: the largest; it falls to 0 along a half cosine.
        penalty: of the squared weights of matrices, as the inverse of scikit-learn's C, for raw embeddings and the sum
            of all clips' losses.
    """

    hidden: int = 0
    dropout: float = 0.0
    learning_rate: float = 1e-2
    penalty: float = 1.0


LINEAR = ProbeLayers()
MLP = ProbeLayers(hidden=1024, dropout=0.5, learning_rate=1e-3)
LAYERS = {"linear": LINEAR, "mlp": MLP}


class TrainedProbe:
    """A classifier of embeddings, trained when it is made. The same data give the same probe on the same machine.

    Embeddings are shifted to mean 0 and divided by one number, so that they vary by 1 over the clips to learn from.

    Args:
        vectors: float (clips, embed_dim), to learn from.
        columns: int64 (clips,), the class of each clip, from 0.
        layers: of the probe.
        device: as PyTorch names it.
    """

    def __init__(self, vectors: FloatArray, columns: Int64Array, *, layers: ProbeLayers, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._mean = vectors.mean(axis=0, dtype=np.float64)
        # One scale for all dimensions: scaled one by one, dimensions that vary little would count as much as others.
        self._scale = 1 / max(float(np.sqrt(((vectors - self._mean) ** 2).mean())), 1e-12)
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(0)
            self._network = _build(vectors.shape[1], int(columns.max()) + 1, layers).to(self._device)
            self._learn(vectors, columns, layers)

    def rank(self, vectors: FloatArray, own: Int64Array) -> Int64Array:
        """Rank the right class of each clip.

        Args:
            vectors: float (clips, embed_dim).
            own: int64 (clips,), the right class of each.
        Returns:
            int64 (clips,), from 1. Of equal scores the lower class is first.
        """
        parts = []
        with torch.inference_mode():
            for start in range(0, len(own), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                scores = self._network(self._scale_rows(vectors[rows]))
                right = torch.from_numpy(own[rows]).to(self._device)[:, None]
                value = scores.gather(1, right)
                earlier = torch.arange(scores.shape[1], device=self._device) < right
                ahead = (scores > value) | ((scores == value) & earlier)
                parts.append(ahead.sum(dim=1).add(1).cpu().numpy())
        ranks: Int64Array = np.concatenate(parts)
        return ranks

    def _learn(self, vectors: FloatArray, columns: Int64Array, layers: ProbeLayers) -> None:
        inputs, targets = self._scale_rows(vectors), torch.from_numpy(columns).to(self._device)
        matrices = [parameter for parameter in self._network.parameters() if parameter.ndim > 1]
        penalty = layers.penalty * self._scale**2 / (2 * len(columns))
        optimizer = torch.optim.Adam(self._network.parameters(), lr=layers.learning_rate, fused=True)
        steps = max(LEAST_STEPS, EPOCHS * -(-len(columns) // BATCH))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        rng = torch.Generator().manual_seed(0)
        order = torch.empty(0, dtype=torch.int64)
        self._network.train()
        for _ in range(steps):
            while len(order) < min(BATCH, len(columns)):
                order = torch.cat((order, torch.randperm(len(columns), generator=rng)))
            rows, order = order[:BATCH].to(self._device), order[BATCH:]
            optimizer.zero_grad(set_to_none=True)
            loss: Tensor = functional.cross_entropy(self._network(inputs[rows]), targets[rows])
            squares = torch.stack([matrix.square().sum() for matrix in matrices]).sum()
            torch.autograd.backward(loss + penalty * squares)
            optimizer.step()
            schedule.step()
        self._network.eval()

    def _scale_rows(self, vectors: FloatArray) -> Tensor:
        scaled = ((vectors - self._mean) * self._scale).astype(np.float32)
        return torch.from_numpy(scaled).to(self._device)


def _build(width: int, classes: int, layers: ProbeLayers) -> nn.Module:
    last = nn.Linear(layers.hidden or width, classes)
    # From 0, because what random weights say of the classes is noise that few clips do not unlearn.
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    if not layers.hidden:
        return last
    return nn.Sequential(nn.Linear(width, layers.hidden), nn.GELU(), nn.Dropout(layers.dropout), last)
