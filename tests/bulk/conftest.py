"""A folder of clips, the tiny model, and the command as a user calls it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulk.__main__ import main
from tests.miniatures import GOLDEN

Run = Callable[..., int]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Four good clips of two signs, one that is too long for the model, and two that are no poses."""
    root = tmp_path / "clips"
    for place, name in {
        "HOUSE/one.pose": "ase_A",
        "HOUSE/two.pose": "gsg_C",
        "SUN/one.pose": "gsg_C",
        "moon-1.pose": "ase_A",
        "long.pose": "house",
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(GOLDEN / f"{name}.pose", root / place)
    (root / "SUN" / "bad.pose").write_bytes(b"no pose")
    (root / "empty.pose").write_bytes(b"")
    return root


@pytest.fixture
def run(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command with the tiny model, one process beside it, and a folder `out`."""
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tiny_weights))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGRTMIN)}

    def call(source: Path | str, *more: str, out: Path | None = None, model: str = "tiny") -> int:
        where = ["--out", str(out or tmp_path / "out")]
        return main([str(source), "--model", model, *where, "--jobs", "1", "--device", "cpu", *more])

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)
