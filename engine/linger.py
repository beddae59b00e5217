"""How long a batch lingers for the clients that the last batch answered, because they often ask again at once."""

from engine.tickets import Group

# Share of the last batch's time. On two cores and with 0.25 to 0.4, 8 clients that ask again at once get 1.4 times as
# much as with 0, and 32 clients 1.2 times; with 0.1 they are not back in time (benchmarks.linger).
SHARE = 0.3
# Seconds of one core for each request that was answered. Web workers on the forward pass's cores take 1.2 ms to send an
# answer and to read the next request, and the client needs time too. A fast forward pass (32 texts in 36 ms) is over
# before all clients are back. With 0.002 to 0.004, 32 clients got about the same.
RETURN_CORE_S = 0.003


class Linger:
    """Decides whether a batch that is not full waits a little for the clients that were just answered.

    Without it, clients that ask again at once split into two halves. While one half's batch runs, the other half's
    requests are read, and wait for the next batch. Then batches are half as large, and web workers take the cores from
    the forward pass. When no request waits, the owner thread is idle and runs the next request at once.

    Args:
        share: share of the last batch's time that the next one may linger; 0: it never does.
        return_s: seconds for each request that was answered, if that is longer; at most as long as the batch took.
    """

    def __init__(self, share: float = SHARE, *, return_s: float = 0.0) -> None:
        self._share = share
        self._return_s = return_s
        self._answered = self._arrived = self._full_tokens = 0
        self._group: Group | None = None
        self._until = 0.0

    def note_batch(self, answered: int, *, group: Group, full_tokens: int, seconds: float, now: float) -> None:
        """Note the end of a batch.

        Args:
            answered: requests that it answered.
            group: its model and tower.
            full_tokens: positions that fill the next batch.
            seconds: how long it took.
            now: seconds of the clock that `compute_left_s` is given.
        """
        self._answered, self._arrived, self._full_tokens, self._group = answered, 0, full_tokens, group
        return_s = min(seconds, answered * self._return_s) if self._share else 0.0
        self._until = now + max(seconds * self._share, return_s)

    def note_arrival(self, group: Group) -> None:
        """Note that a request was admitted."""
        self._arrived += group == self._group

    def compute_left_s(self, waiting: list[Group], waiting_tokens: int, now: float) -> float:
        """Compute how long the next batch may still linger, in seconds; 0: it should run, or no request waits.

        Args:
            waiting: groups with waiting items. If another group than the last batch's waits, it runs in the meantime.
            waiting_tokens: positions that wait.
            now: seconds of the clock that `note_batch` was given.
        """
        if self._arrived >= self._answered or waiting != [self._group] or waiting_tokens >= self._full_tokens:
            return 0.0
        return max(0.0, self._until - now)

    def end(self) -> None:
        """Wait for no more clients of the last batch."""
        self._answered = 0
