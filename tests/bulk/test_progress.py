"""What a run says while it works."""

from __future__ import annotations

import io

from bulk.progress import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then_with_rate_rest_and_failures():
    clock, out = Clock(), io.StringIO()
    progress = Progress(1000, 200, out=out, clock=clock)
    for _ in range(60):
        clock.now += 1
        progress.count(embedded=9, failed=1)
    progress.close()
    lines = out.getvalue().splitlines()
    assert lines == [
        "500 of 1000 (50.0 %), 10.0/s, 0:00:50 left, 30 failed",
        "800 of 1000 (80.0 %), 10.0/s, 0:00:20 left, 60 failed",
    ]


def test_a_terminal_has_one_line_that_is_written_over():
    clock, out = Clock(), Terminal()
    progress = Progress(None, 0, out=out, clock=clock)
    for _ in range(4):
        clock.now += 1
        progress.count(embedded=1)
    progress.close()
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().split("\r")[-1] == "4, 1.0/s, none failed\x1b[K\n"


def test_the_rate_is_that_of_the_last_minutes():
    clock = Clock()
    progress = Progress(None, 0, out=io.StringIO(), clock=clock)
    for second in range(600):
        clock.now += 1
        progress.count(embedded=1 if second < 300 else 5)
    assert abs(progress.measure_rate() - 5) < 0.1
