"""Filters as each store understands them: SQL for LanceDB and PostgreSQL, masks for Arrow tables in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from search.filters import Condition, Filter

Mask = npt.NDArray[np.bool_]


def write_sql(filter: Filter) -> str | None:
    """Write a filter as a condition of DataFusion's SQL, which LanceDB speaks; None: every entry fits."""
    parts = [_write_condition(condition) for condition in filter.conditions]
    if filter.created_from is not None:
        parts.append(write_created("created", ">=", filter.created_from))
    if filter.created_to is not None:
        parts.append(write_created("created", "<", filter.created_to))
    return " AND ".join(parts) or None


def write_created(column: str, sign: str, time: datetime) -> str:
    """Write a comparison of a column of times with a time."""
    return f"{column} {sign} TIMESTAMP '{time.isoformat()}'"


def write_parameters(filter: Filter) -> tuple[str, list[Any]]:
    """Write a filter as a condition of PostgreSQL's SQL with its parameters; it begins with AND, or is empty."""
    condition, parameters = "", list[Any]()
    for one in filter.conditions:
        # PostgreSQL keeps no text with NUL, so that no entry has it.
        parameters.append([value for value in one.values if "\0" not in value])
        fits = "labels && %s::text[]" if one.field == "tags" else f"{one.field} = ANY(%s::text[])"
        condition += f" AND ({fits}) IS NOT TRUE" if one.negated else f" AND {fits}"
    for sign, time in ((">=", filter.created_from), ("<", filter.created_to)):
        if time is not None:
            condition += f" AND created {sign} %s"
            parameters.append(time)
    return condition, parameters


def write_ids(ids: Sequence[str]) -> str:
    """Write the condition that an entry has one of these ids."""
    return f"id IN ({', '.join(map(quote, ids))})"


def compute_mask(table: Any, filter: Filter) -> Mask:
    """Compute which rows of an Arrow table or batch fit a filter.

    Returns:
        bool (rows,).
    """
    mask = np.ones(table.num_rows, dtype=np.bool_)
    for condition in filter.conditions:
        fits = _match_labels(table, condition) if condition.field == "tags" else _match_values(table, condition)
        mask &= ~fits if condition.negated else fits
    if filter.created_from is not None:
        mask &= _to_numpy(pc.greater_equal(table.column("created"), pa.scalar(filter.created_from, _TIME)))
    if filter.created_to is not None:
        mask &= _to_numpy(pc.less(table.column("created"), pa.scalar(filter.created_to, _TIME)))
    return mask


_TIME = pa.timestamp("us", tz="UTC")


def _write_condition(condition: Condition) -> str:
    values = ", ".join(map(quote, condition.values))
    if condition.field == "tags":
        fits = f"array_has_any(labels, [{values}])"
        return f"(NOT {fits})" if condition.negated else fits
    fits = f"{condition.field} IN ({values})"
    # A value that is not known is none of these.
    return f"({condition.field} IS NULL OR NOT {fits})" if condition.negated else fits


def quote(text: str) -> str:
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _match_values(table: Any, condition: Condition) -> Mask:
    values = pa.array(condition.values, pa.string())
    return _to_numpy(pc.is_in(table.column(condition.field), value_set=values))


def _match_labels(table: Any, condition: Condition) -> Mask:
    """Find the rows that have one of some labels."""
    column = table.column("labels")
    fits = np.zeros(table.num_rows, dtype=np.bool_)
    start = 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        found = pc.is_in(pc.list_flatten(chunk), value_set=pa.array(condition.values, pa.string()))
        parents = pc.list_parent_indices(chunk).to_numpy(zero_copy_only=False)
        fits[start + parents[_to_numpy(found)]] = True
        start += len(chunk)
    return fits


def _to_numpy(column: Any) -> Mask:
    filled = pc.fill_null(column, False)
    return cast(
        Mask, filled.to_numpy() if isinstance(filled, pa.ChunkedArray) else filled.to_numpy(zero_copy_only=False)
    )
