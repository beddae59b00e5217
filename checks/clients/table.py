"""`python table.py < LINES`: draws the outcomes of calls.py and calls.mjs as a table; exit 1 unless all are right."""

import json
import sys
from typing import Any


def main() -> int:
    """Read outcomes as lines of JSON, print them under their client's name, and count."""
    rows = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    width = max((len(row["call"]) for row in rows), default=0)
    for client in dict.fromkeys(row["client"] for row in rows):
        print(f"\n{client}")
        for row in rows:
            if row["client"] == client:
                print(f"  {row['call']:{width}}  {_result(row)}")
    wrong = sum(not row["is_right"] for row in rows)
    print(f"\n{len(rows)} calls, {wrong} of them wrong")
    return 1 if wrong or not rows else 0


def _result(row: dict[str, Any]) -> str:
    if not row["is_right"]:
        return f"WRONG: {row['note']}"
    return f"refused, with help: {row['note']}" if row["note"] else "right"


if __name__ == "__main__":
    sys.exit(main())
