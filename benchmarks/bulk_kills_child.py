"""The command `bulk`, in which every process notes each clip that it prepares: `python -m benchmarks.bulk_kills_child`.

Processes of the pool import this module again, as the main module of their parent, so they note clips too.
"""

import os
import sys
from collections.abc import Callable

from bulk.__main__ import main
from bulk.preparation import Prepared, Preparer, Task

NOTES = "SIGNCLIP_BENCHMARK_NOTES"
_prepare = Preparer.prepare


def _prepare_and_note(self: Preparer, task: Task, on_sign: Callable[[], None]) -> Prepared:
    prepared = _prepare(self, task, on_sign)
    handle = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{task.source}\n".encode())
    os.close(handle)
    return prepared


if NOTES in os.environ:  # not in a process that only wants the name
    Preparer.prepare = _prepare_and_note  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
