"""Finds processes that were stopped by a signal (SIGSTOP, SIGTSTP) and do not go on."""

import time
from collections.abc import Iterable
from pathlib import Path

# A process that is stopped for so long, in seconds, keeps its clients waiting. A debugger's stop is another state.
PATIENCE_S = 3.0


class StoppedWatch:
    """Remembers since when processes have been stopped. Call it every second or so."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def find(self, pids: Iterable[int]) -> list[int]:
        """Find those that have been stopped for PATIENCE_S."""
        now = time.monotonic()
        stopped = {pid for pid in pids if _is_stopped(pid)}
        self._since = {pid: self._since.get(pid, now) for pid in stopped}
        return [pid for pid, since in self._since.items() if now - since >= PATIENCE_S]


def _is_stopped(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:  # it has ended
        return False
    # After the name of the command, which stands in parentheses and may hold any character (proc_pid_stat(5)).
    return text.rpartition(")")[2].split()[0] == "T"
