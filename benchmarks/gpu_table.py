"""The figures of one run of benchmarks/gpu_check.sh as one table: `python -m benchmarks.gpu_table FOLDER`."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import goldens, traffic


def read(folder: Path, name: str) -> dict[str, Any]:
    """Figures of one part; empty when it wrote none."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def parts_lines(folder: Path) -> list[str]:
    """How each part ended."""
    rows = [line.split("\t") for line in (folder / "parts.tsv").read_text(encoding="utf-8").splitlines()]
    return [f"{name:12}{seconds:>5} s  {status}" for name, status, seconds in rows]


def forward_lines(results: dict[str, Any]) -> list[str]:
    """Items a second by batch; of the largest batch also its share of the best product's rate."""
    machine = results["machine"]
    lines = [f"{machine['gpu'] or machine['cpu']}, torch {machine['torch']}, {machine['cores']} cores"]
    for dtype, rates in results["product_operations_per_s"].items():
        listed = " / ".join(f"{rate / 1e12:.2f}" for rate in rates.values())
        lines.append(f"products, {dtype}: {listed} TFLOP/s at {', '.join(rates)} rows")
    lines.append(f"memory, read and written: {results['copied_bytes_per_s'] / 1e12:.2f} TB/s")
    batches = sorted({row["batch"] for row in results["forwards"]})
    lines += ["", f"{'forward, items/s in batches of':44}{''.join(f'{batch:>9}' for batch in batches)}  share"]
    table: dict[str, dict[int, dict[str, Any]]] = {}
    for row in results["forwards"]:
        name = f"{row['backend']} {row['dtype']}, {row['load']}{', overlapped' * row['overlapped']}"
        table.setdefault(name, {})[row["batch"]] = row
    for name, rows in table.items():
        cells = (f"{rows[batch]['items_per_s']:9.0f}" if batch in rows else " " * 9 for batch in batches)
        lines.append(f"{name:44}{''.join(cells)}{rows[max(rows)]['share_of_product_rate']:7.0%}")
    return lines


def training_lines(results: dict[str, Any]) -> list[str]:
    """Steps a second, where a step's time goes, memory with and without chunks, and how far the loss fell."""
    case, falling = results["case"], results["falling"]
    parts = ", ".join(f"{name} {1e3 * seconds:.1f}" for name, seconds in results["parts_s"].items())
    lines = [
        f"training, {case['batch']} pairs, {case['precision']}, {case['workers']} workers: {1 / results['loop_s']:.2f} "
        f"steps/s with the loader, {1 / results['bare_s']:.2f} without ({results['share']:.0%}); "
        f"{results['of_products']:.0%} of the fastest product",
        f"parts of a step, ms (read, augment and collate of one core): {parts}",
    ]
    for row in results["chunks"]:
        name = "without chunks" if row["chunk"] is None else f"chunks of {row['chunk']}"
        lines.append(f"{name}: {row['step_s']:.3f} s a step, {row['peak_bytes'] / 1e9:.2f} GB at most")
    lines.append(f"loss over {falling['steps']} steps: {falling['first']:.3f} at first, {falling['last']:.3f} at last")
    return lines


def main() -> None:
    """Print what there is."""
    folder = Path(sys.argv[1])
    sections = [parts_lines(folder)]
    if results := read(folder, "goldens"):
        sections.append(goldens.render(results).splitlines())
    if results := read(folder, "forward"):
        sections.append(forward_lines(results))
    if results := read(folder, "traffic"):
        sections.append(
            [
                f"over HTTP, {results['workers']} web workers, {results['dtype']}, ready after "
                f"{results['ready_s']:.1f} s",
                *traffic.render(results).splitlines(),
            ]
        )
    if results := read(folder, "training"):
        sections.append(training_lines(results))
    print("\n".join("\n".join(["", *section]) for section in sections))


if __name__ == "__main__":
    main()
