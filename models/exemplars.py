"""Known clips that vote: a clip also lies near the texts of clips whose hands have nearly the same mean geometry.

A tower learns what tells its clips apart, and is less sure of a new signer. Kernel ridge regression on the mean hand
geometry names letters of new signers better, but gives no vector. Its votes are vectors here, which are added to the
tower's.
"""

import torch
from torch import Tensor, nn

# Mean squared difference of two geometries at which a vote counts 1/e of a vote of the same geometry. It is half the
# median between clips of the lexicon; between a quarter and the whole of it, new signers' R@1 changes by one point.
SPREAD = 0.08


class Exemplars(nn.Module):
    """Points in the space of mean hand geometry, each with a vote. Far from all points the votes are nothing.

    Votes are sums of large numbers that nearly cancel. So they are added in float64, and stay in float32 whatever the
    model's format is.

    Args:
        count: number of points.
        features: numbers of a geometry.
        width: numbers of a vote, which are those of an embedding.
    Attributes:
        points: float32 (count, features).
        votes: float32 (count, width), in lengths of the tower's unit vectors.
    """

    points: Tensor
    votes: Tensor

    def __init__(self, count: int, features: int, width: int) -> None:
        super().__init__()
        self.register_buffer("points", torch.zeros(count, features))
        self.register_buffer("votes", torch.zeros(count, width))

    def forward(self, geometry: Tensor) -> Tensor:
        """Add up the votes for clips: float32 (batch, crops, steps, features) to float32 (batch, width)."""
        means = average_geometry(geometry)
        votes: Tensor = measure_closeness(means.double(), self.points.double()) @ self.votes.double()
        return votes.to(geometry.dtype)


def average_geometry(geometry: Tensor) -> Tensor:
    """Average hand geometry: float32 (batch, crops, steps, features) to (batch, features)."""
    return geometry.mean(dim=(1, 2))


def measure_closeness(means: Tensor, points: Tensor) -> Tensor:
    """Measure how close mean geometries are: 1 for the same, towards 0 for unlike ones.

    Args:
        means: float (clips, features).
        points: float (count, features).
    Returns:
        float (clips, count), exp(-mean squared difference / SPREAD).
    """
    squares = means.square().mean(dim=1)[:, None] + points.square().mean(dim=1)
    apart = (squares - 2 / means.shape[1] * means @ points.T).clamp(min=0)
    return torch.exp(-apart / SPREAD)
