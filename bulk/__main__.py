"""Embed a data set: `python -m bulk SOURCE --model NAME --out DIR [--ray [ADDRESS]] [--jobs N]`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bulk.arguments import build_parser, read_embed_options
from bulk.errors import BulkError, RayError
from bulk.interrupts import INTERRUPTS
from models.errors import ModelsError
from models.languages import warn_of_language
from processes.commands import print_error
from processes.cores import let_threads_sleep
from processes.packages import explain_missing
from processes.stop_signals import STOP_SIGNAL

# The rest is imported late, because help needs none of it, and because each process that prepares clips imports this
# module, too.
if TYPE_CHECKING:
    from bulk.folder import OutputFolder
    from bulk.items import Item
    from bulk.progress import Progress
    from bulk.sources import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0 every item has a vector, 1 some failed or the run could not go on, 2 usage error, 130
        interrupted.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.split != "all" and options.corpus is None:
        parser.error(f"--split {options.split} is a part of a data set; name the data set by --corpus")
    # A scheduler's signal stops a run as Ctrl-C does.
    INTERRUPTS.install((signal.SIGINT, signal.SIGTERM, STOP_SIGNAL))
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except (BulkError, ModelsError, OSError) as error:
        print_error(error)
        return 1


def _run(options: argparse.Namespace) -> int:
    from bulk.sources import SourceOptions, open_source

    warn_of_language(options.sign_language)
    wanted = SourceOptions(options.corpus, options.split, options.sign_language)
    with ExitStack() as stack:
        source = open_source(options.source, wanted, stack)
        return _run_here(options, source) if options.ray is None else _run_on_ray(options, source)


def _run_here(options: argparse.Namespace, source: Source) -> int:
    """Run with processes on this machine."""
    from bulk.embedding import BulkModel
    from bulk.folder import OutputFolder, describe_run
    from bulk.pool import Pool
    from bulk.running import LocalRun

    let_threads_sleep()
    wanted = read_embed_options(options)
    model = BulkModel(options.model, wanted, device=options.device, dtype=options.dtype)
    origin = model.describe_origin()
    facts = describe_run(origin, wanted.describe(), source.columns, source=source.name, layout=options.layout)
    with OutputFolder(options.out, facts) as folder, ExitStack() as stack:
        pool = Pool(model.config, wanted, jobs=options.jobs)
        stack.callback(pool.close)
        with _follow(options, source, folder) as (items, progress):
            LocalRun(folder, model, pool, progress).work(items)
        return 1 if len(folder.failed) else 0


def _run_on_ray(options: argparse.Namespace, source: Source) -> int:
    """Run with actors on a Ray cluster."""
    from bulk.folder import OutputFolder, describe_run

    with explain_missing("--ray", "requirements-ray.txt", error=RayError):
        from bulk.ray import RayRun, RaySettings
    wanted = read_embed_options(options)
    settings = RaySettings(options.ray, options.jobs, options.model, wanted, options.device, options.dtype)
    with ExitStack() as stack:
        run = RayRun(settings)
        stack.callback(run.close)
        facts = describe_run(run.origin, wanted.describe(), source.columns, source=source.name, layout=options.layout)
        folder = stack.enter_context(OutputFolder(options.out, facts))
        with _follow(options, source, folder) as (items, progress):
            run.work(items, folder, progress)
        return 1 if len(folder.failed) else 0


@contextmanager
def _follow(
    options: argparse.Namespace, source: Source, folder: OutputFolder
) -> Iterator[tuple[Iterator[Item], Progress]]:
    """Give the items that are to be done, and what counts them; finish the folder however the block ends."""
    from bulk.progress import Progress
    from bulk.running import choose_items

    known, failed = len(folder.done), len(folder.failed)
    progress = Progress(failed, 0) if options.retry_failed else Progress(source.count, known + failed)
    is_complete = False
    try:
        yield choose_items(source, folder, retry_failed=options.retry_failed), progress
        is_complete = folder.was_complete or not options.retry_failed  # a retry tries no item that is new
    finally:
        progress.close()
        listed = folder.finish(is_complete=is_complete)
        print(f"{len(folder.done)} vectors in {folder.path}, {progress.embedded} of them new")
        if listed is not None:
            counts = ", ".join(f"{count} {code}" for code, count in folder.failed.count_codes().items())
            print(f"{len(folder.failed)} failed ({counts}): see {listed}; --retry-failed tries them", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
