"""The logs of a run outlive what a killed process, a full disk or a power cut leaves of them."""

import pytest

from training.runs.logs import RunLogs


@pytest.mark.parametrize("damage", [b"\0\0\0\n", b"\xff,1,1\n", b"two,1,1\n", b"\n"])
def test_a_damaged_line_is_dropped(tmp_path, damage):
    log = tmp_path / "steps.csv"
    log.write_bytes(b"step,loss,learning_rate\n1,2,3\n" + damage + b"2,2,3\n3,2,3\n")
    RunLogs(tmp_path, start=2).close()
    assert log.read_bytes() == b"step,loss,learning_rate\n1,2,3\n2,2,3\n"
