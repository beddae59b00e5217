"""The items that have no vector, and why: appended as they fail, one JSON object a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import orjson

from bulk.ids import IdSet
from bulk.items import Failure, Item, make_writable
from processes.files import write_file

LOG = "failures.jsonl"
TABLE = "failures.csv"


class FailedItems:
    """The failed items of a folder.

    Args:
        folder: of the run. An unfinished line at the end of its log is cut off.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOG
        self._codes: dict[str, str] = {}
        end = 0
        for item, failure, end in _read(self._path):  # noqa: B007
            self._codes[item.id] = failure.code
        self._file = self._path.open("ab")
        self._file.truncate(end)

    def __len__(self) -> int:
        return len(self._codes)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._codes

    def add(self, item: Item, failure: Failure) -> None:
        """Note that an item failed, or failed again."""
        record = {
            "item": asdict(make_writable(item)),
            "code": failure.code,
            "detail": failure.detail.encode("utf-8", "replace").decode(),
        }
        self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        self._file.flush()
        self._codes[item.id] = failure.code

    def discard(self, item_id: str) -> None:
        """Forget an item, because it has a vector now. The log is cleared by `write_table`."""
        self._codes.pop(item_id, None)

    def discard_done(self, done: IdSet) -> None:
        """Forget the items that have a vector: a run that was killed before `write_table` left them in the log."""
        self._codes = {item_id: code for item_id, code in self._codes.items() if item_id not in done}

    def count_codes(self) -> dict[str, int]:
        """Count the failed items by the reason's code, the commonest first."""
        counts: dict[str, int] = {}
        for code in self._codes.values():
            counts[code] = counts.get(code, 0) + 1
        return dict(sorted(counts.items(), key=lambda found: (-found[1], found[0])))

    def read(self) -> Iterator[tuple[Item, Failure]]:
        """Read what failed, each item once, with its last reason."""
        left = dict.fromkeys(self._codes)
        latest: dict[str, int] = {}
        for number, (item, _, _) in enumerate(_read(self._path)):
            latest[item.id] = number
        for number, (item, failure, _) in enumerate(_read(self._path)):
            if item.id in left and latest[item.id] == number:
                yield item, failure

    def write_table(self) -> Path | None:
        """Write failures.csv, or remove it where nothing failed, and drop from the log what is settled.

        Returns:
            Path of the table; None: nothing failed.
        """
        table = self._folder / TABLE
        kept = list(self.read())
        lines = [orjson.dumps({"item": asdict(item), **asdict(failure)}) + b"\n" for item, failure in kept]
        self._file.close()
        write_file(self._path, b"".join(lines))
        self._file = self._path.open("ab")
        if not kept:
            table.unlink(missing_ok=True)
            return None
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "kind", "source", "code", "detail"])
        writer.writerows([item.id, item.kind, item.source, found.code, found.detail] for item, found in kept)
        write_file(table, text.getvalue())
        return table

    def close(self) -> None:
        """Close the log. May be called twice."""
        self._file.close()


def _read(path: Path) -> Iterator[tuple[Item, Failure, int]]:
    """Read each whole line up to the first that is damaged, and where it ends in the file."""
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                record = orjson.loads(line)
                item, failure = Item(**record["item"]), Failure(record["code"], record["detail"])
            except (orjson.JSONDecodeError, KeyError, TypeError):
                return
            end += len(line)
            yield item, failure, end
