"""Processes that crash, hang or are killed: it costs the row of the clip that is to blame, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk import pool as pool_module
from bulk.errors import PoolError
from bulk.options import EmbedOptions
from bulk.pool import Pool
from bulk.preparation import Prepared, Task
from models.catalog import load_catalog
from tests.bulk.poisoned import fail_to_start, work_badly


@pytest.fixture
def make_pool(monkeypatch):
    monkeypatch.setattr(pool_module, "work", work_badly)
    made: list[Pool] = []

    def make(**options) -> Pool:
        made.append(Pool(load_catalog()["fingerspelling"], EmbedOptions(), **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def _prepare(pool: Pool, folder: Path, names: list[str]) -> dict[str, Prepared]:
    """Prepare files of these names; every ticket must come back once."""
    outcomes: list[tuple[int, Prepared]] = []
    for ticket, name in enumerate(names):
        (folder / str(ticket)).mkdir()
        while not pool.has_room:
            outcomes += pool.collect(1.0)
        pool.submit(ticket, Task(str(folder / str(ticket) / name)))
    while not pool.is_idle:
        outcomes += pool.collect(1.0)
    assert sorted(ticket for ticket, _ in outcomes) == list(range(len(names)))
    return {f"{ticket}-{names[ticket]}": prepared for ticket, prepared in outcomes}


def _tries(folder: Path) -> dict[str, int]:
    return {f"{path.parent.name}-{path.name}": path.stat().st_size for path in folder.glob("*/*")}


def test_a_clip_that_ends_its_process_costs_its_own_row(make_pool, tmp_path):
    names = ["good", "crash", "good", "segfault", "good", "good", "unlucky", "good"]
    found = _prepare(make_pool(jobs=1), tmp_path, names)
    codes = {name: prepared.failure and prepared.failure.code for name, prepared in found.items()}
    assert codes.pop("1-crash") == codes.pop("3-segfault") == "process_lost"
    assert set(codes.values()) == {None}
    assert "exit status 3" in found["1-crash"].failure.detail
    assert "SIGSEGV" in found["3-segfault"].failure.detail
    tries = _tries(tmp_path)
    assert tries.pop("1-crash") == tries.pop("3-segfault") == 3
    assert tries.pop("6-unlucky") == 2
    assert set(tries.values()) == {1}


def test_a_clip_that_hangs_is_given_up_and_the_others_are_not(make_pool, tmp_path):
    found = _prepare(make_pool(jobs=2, silence_s=10.0), tmp_path, ["good", "hang", "good", "good", "good"])
    failures = {name: prepared.failure.code for name, prepared in found.items() if prepared.failure}
    assert failures == {"1-hang": "clip_hangs"}
    assert _tries(tmp_path)["1-hang"] == 1


def test_processes_that_do_not_start_end_the_run_and_blame_no_clip(make_pool, tmp_path, monkeypatch):
    monkeypatch.setattr(pool_module, "work", fail_to_start)
    with pytest.raises(PoolError, match="ended before they were ready"):
        _prepare(make_pool(jobs=1), tmp_path, ["good"])
