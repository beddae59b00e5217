"""Writes the tables of errors and settings into the README: `python -m app.reference.readme README.md`."""

import re
import sys
from pathlib import Path

from app.error_table import list_error_lines
from app.settings import ServiceSettings
from app.variables import render_settings_table


def replace_tables(text: str) -> str:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` with the table of that name."""
    for name, table in (("errors", render_errors_table()), ("settings", render_settings_table(ServiceSettings()))):
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
    return text


def render_errors_table() -> str:
    """Render the table of errors as the README's Markdown table."""
    rows = ["| status | meaning | `code` |", "|---|---|---|"]
    for line in list_error_lines():
        rows.append(f"| {line.status} | {line.title} | {', '.join(f'`{code}`' for code in line.codes)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(replace_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
