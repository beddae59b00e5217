"""What benchmarks measure of a process is its own."""

import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import measure_peak_bytes

ROOT = Path(__file__).parents[2]
HELD_BYTES = 256 * 2**20
CHILD = """
from benchmarks.measuring import measure_peak_bytes

before = measure_peak_bytes()
held = bytearray(b"a") * (64 * 2**20)
del held
print(before, measure_peak_bytes())
"""


def test_a_peak_is_not_that_of_the_process_that_started_this_one():
    held = bytearray(b"a") * HELD_BYTES
    found = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    before, after = map(int, found.stdout.split())
    assert measure_peak_bytes() >= len(held)
    assert before < HELD_BYTES
    assert after >= before + 48 * 2**20  # what is gone again counts too
