"""Searches a snapshot or a LanceDB table, and makes hits of what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from search.conditions import write_sql
from search.entries import Vector
from search.filters import Condition, Filter
from search.index import compute_scores, find_best_of_groups, find_top, order_by_score
from search.interface import Columns, Hit, SearchOptions
from search.rows import read_tags, read_vectors
from search.snapshots import Snapshot
from search.vectors import scale_to_unit

_HIT_COLUMNS = ("kind", "gloss", "sign_language", "signature", "tags", "pose_bytes")
CANDIDATE_COLUMNS = ("id", *_HIT_COLUMNS, "vector")
# The index compares vectors of 8 bits a number; so many times the hits are compared again in full (ecosystem's usual
# value, recall 1.0 at 100,000 vectors).
_REFINE_FACTOR = 10
# Parts of the index that are searched at least: with a filter, fewer lose hits.
_LEAST_PROBES = 20
# Collections of so many times flat_rows are mapped into memory for searches with filters: 200,000 × 768 numbers take
# 600 MB of a disk and of its cache. A filter that kept 5 % of 100,000 took 5 ms so, and 56 ms through LanceDB's index
# (docs/search.md).
MAPPED_FOR_FILTERS = 10
# Of candidates behind the k-th: float32 and float64 may order near neighbours differently.
_SPARE = 8


@dataclass(frozen=True)
class _Candidate:
    """A row that was found, in the Arrow table or batch that holds it."""

    rows: Any
    row: int
    id: str
    score: float

    @property
    def group(self) -> str:
        return str(self.rows.column("gloss")[self.row].as_py())


def find_in_snapshot(snapshot: Snapshot, query: Vector, options: SearchOptions) -> list[Hit]:
    """Find the best entries of a snapshot, exactly.

    Args:
        query: float32 (dim,).
    """

    def find(wanted: int, without: tuple[str, ...]) -> list[_Candidate]:
        found = find_top(snapshot.list_blocks(_exclude(options.filter, without)), query, wanted)
        places = zip(found.blocks.tolist(), found.rows.tolist(), found.ids, found.scores.tolist(), strict=True)
        return [_Candidate(snapshot.batches[block], row, entry_id, score) for block, row, entry_id, score in places]

    return _make_hits(find, options)


def find_in_table(table: Any, query: Vector, options: SearchOptions) -> list[Hit]:
    """Find the best entries of a LanceDB table, through its index where it has one.

    Args:
        query: float32 (dim,).
    """

    def fetch(filter: Filter, wanted: int) -> Any:
        condition = write_sql(filter)
        search = table.search(scale_to_unit(query), vector_column_name="vector").distance_type("cosine")
        search = search.select([*CANDIDATE_COLUMNS, "_distance"]).limit(wanted)
        search = search.refine_factor(_REFINE_FACTOR).minimum_nprobes(_LEAST_PROBES)
        if condition is not None:
            search = search.where(condition, prefilter=True)
        return search.to_arrow()

    return find_among(fetch, query, options)


def find_among(fetch: Callable[[Filter, int], Any], query: Vector, options: SearchOptions) -> list[Hit]:
    """Find the best entries among those that an index proposes.

    Args:
        fetch: gives the rows that a filter keeps and that are nearest by the index, about so many, as an Arrow table
            with CANDIDATE_COLUMNS.
        query: float32 (dim,).
    """

    def find(wanted: int, without: tuple[str, ...]) -> list[_Candidate]:
        rows = fetch(_exclude(options.filter, without), wanted + _SPARE)
        ids, scores = rows["id"].to_pylist(), compute_scores(read_vectors(rows), query)
        order = order_by_score(scores, ids)[:wanted].tolist()
        return [_Candidate(rows, row, ids[row], float(scores[row])) for row in order]

    return _make_hits(find, options)


def _exclude(filter: Filter, glosses: tuple[str, ...]) -> Filter:
    if not glosses:
        return filter
    return replace(filter, conditions=(*filter.conditions, Condition("gloss", glosses, negated=True)))


def collect_columns(snapshot: Snapshot, filter: Filter) -> Columns:
    """Collect the entries of a snapshot that a filter keeps, in the order of their ids."""
    blocks = snapshot.list_blocks(filter)
    kept = [np.arange(len(block.vectors)) if block.mask is None else np.flatnonzero(block.mask) for block in blocks]
    columns: dict[str, list[Any]] = {
        name: [
            value
            for batch, rows in zip(snapshot.batches, kept, strict=True)
            for value in batch.column(name).take(rows).to_pylist()
        ]
        for name in ("id", "kind", "gloss", "sign_language", "source", "signature", "tags")
    }
    order = sorted(range(len(columns["id"])), key=columns["id"].__getitem__)
    parts = [block.vectors[rows] for block, rows in zip(blocks, kept, strict=True)]
    vectors = np.concatenate(parts)[order] if parts else np.zeros((0, 0), np.float32)
    vectors.flags.writeable = False
    picked = {name: tuple(values[row] for row in order) for name, values in columns.items()}
    return Columns(
        picked["id"],
        vectors,
        picked["kind"],
        picked["gloss"],
        picked["sign_language"],
        picked["source"],
        picked["signature"],
        tuple(map(read_tags, picked["tags"])),
    )


def _make_hits(find: Callable[[int, tuple[str, ...]], list[_Candidate]], options: SearchOptions) -> list[Hit]:
    """Make hits of what is found, grouped and cut as the options ask."""
    found = find(options.k, ()) if options.group_by is None else find_best_of_groups(find, options.k)
    good = [one for one in found if options.min_score is None or one.score >= options.min_score]
    return [_make_hit(rank, one) for rank, one in enumerate(good, start=1)]


def _make_hit(rank: int, found: _Candidate) -> Hit:
    row = {name: found.rows.column(name)[found.row].as_py() for name in _HIT_COLUMNS}
    # Rounding may carry the cosine of a vector and itself past 1.
    score = min(1.0, max(-1.0, found.score))
    return Hit(
        rank,
        found.id,
        score,
        row["kind"],
        row["gloss"],
        row["sign_language"],
        row["signature"],
        read_tags(row["tags"]),
        has_pose=row["pose_bytes"] > 0,
    )
