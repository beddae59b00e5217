"""A run on this machine: processes prepare clips, a thread embeds what is ready, and this thread writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from time import monotonic

from bulk.embedding import BulkModel, Embedded
from bulk.folder import OutputFolder
from bulk.ids import IdSet
from bulk.interrupts import INTERRUPTS
from bulk.items import Failure, Item
from bulk.pool import Pool
from bulk.preparation import Prepared, Task
from bulk.progress import Progress
from bulk.rows import Row
from bulk.sources import Source

# Frames that are embedded together.
_FRAMES_TOGETHER = 8192
# While a batch is embedded, the next one gathers up to so many frames: half as much again, so that processes go on.
_MOST_FRAMES = 12288
_TEXTS_TOGETHER = 1024
# Nothing that is prepared waits longer than this for company. What waits is prepared again when the run is killed.
_LONGEST_WAIT_S = 1.0
_LOOK_S = 0.25


def choose_items(source: Source, folder: OutputFolder, *, retry_failed: bool) -> Iterator[Item]:
    """Choose the items that a run works on: those that are new, or those that failed before.

    A row with the id of an earlier row of the same source gets an id of its own and a fault, so that it shows among
    the failures.
    """
    seen = IdSet()
    for number, item in enumerate(source.read_items(), start=1):
        if not seen.add(item.id):
            fault = (
                f"an earlier item has the same id, {item.id!r}. Without a column id, that is the file's name without "
                "suffix: rename the file, or give each row of a manifest an id of its own"
            )
            item = replace(item, id=f"{item.id}#{number}", fault=fault)
        if item.id in folder.done:
            continue
        if (item.id in folder.failed) == retry_failed:
            yield item


@dataclass
class _Ready:
    """Clips or texts that wait to be embedded together."""

    rows: list[tuple[Item, Prepared]] = field(default_factory=list)
    frames: int = 0
    since: float = 0.0

    def add(self, item: Item, prepared: Prepared) -> None:
        if not self.rows:
            self.since = monotonic()
        self.rows.append((item, prepared))
        self.frames += 0 if prepared.features is None else len(prepared.features)

    def is_due(self) -> bool:
        full = self.frames >= _FRAMES_TOGETHER or len(self.rows) >= _TEXTS_TOGETHER
        return full or (bool(self.rows) and monotonic() - self.since >= _LONGEST_WAIT_S)


class LocalRun:
    """Works through items on this machine.

    Args:
        folder: where rows go.
        model: makes the vectors.
        pool: prepares clips; its owner closes it.
        progress: is told what was done.
    """

    def __init__(self, folder: OutputFolder, model: BulkModel, pool: Pool, progress: Progress) -> None:
        self._folder, self._model, self._pool, self._progress = folder, model, pool, progress
        self._origin = model.describe_origin()
        self._ready = _Ready()
        self._texts: list[Item] = []
        self._clips: dict[int, Item] = {}
        self._running: tuple[Future[Embedded], list[Row]] | None = None

    def work(self, items: Iterator[Item]) -> None:
        """Embed items, and write their rows.

        Raises:
            BulkError: the source is damaged from some row on.
            OSError: the folder cannot be written to.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="forward") as self._thread:
            try:
                for number, item in enumerate(items):
                    self._take(number, item)
            finally:  # what is prepared is kept, whatever ended the loop
                self._finish()

    def _take(self, number: int, item: Item) -> None:
        if item.fault:
            self._fail(item, Failure("row_invalid", item.fault))
        elif item.kind == "text":
            self._texts.append(item)
            if len(self._texts) >= _TEXTS_TOGETHER:
                self._embed_texts()
        else:
            while not self._pool.has_room:
                self._advance()
            with INTERRUPTS.hold():
                self._clips[number] = item
                self._pool.submit(number, Task(item.source, item.start_s, item.end_s))
        self._progress.show()

    def _finish(self) -> None:
        self._embed_texts()
        while not self._pool.is_idle:
            self._advance()
        self._settle()
        self._start()
        self._settle()

    def _advance(self) -> None:
        """Gather what was prepared, and keep the model busy with it."""
        with INTERRUPTS.hold():  # nothing could be read from a process after half of a message
            for ticket, prepared in self._pool.collect(_LOOK_S):
                item = self._clips.pop(ticket)
                if prepared.failure is not None:
                    self._fail(item, prepared.failure)
                else:
                    self._ready.add(item, prepared)
        if self._running is not None and self._running[0].done():
            self._settle()
        # While a batch is embedded the next one gathers, and a little more, so that no process waits for the model.
        if self._ready.is_due() and (self._running is None or self._ready.frames >= _MOST_FRAMES):
            self._settle()
            self._start()
        self._progress.show()

    def _start(self) -> None:
        if not self._ready.rows:
            return
        ready, self._ready = self._ready, _Ready()
        clips = [prepared.features for _, prepared in ready.rows if prepared.features is not None]
        rows = [Row(item, self._origin.signature, prepared.quality) for item, prepared in ready.rows]
        self._running = (self._thread.submit(self._model.embed_clips, clips), rows)

    def _settle(self) -> None:
        """Wait for the batch that is embedded, and write its rows."""
        if self._running is None:
            return
        future, rows = self._running
        wait_for([future])  # where Ctrl-C ends this, `_finish` waits again, so that the batch is kept
        self._running = None
        write_embedded(self._folder, rows, future.result(), self._progress)

    def _embed_texts(self) -> None:
        if not self._texts:
            return
        self._settle()
        texts, self._texts = self._texts, []
        rows = [Row(item, self._origin.text_signature) for item in texts]
        # In the thread of the clips, because one thread makes all calls of a model.
        self._running = (self._thread.submit(self._model.embed_texts, texts), rows)

    def _fail(self, item: Item, failure: Failure) -> None:
        self._folder.add_failure(item, failure)
        self._progress.count(failed=1)


def write_embedded(folder: OutputFolder, rows: Sequence[Row], embedded: Embedded, progress: Progress) -> None:
    """Write the rows that have vectors, and note the others as failed.

    Raises:
        OSError: the folder cannot be written to.
    """
    kept = [row for row in range(len(rows)) if row not in embedded.failures]
    with INTERRUPTS.hold():
        if kept:
            folder.add([rows[row] for row in kept], embedded.vectors[kept])
        for row, failure in embedded.failures.items():
            folder.add_failure(rows[row].item, failure)
    progress.count(embedded=len(kept), failed=len(embedded.failures))
