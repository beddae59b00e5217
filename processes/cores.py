"""How many cores this process may use, by its affinity mask and a container's quota, and how threads wait on them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Count the cores whose time this process can have, rounded up; at least 1."""
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, _read_quotas())]))


def limit_threads() -> int | None:
    """Choose the threads of a library that counts cores itself.

    Returns:
        None when the affinity mask already gives the right number. No library knows about the quotas of control groups.
    """
    cores = count_cores()
    return cores if cores < len(os.sched_getaffinity(0)) else None


def let_threads_sleep() -> None:
    """Let the threads of OpenMP sleep while they wait for each other, where the environment does not say otherwise.

    By default they spin for some milliseconds, and where other processes want the cores, a spinning thread takes the
    time of the thread that it waits for. Beside two busy processes a forward on two cores took 2.5 to 3.2 ms of
    processor time a clip; with sleeping threads it took 0.5 ms. OpenMP reads this while torch is imported, so this has
    to be called before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _read_quotas() -> Iterator[float]:
    """Read how many cores' worth of time each control group above this process allows.

    Source: Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (version 1) of Linux.
    """
    for folder in _list_groups():
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _list_groups() -> Iterator[Path]:
    # A container sees its own group as the root. Outside of a container, any group above this process may have limits.
    yield from (_CGROUPS, _CGROUPS / "cpu")
    for line in _read(_OWN_GROUP).splitlines():
        _, kinds, group = line.split(":", 2)
        if kinds in ("", "cpu", "cpu,cpuacct"):
            folder = (_CGROUPS / "cpu" if kinds else _CGROUPS) / group.lstrip("/")
            yield from (folder, *(above for above in folder.parents if above.is_relative_to(_CGROUPS)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
