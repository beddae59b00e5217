"""Processes that do what a script says instead of estimating: slow, busy, worn out, or mad."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.video.make_videos import clip
from video.errors import EstimatorLostError, VideoTooLargeError, VideoTooSlowError
from video.worker_process import EstimatorProcess

SHORT = clip(6, seed=1)

_SLOW_WORKER = """#!{python}
import sys, time
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[3]))
connection.send_bytes(b'{{"kind": "ready", "resident_bytes": 1}}')
connection.recv_bytes(), connection.recv_bytes()
while {busy}:
    pass
time.sleep(60)
"""


@pytest.mark.parametrize(("busy", "error"), [(True, VideoTooSlowError), (False, EstimatorLostError)])
def test_a_video_is_to_blame_for_what_it_makes_the_process_do_only(
    own: Callable[..., EstimatorProcess],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    busy: bool,
    error: type[Exception],
) -> None:
    """A frame that takes a core's seconds is refused; where the machine gives no time, asking again may help."""
    script = tmp_path / "worker"
    script.write_text(_SLOW_WORKER.format(python=sys.executable, busy=busy))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    process = own(frame_s=0.5, silence_s=30.0 if busy else 1.5)
    with pytest.raises(error):
        process.estimate(SHORT)
    assert process.replaced == {"lost": 0, "slow": int(busy), "stuck": int(not busy), "worn": 0}


_WORN_WORKER = """#!{python}
import json, sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[3]))
connection.send_bytes(b'{{"kind": "ready", "resident_bytes": 1}}')
connection.recv_bytes(), connection.recv_bytes()
error = {{"class": "VideoTooLargeError", "message": "", "attributes": {{}}}}
report = {{"kind": "failed", "error": error, "resident_bytes": 1, "is_worn": True}}
connection.send_bytes(json.dumps(report).encode())
"""


def test_a_process_that_ran_out_of_memory_meets_no_other_video(
    own: Callable[..., EstimatorProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "worker"
    script.write_text(_WORN_WORKER.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    process, pids = own(), set()
    for _ in range(3):
        with pytest.raises(VideoTooLargeError):
            process.estimate(SHORT)
        pids.add(process.pid)
    assert len(pids) == 3
    assert process.replaced == {"lost": 0, "slow": 0, "stuck": 0, "worn": 3}


_MAD_WORKER = """#!{python}
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[3]))
connection.send_bytes(b'{{"kind": "ready", "resident_bytes": 1}}')
connection.recv_bytes(), connection.recv_bytes()
connection.send_bytes(b"a word of no protocol")
connection.recv_bytes()
"""


def test_a_process_that_sends_noise_is_lost(
    own: Callable[..., EstimatorProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "worker"
    script.write_text(_MAD_WORKER.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    process = own()
    with pytest.raises(EstimatorLostError):
        process.estimate(SHORT)
    assert process.pid is None
    assert process.replaced == {"lost": 1, "slow": 0, "stuck": 0, "worn": 0}
