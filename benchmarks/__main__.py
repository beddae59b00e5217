"""Run the benchmarks one after the other: `python -m benchmarks [NAME …] [--list] [--quick] [--out DIR]`."""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# In this order: the bare forward first, what serves it after. The folder's other modules are parts of these.
NAMES = (
    *("forward", "goldens", "serialization", "frontdoor", "serving", "linger", "kills", "stops"),
    *("video", "feature_cache", "loader", "training", "ranking", "search", "spotting", "bulk", "bulk_kills"),
)


def title(name: str) -> str:
    """First line of a benchmark's docstring, without importing it."""
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


def main() -> int:
    """Run the benchmarks that the command line names; exit status 1: at least one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--list", action="store_true", help="say what there is and run nothing")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, help="folder for the JSON files (default: benchmarks/results)")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    names = options.names or NAMES
    if options.list:
        print("\n".join(f"{name:14} {title(name)}" for name in names))
        return 0
    arguments = ["--quick"] * options.quick + (["--out", str(options.out)] if options.out else [])
    failed = []
    for name in names:
        print(f"\n== {name}: {title(name)}\n", flush=True)
        # A process each: threads and memory of one must not show in the next.
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
