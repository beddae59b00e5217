"""`python -m checks.picture`: draws the rooms and the imports between them, docs/house.svg; `--check` compares it."""

import argparse
import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from checks.layout import Layout, arrange
from checks.sources import LOOSE_FILES, ROOT, Module, read_modules

PICTURE = Path("docs") / "house.svg"
BOX_WIDTH, BOX_HEIGHT, LAYER_HEIGHT, MARGIN = 132.0, 40.0, 132.0, 24.0
# Eight colours that people with the common kinds of colour blindness tell apart, darkened for text on white: Okabe and
# Ito's palette.
COLOURS = ("#0072b2", "#b35900", "#007a5a", "#a8447a", "#6a5d00", "#3c3c3c", "#2a7fb8", "#8a2b0c")


def count_imports(modules: Sequence[Module]) -> dict[tuple[str, str], int]:
    """How many files of one room import another room, by the two rooms' names; tests and loose files do not count."""
    rooms = {module.room for module in modules} - {"tests", LOOSE_FILES}
    counts: Counter[tuple[str, str]] = Counter()
    for module in modules:
        if module.room in rooms:
            counts.update((module.room, room) for room in _imported_rooms(module) & rooms - {module.room})
    return dict(sorted(counts.items()))


def read_layers(root: Path = ROOT) -> list[list[str]]:
    """Read the rooms of each layer, from the top, from the import contract in pyproject.toml.

    Raises:
        LookupError: pyproject.toml has no contract of layers.
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            return [layer.replace(":", "|").replace(" ", "").split("|") for layer in contract["layers"]]
    raise LookupError("pyproject.toml has no contract of type 'layers' under [tool.importlinter]")


def draw(layers: Sequence[Sequence[str]], imports: Mapping[tuple[str, str], int]) -> str:
    """Draw rooms as boxes, a row for each layer, and imports as arrows with the number of files that import.

    The rooms of the top layer import whatever they measure, so their counts stand in their boxes, without arrows.
    """
    tools, *below = layers
    drawn = [edge for edge in imports if edge[0] not in tools]
    layout = arrange(below, drawn, box_width=BOX_WIDTH, layer_height=LAYER_HEIGHT)
    top = MARGIN + len(tools) * (BOX_HEIGHT + 10) + LAYER_HEIGHT / 2
    width = layout.width + 2 * MARGIN
    height = top + (len(below) - 1) * LAYER_HEIGHT + BOX_HEIGHT / 2 + MARGIN
    sources = dict.fromkeys(source for source, _ in drawn)
    colours = {room: COLOURS[place % len(COLOURS)] for place, room in enumerate(sources)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        ' font-family="sans-serif" font-size="14">',
        "<title>The rooms and the imports between them</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *_markers(colours),
        *(_tool(room, place, imports, width) for place, room in enumerate(tools)),
        f'<g transform="translate({MARGIN:.0f} {top:.0f})">',
        *(line for edge in drawn for line in _arrow(edge, imports[edge], layout, colours[edge[0]])),
        *(_box(room, *layout.centers[room], colours.get(room, "#555555")) for row in below for room in row),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the picture, or compare it; the exit status: 0 done, 1 it differs, 2 usage error."""
    parser = argparse.ArgumentParser(prog="python -m checks.picture", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to draw; default: this one")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the picture is not that of the code"
    )
    options = parser.parse_args(arguments)
    modules = read_modules(options.root)
    picture = draw(read_layers(options.root), count_imports(modules))
    path = options.root / PICTURE
    if not options.check:
        path.write_text(picture, encoding="utf-8")
        print(f"written to {path}")
        return 0
    if not path.is_file() or path.read_text(encoding="utf-8") != picture:
        print(f"{PICTURE} is not what the imports are; run: python -m checks.picture", file=sys.stderr)
        return 1
    print(f"{PICTURE} is what the imports are")
    return 0


def _imported_rooms(module: Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.partition(".")[0] for name in names}


def _markers(colours: Mapping[str, str]) -> Iterator[str]:
    yield "<defs>"
    for room, colour in colours.items():
        yield (
            f'<marker id="from-{room}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            f' orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
        )
    yield "</defs>"


def _tool(room: str, place: int, imports: Mapping[tuple[str, str], int], width: float) -> str:
    counts = [f"{target} {count}" for (source, target), count in imports.items() if source == room]
    text = f"{room}: " + (", ".join(counts) if counts else "imports no room")
    y = MARGIN + place * (BOX_HEIGHT + 10)
    return (
        f'<rect x="{MARGIN:.0f}" y="{y:.0f}" width="{width - 2 * MARGIN:.0f}" height="{BOX_HEIGHT:.0f}" rx="6"'
        f' fill="#f2f2f2" stroke="#777777"/><text x="{width / 2:.0f}" y="{y + BOX_HEIGHT / 2 + 5:.0f}"'
        f' text-anchor="middle">{escape(text)}</text>'
    )


def _box(room: str, x: float, y: float, colour: str) -> str:
    return (
        f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{BOX_WIDTH:.0f}"'
        f' height="{BOX_HEIGHT:.0f}" rx="6" fill="#ffffff" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" font-weight="bold">{escape(room)}</text>'
    )


def _arrow(edge: tuple[str, str], count: int, layout: Layout, colour: str) -> Iterator[str]:
    """A curve from box to box; one that leads upwards or sideways, against the layers, is straight and red."""
    source, target = edge
    if edge not in layout.paths:
        (x0, y0), (x1, y1) = layout.centers[source], layout.centers[target]
        line = f"M{x0:.0f} {y0:.0f} L{x1:.0f} {y1:.0f}"
        yield f'<path d="{line}" stroke="#cc0000" stroke-dasharray="6 4" stroke-width="2"/>'
        return
    points = [*layout.paths[edge]]
    points[0] = (points[0][0] + _port(edge, layout, end=0), points[0][1] + BOX_HEIGHT / 2)
    points[-1] = (points[-1][0] + _port(edge, layout, end=1), points[-1][1] - BOX_HEIGHT / 2 - 2)
    curve = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        curve += f" C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
    yield f'<path d="{curve}" fill="none" stroke="{colour}" stroke-width="1.5" marker-end="url(#from-{source})"/>'
    x, y = points[-1]
    yield (
        f'<text x="{x:.0f}" y="{y - 14:.0f}" text-anchor="middle" font-size="12" fill="{colour}" stroke="#ffffff"'
        f' stroke-width="4" paint-order="stroke">{count}</text>'
    )


def _port(edge: tuple[str, str], layout: Layout, *, end: int) -> float:
    """How far from the middle of a box an arrow begins (end 0) or ends (end 1), so that no two share a place."""
    next_point = 1 if end == 0 else -2
    sharing = [(path[next_point][0], other) for other, path in layout.paths.items() if other[end] == edge[end]]
    order = [other for _, other in sorted(sharing)]
    return BOX_WIDTH * 0.9 * ((order.index(edge) + 0.5) / len(order) - 0.5)


if __name__ == "__main__":
    sys.exit(main())
