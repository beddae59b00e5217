"""Where boxes and arrows of a layered graph go: arrows lead down, long ones pass between boxes, few of them cross."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# An arrow crosses a layer that it does not end in at a point of its own, which is as wide as this beside a box.
_BEND_WIDTH = 44.0
_GAP = 26.0
# Sweeps down and up; the order of small graphs settles after three or four.
_SWEEPS = 12

Node = str
Edge = tuple[Node, Node]


@dataclass(frozen=True)
class Layout:
    """Places on a plane whose y axis points down.

    Attributes:
        centers: the middle of each box, (x, y).
        paths: the points that an arrow passes, from the middle of one box to the middle of the other.
        width: of everything.
    """

    centers: Mapping[Node, tuple[float, float]]
    paths: Mapping[Edge, Sequence[tuple[float, float]]]
    width: float


def arrange(
    layers: Sequence[Sequence[Node]], edges: Sequence[Edge], *, box_width: float, layer_height: float
) -> Layout:
    """Lay out a graph whose edges all lead from a layer to a lower one.

    Args:
        layers: the nodes of each, from the top.
        edges: pairs of nodes; an edge within a layer, or upwards, is not laid out.
    """
    depth = {node: row for row, nodes in enumerate(layers) for node in nodes}
    edges = [edge for edge in edges if depth[edge[0]] < depth[edge[1]]]
    rows: list[list[Node]] = [list(nodes) for nodes in layers]
    chains: dict[Edge, list[Node]] = {}
    for source, target in edges:
        bends = [f"{source}>{target}@{row}" for row in range(depth[source] + 1, depth[target])]
        for row, bend in enumerate(bends, start=depth[source] + 1):
            rows[row].append(bend)
        chains[source, target] = [source, *bends, target]
    neighbours: dict[Node, list[Node]] = defaultdict(list)
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            neighbours[upper].append(lower)
            neighbours[lower].append(upper)
    widths = {name: box_width if name in depth else _BEND_WIDTH for row in rows for name in row}
    x = _settle(rows, neighbours, widths)
    y = {name: place * layer_height for place, row in enumerate(rows) for name in row}
    left = min(x[name] - widths[name] / 2 for name in x)
    centers = {name: (x[name] - left, y[name]) for name in x}
    return Layout(
        centers={name: centers[name] for name in depth},
        paths={edge: [centers[name] for name in chain] for edge, chain in chains.items()},
        width=max(x[name] + widths[name] / 2 for name in x) - left,
    )


def _settle(
    rows: list[list[Node]], neighbours: Mapping[Node, list[Node]], widths: Mapping[Node, float]
) -> dict[Node, float]:
    """Order each row by where its neighbours are, in sweeps down and up, and keep the order that crosses least."""
    x: dict[Node, float] = {}
    for row in rows:
        x |= _spread(row, {name: float(place) for place, name in enumerate(row)}, widths)
    best, fewest = dict(x), _crossings(rows, neighbours, x)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {name: _mean([x[other] for other in neighbours[name]] or [x[name]]) for name in row}
            x |= _spread(sorted(row, key=lambda name: (wanted[name], x[name])), wanted, widths)
        crossings = _crossings(rows, neighbours, x)
        if crossings <= fewest:
            best, fewest = dict(x), crossings
    return best


def _spread(row: Sequence[Node], wanted: Mapping[Node, float], widths: Mapping[Node, float]) -> dict[Node, float]:
    """Put a row as near to the wanted places as its widths allow, in this order.

    Pushed from the left and from the right, and the mean of both taken: either keeps the distances, so the mean does.
    """
    rightwards: dict[Node, float] = {}
    leftwards: dict[Node, float] = {}
    for places, order, sign in ((rightwards, list(row), 1), (leftwards, list(row)[::-1], -1)):
        last: Node | None = None
        for name in order:
            places[name] = wanted[name]
            if last is not None:
                nearest = places[last] + sign * ((widths[last] + widths[name]) / 2 + _GAP)
                places[name] = max(nearest, wanted[name]) if sign > 0 else min(nearest, wanted[name])
            last = name
    return {name: (rightwards[name] + leftwards[name]) / 2 for name in row}


def _crossings(rows: Sequence[Sequence[Node]], neighbours: Mapping[Node, list[Node]], x: Mapping[Node, float]) -> int:
    """How many pairs of lines between neighbouring rows cross."""
    count = 0
    for upper, lower in pairwise(rows):
        below = set(lower)
        lines = [(x[name], x[other]) for name in upper for other in neighbours[name] if other in below]
        count += sum(
            (first[0] - second[0]) * (first[1] - second[1]) < 0
            for place, first in enumerate(lines)
            for second in lines[:place]
        )
    return count


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
