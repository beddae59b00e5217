"""Bytes that are kept beside collections, in a table of their own."""

from datetime import timedelta
from typing import Any

import pyarrow as pa

from search.conditions import quote
from search.lance_errors import translate_errors
from search.lance_tables import LanceTables
from search.lance_upkeep import is_fragmented

# No collection has this name, because names begin with a letter or a digit.
TABLE = "_attachments"
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("content", pa.large_binary(), nullable=False),
    ]
)


class LanceAttachments:
    """The attachments of all collections of a database."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables

    def write(self, name: str, key: str, content: bytes) -> None:
        """Keep bytes beside a collection; the key's earlier bytes are replaced."""
        row = pa.table([[f"{name}/{key}"], [name], [content]], schema=_SCHEMA)
        with translate_errors(), self._tables.lock(TABLE):
            table = self._tables.database.create_table(TABLE, schema=_SCHEMA, exist_ok=True)
            table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(row)

    def read(self, name: str, key: str) -> bytes | None:
        """Read bytes that are kept beside a collection; None: there are none."""
        table = self._find_table()
        if table is None:
            return None
        with translate_errors():
            rows = table.search().where(f"id = {quote(f'{name}/{key}')}").limit(1).to_arrow()
        content: bytes | None = rows["content"][0].as_py() if rows.num_rows else None
        return content

    def delete_all(self, name: str) -> None:
        """Delete what is kept beside a collection."""
        table = self._find_table()
        if table is not None:
            with translate_errors(), self._tables.lock(TABLE):
                table.delete(f"collection = {quote(name)}")

    def needs_upkeep(self) -> bool:
        """Whether there are so many fragments that every description of a collection takes longer."""
        table = self._find_table()
        with translate_errors():
            return table is not None and is_fragmented(table)

    def maintain(self, keep_s: float) -> None:
        """Compact the table, and remove versions that are older than so many seconds."""
        table = self._find_table()
        with translate_errors():
            if table is not None:
                table.optimize(cleanup_older_than=timedelta(seconds=keep_s))

    def _find_table(self) -> Any | None:
        with translate_errors():
            try:
                return self._tables.database.open_table(TABLE)
            except ValueError:  # nothing was ever attached
                return None
