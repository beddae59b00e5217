"""The folder of a run: shards of vectors, what failed, and how all of it was made. One run at a time writes there.

run.json                    how the vectors are made, and how many there are
vectors/part-000000.parquet shards; a shard appears whole or not at all
failures.csv                what has no vector, and why; failed.parquet has the same rows in the columns of a shard
failures.jsonl, .journal-*  what a run that is stopped needs to go on
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bulk.embedding import Origin
from bulk.errors import FolderBusyError, FolderError, OtherRunError
from bulk.failed_items import FailedItems
from bulk.ids import IdSet
from bulk.items import Failure, Item, shorten_id
from bulk.journal import Journal, read_journal
from bulk.rows import Row, make_schema, write_rows
from models.vectors import Vectors
from processes.files import PART, replace_file, try_lock, write_file
from processes.os_errors import describe_reason
from processes.version import PRODUCT

RUN, SHARDS, FAILED = "run.json", "vectors", "failed.parquet"
POSE_EVALUATION = "pose-evaluation"
# What must be equal for a run to go on in a folder.
_GUARDED = ("model", "checkpoint", "space", "signature", "dimensions", "options", "columns", "layout")
# A shard of 8,192 rows of 768 numbers has 25 MB; it is in memory twice for a moment while it is written.
_SHARD_ROWS, _SHARD_BYTES = 8192, 32 * 1024**2
# What Linux's file systems allow (NAME_MAX in limits.h).
_NAME_BYTES = 255
# Numbers do not repeat, so a dictionary of them would only take time.
_NO_DICTIONARY = ("vector", "id", "quality", "text", "texts")


class OutputFolder:
    """A run's folder, open for writing.

    Args:
        path: the folder; it is made if need be.
        facts: how this run makes vectors; see describe_run.
    Raises:
        OtherRunError: it holds vectors that were made in another way.
        FolderBusyError: another run writes there now.
        FolderError: it cannot be used.

    Attributes:
        done: ids that have a vector.
        failed: items that have none.
        was_complete: whether an earlier run has tried every item of its source.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path, self._facts = path, dict(facts)
        self._stack = ExitStack()
        self._shards = path / SHARDS
        self._schema = make_schema(facts["dimensions"], facts["columns"])
        self._started = datetime.now(UTC)
        self.was_complete = False
        try:
            self._shards.mkdir(parents=True, exist_ok=True)
            if not self._stack.enter_context(try_lock(path / ".lock")):
                raise FolderBusyError(f"another run writes into {path}; wait for it, or choose another --out")
            self._check_facts()
            self.done = IdSet()
            for shard in self._list_shards():
                self.done.update(_read_ids(shard))
            self.failed = FailedItems(path)
            self._journal = self._open_journal()
            for table in read_journal(self._journal.path):
                self.done.update(table.column("id").to_pylist())
            self.failed.discard_done(self.done)
            self._write_facts("running")
        except OSError as error:
            self._stack.close()
            raise FolderError(f"{path} cannot be used: {describe_reason(error)}") from error
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Add rows with their vectors; they survive the end of this process from here on.

        Args:
            vectors: float32 (rows, dimensions) of length 1.
        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        if self._facts["layout"] == POSE_EVALUATION:
            self._write_arrays(rows, vectors)
        self._journal.append(write_rows(rows, vectors, self._schema, space=self._facts["space"]))
        for row in rows:
            self.done.add(row.item.id)
            self.failed.discard(row.item.id)
        if self._journal.rows >= _SHARD_ROWS or self._journal.size_bytes >= _SHARD_BYTES:
            self._close_shard()

    def add_failure(self, item: Item, failure: Failure) -> None:
        """Note that an item has no vector.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        self.failed.add(item, failure)

    def finish(self, *, is_complete: bool) -> Path | None:
        """Write the last shard and the lists of what failed.

        Args:
            is_complete: whether every item of the source was tried.
        Returns:
            Path of failures.csv; None: nothing failed.
        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        if self._journal.rows:
            self._close_shard()
        listed = self.failed.write_table()
        self._write_failed()
        self._write_facts("complete" if is_complete else "interrupted")
        return listed

    def close(self) -> None:
        """Close the files, so that another run may write. May be called twice."""
        self._journal.close()
        if not self._journal.rows:
            self._journal.path.unlink(missing_ok=True)
        self.failed.close()
        self._stack.close()

    def _list_shards(self) -> list[Path]:
        return sorted(self._shards.glob("part-*.parquet"))

    def _check_facts(self) -> None:
        """Refuse to mix vectors that were made in different ways."""
        try:
            written = json.loads((self.path / RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self._list_shards():
                raise FolderError(f"{self.path} has shards, but no {RUN}; choose another --out") from None
            return
        except (ValueError, RecursionError) as error:
            raise self._describe_damage(error) from error
        if not isinstance(written, dict):
            raise self._describe_damage("it is no JSON object")
        facts = json.loads(json.dumps(self._facts))
        differing = [name for name in _GUARDED if written.get(name) != facts[name]]
        if differing:
            pairs = "; ".join(_describe_difference(name, written.get(name), facts[name]) for name in differing)
            raise OtherRunError(
                f"{self.path} holds vectors that were made in another way: {pairs}. Choose another --out, or the same "
                "model and options"
            )
        try:
            self._started = datetime.fromisoformat(written["started"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._describe_damage(f"it does not say when the run started: {error}") from error
        self.was_complete = written.get("state") == "complete"

    def _describe_damage(self, problem: object) -> FolderError:
        return FolderError(f"{self.path / RUN} is damaged ({problem}); choose another --out")

    def _open_journal(self) -> Journal:
        shards = self._list_shards()
        number = int(shards[-1].stem.removeprefix("part-")) + 1 if shards else 0
        current = self.path / f".journal-{number:06}"
        for journal in self.path.glob(".journal-*"):
            if journal != current:  # its shard was written before it could be removed
                journal.unlink()
        return Journal(current, self._schema)

    def _close_shard(self) -> None:
        """Turn the journal into a shard; its name says which journal it was, so that no row is there twice."""
        self._journal.close()
        number = self._journal.path.name.removeprefix(".journal-")
        table = pa.concat_tables(read_journal(self._journal.path)).combine_chunks()
        with replace_file(self._shards / f"part-{number}.parquet") as part:
            _write_parquet(table, part)
        self._journal.path.unlink()
        self._journal = self._open_journal()
        self._write_facts("running")

    def _write_failed(self) -> None:
        target = self.path / FAILED
        rows = [Row(item, self._facts["signature"], failure=failure) for item, failure in self.failed.read()]
        if not rows:
            target.unlink(missing_ok=True)
            return
        with replace_file(target) as part:
            _write_parquet(write_rows(rows, None, self._schema, space=self._facts["space"]), part)

    def _write_facts(self, state: str) -> None:
        facts = {
            **self._facts,
            "state": state,
            "rows": len(self.done),
            "failed": len(self.failed),
            "failed_codes": self.failed.count_codes(),
            "started": self._started.isoformat(timespec="seconds"),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "program": PRODUCT,
        }
        write_file(self.path / RUN, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def _write_arrays(self, rows: Sequence[Row], vectors: Vectors) -> None:
        folder = self.path / POSE_EVALUATION
        folder.mkdir(exist_ok=True)
        end = f"-using-model-{self._facts['model']}.npy"
        max_bytes = _NAME_BYTES - len(f".{end}{PART}".encode())
        for row, vector in zip(rows, vectors, strict=True):
            path = folder / f"{shorten_id(row.item.id, max_bytes=max_bytes)}{end}"
            part = path.with_name(f".{path.name}{PART}")
            with part.open("wb") as file:
                np.save(file, vector[None])  # (1, dimensions), as the authors' script writes it
            part.replace(path)  # without waiting for the disk, because the shard has the same vector


def describe_run(
    origin: Origin, options: Mapping[str, Any], columns: Sequence[str], *, source: str, layout: str | None = None
) -> dict[str, Any]:
    """Describe how a run makes vectors, as run.json holds it.

    Args:
        options: of the clips and texts.
        columns: of the source.
        source: its name.
        layout: POSE_EVALUATION: a folder of .npy files is written, too.
    """
    return {**asdict(origin), "options": dict(options), "columns": list(columns), "layout": layout, "source": source}


def _read_ids(shard: Path) -> Iterator[str]:
    try:
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(columns=["id"]):
                yield from batch.column("id").to_pylist()
    except (pa.ArrowException, KeyError) as error:
        raise FolderError(f"{shard} is damaged ({error}); remove it, and the same command makes it again") from error


def _write_parquet(table: Any, path: Path) -> None:
    names = [name for name in table.schema.names if name not in _NO_DICTIONARY]
    pq.write_table(table, path, compression="zstd", use_dictionary=names)


def _describe_difference(name: str, then: Any, now: Any) -> str:
    """Say how a fact differs; of several options only those that do."""
    if isinstance(then, dict) and isinstance(now, dict):
        differing = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        return "; ".join(_describe_difference(key, then.get(key), now.get(key)) for key in differing)
    return f"{name} {_show(then)} there, {_show(now)} here"


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
