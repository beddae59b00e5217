"""Measure data sets, fill caches, and bring the authors' lists.

`python -m corpora list | stats DATASET ROOT | cache DATASET ROOT FOLDER | fetch NAME | compare NAME`
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from corpora.cache import FeatureCache
from corpora.charts import draw_charts, write_tables
from corpora.errors import CorpusError
from corpora.examples import SPLITS, Corpus
from corpora.loading import Clips, track_clips
from corpora.published_files import PUBLISHED_FILES, download, fetch_files, read_copy
from corpora.registry import CORPORA, DATA, read_corpus
from corpora.split_lists import HELD_OUT, compare_lists
from corpora.statistics import measure_corpus
from poses.features import FeatureOptions, Flip
from poses.trim import Trim
from processes.commands import name_command, print_error
from processes.version import PRODUCT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0 success, 1 the data set cannot be read or lists differ, 2 usage error, 130 interrupted.
    """
    options = _build_parser().parse_args(arguments)
    try:
        if options.command == "list":
            print("\n".join(CORPORA))
            return 0
        if options.command == "fetch":
            source = download if options.source is None else read_copy(options.source)
            print("\n".join(map(str, fetch_files(options.name, options.data, source=source))))
            return 0
        if options.command == "compare":
            return _compare(options.name, options.data)
        corpus = read_corpus(options.dataset, options.root or DATA / options.dataset, options.split)
        if options.command == "stats":
            _measure(corpus, options)
        else:
            _fill_cache(corpus, options)
    except (CorpusError, OSError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("corpora"), description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the names of the data sets")
    stats = commands.add_parser(
        "stats", help="measure counts, lengths, missing hands and faces, and duplicates; write CSV and PNG files"
    )
    cache = commands.add_parser(
        "cache", help="compute all features now, so that the first epoch is as fast as later ones"
    )
    for command in (stats, cache):
        command.add_argument("dataset", metavar="DATASET", help="a name that `list` prints")
        command.add_argument("--split", choices=SPLITS, default="all")
        command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="number of reading processes")
    fetch = commands.add_parser("fetch", help="bring lists and tables that the authors published beside their code")
    fetch.add_argument("name", choices=PUBLISHED_FILES, metavar="NAME", help=", ".join(PUBLISHED_FILES))
    compare = commands.add_parser(
        "compare", help="draw the authors' random parts anew, and compare them with their lists"
    )
    compare.add_argument("name", choices=HELD_OUT, metavar="NAME", help=", ".join(HELD_OUT))
    compare.add_argument("--data", type=Path, default=DATA, help="the folder of all data sets (default: %(default)s)")
    fetch.add_argument("--data", type=Path, default=DATA, help="the folder of all data sets (default: %(default)s)")
    fetch.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FOLDER",
        help="a copy of the authors' examples/MMPT, for a machine without network",
    )
    stats.add_argument(
        "root", metavar="ROOT", nargs="?", type=Path, help="the data set's folder (default: data/DATASET)"
    )
    cache.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder")
    stats.add_argument("--out", type=Path, help="folder for the tables and the charts (default: runs/stats/DATASET)")
    stats.add_argument("--max-frames", type=int, default=256, help="the model's limit (default: 256)")
    cache.add_argument("folder", metavar="FOLDER", type=Path, help="the cache's folder, created if need be")
    cache.add_argument("--features", help="kind of features (default: the data set's own)")
    cache.add_argument("--flip", choices=get_args(Flip), default="never")
    cache.add_argument("--anonymize", action="store_true")
    cache.add_argument("--trim", choices=get_args(Trim), default="none")
    return parser


def _compare(name: str, data: Path) -> int:
    found = compare_lists(name, data)
    for comparison in found:
        first = comparison.first_difference
        outcome = "equal" if first is None else f"different from entry {first:,} on"
        print(f"{comparison.what}: {comparison.count:,} entries, {outcome}")
    return int(any(comparison.first_difference is not None for comparison in found))


def _measure(corpus: Corpus, options: argparse.Namespace) -> None:
    folder = options.out or Path("runs/stats") / corpus.name
    with tqdm(total=len(corpus), unit="clip", disable=None) as bar:
        statistics = measure_corpus(
            corpus, max_frames=options.max_frames, workers=options.workers, on_clip=track_clips(bar)
        )
    write_tables(statistics, folder)
    draw_charts(statistics, folder / "stats.png")
    for name, value in statistics.summarize().items():
        print(f"{name:42} {value:>12,.3f}" if isinstance(value, float) else f"{name:42} {value:>12,}")
    if corpus.skipped:
        print(f"\n{corpus.describe_skipped()}")
    unreadable = [fact.problem for fact in statistics.facts if fact.problem]
    if unreadable:
        print(f"\n{len(unreadable)} clips cannot be read, the first because {unreadable[0]}")
    if corpus.skipped or unreadable:
        print(f"{folder / 'problems.csv'} lists them all with their reasons")
    print(f"\nwritten to {folder}")


def _fill_cache(corpus: Corpus, options: argparse.Namespace) -> None:
    changes = FeatureOptions(flip=options.flip, anonymize=options.anonymize, trim=options.trim)
    clips = Clips(corpus, options.features, options=changes)
    with tqdm(total=len(corpus), unit="clip", disable=None) as bar:
        cached = clips.fill_cache(FeatureCache(options.folder), workers=options.workers, on_clip=track_clips(bar))
    print(f"{len(cached):,} clips in {options.folder}; {len(cached.unreadable):,} cannot be read")
    if corpus.skipped:
        print(corpus.describe_skipped())
    for unreadable in cached.unreadable[:20]:
        print(f"  {unreadable.id}: {unreadable.reason}")


if __name__ == "__main__":
    sys.exit(main())
