"""What a container's quota leaves of the cores."""

import os
from pathlib import Path

import pytest

from processes import cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups as they are mounted; four cores may be used."""
    own = tmp_path / "own"
    own.write_text("0::/box/inner\n")
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "_OWN_GROUP", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000"}, 4),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "900000 100000"}, 4),
        ({"box/cpu.max": "300000 100000", "box/inner/cpu.max": "max 100000"}, 3),
        ({"box/inner/cpu.max": "100000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu.max": "nonsense"}, 4),
    ],
)
def test_the_smallest_share_counts(groups: Path, files: dict[str, str], expected: int) -> None:
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(content + "\n")
    assert cores.count_cores() == expected
    assert cores.limit_threads() == (expected if expected < 4 else None)


def test_version_1_names_its_group(groups: Path) -> None:
    (groups / "own").write_text("3:cpu,cpuacct:/box\n2:memory:/box\n")
    (groups / "cpu" / "box").mkdir(parents=True)
    (groups / "cpu" / "box" / "cpu.cfs_quota_us").write_text("100000\n")
    (groups / "cpu" / "box" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores.count_cores() == 1


def test_threads_sleep_where_the_environment_does_not_say_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    cores.let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    cores.let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
