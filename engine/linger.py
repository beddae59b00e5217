"""How long a batch waits for those whom the last one answered."""

from engine.queue import Group

# Of the last batch's time. On two cores and with 0.25 to 0.4, 8 clients that ask again at once get 1.4 times as much as
# with 0, and 32 clients 1.2 times; with 0.1 they are not back in time (benchmarks.linger).
SHARE = 0.3
# Of one core, for each request that was answered. Web workers on the forward's cores take 1.2 ms to send an answer and
# to read the next request, the client its part; a fast forward (32 texts in 36 ms) is over before all are back. With
# 0.002 to 0.004, 32 clients got about the same.
RETURN_CORE_S = 0.003


class Linger:
    """Waits a little for requests of those who were just answered, while some wait already and fill no batch.

    Without it, clients that ask again at once split in two halves: while one half's batch runs, the other half's
    requests are read and wait for the next. Batches are half as large, and web workers take the cores from the forward.
    An owner that nobody waits for is idle and runs what comes at once.

    Args:
        share: of the last batch's time; 0: wait for nobody.
        return_s: seconds for each request that was answered, if that is longer; at most as long as the batch took.
    """

    def __init__(self, share: float = SHARE, *, return_s: float = 0.0) -> None:
        self._share = share
        self._return_s = return_s
        self._answered = self._arrived = self._full_tokens = 0
        self._group: Group | None = None
        self._until = 0.0

    def answered(self, requests: int, *, group: Group, full_tokens: int, seconds: float, now: float) -> None:
        """Note the end of a batch.

        Args:
            requests: whose answers went out with it.
            group: its model and tower.
            full_tokens: positions that fill the next batch.
            seconds: it took.
            now: of the clock that `left_s` is asked by.
        """
        self._answered, self._arrived, self._full_tokens, self._group = requests, 0, full_tokens, group
        return_s = min(seconds, requests * self._return_s) if self._share else 0.0
        self._until = now + max(seconds * self._share, return_s)

    def arrived(self, group: Group) -> None:
        """Note a request."""
        self._arrived += group == self._group

    def left_s(self, waiting: list[Group], waiting_tokens: int, now: float) -> float:
        """Seconds that the next batch may still wait; 0 when it should run, or there is none.

        Args:
            waiting: groups that wait; where another than the last one does, it has its turn meanwhile.
            waiting_tokens: positions that wait.
            now: of the clock that `answered` was told.
        """
        if self._arrived >= self._answered or waiting != [self._group] or waiting_tokens >= self._full_tokens:
            return 0.0
        return max(0.0, self._until - now)

    def end(self) -> None:
        """Wait no more for anyone of the last batch."""
        self._answered = 0
