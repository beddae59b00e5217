"""An evaluation that is cut off while it writes is not taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import RunFolderError
from evaluation.results import METRICS_FILE, read_run
from tests.evaluation.test_report import write_example_run


@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_leaves_no_evaluation(again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if again:  # over an earlier one, of which some files would stay
        write_example_run(tmp_path, noise=0.01)

    def fill(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(np, "savez", fill)
        with pytest.raises(OSError, match="No space left"):
            write_example_run(tmp_path, noise=3.0)
    assert not (tmp_path / METRICS_FILE).exists()
    with pytest.raises(RunFolderError, match="holds no evaluation"):
        read_run(tmp_path)
    write_example_run(tmp_path, noise=3.0)
    read_run(tmp_path)
