"""Writes the tables of the README from the code: `python -m app.reference.readme README.md`."""

import re
import sys
from pathlib import Path

from app.errors import errors_table
from app.settings import settings_table


def with_tables(text: str) -> str:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` by the table of that name."""
    for name, table in (("errors", errors_table()), ("settings", settings_table())):
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
