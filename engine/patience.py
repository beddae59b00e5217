"""How long a batch waits for those whom the last one answered."""

# Of the last batch's time. On two cores and with 0.25 to 0.4, 8 clients that ask again at once get 1.4 times as much as
# with 0, and 32 clients 1.2 times; with 0.1 they are not back in time (benchmarks.patience).
SHARE = 0.3


class Patience:
    """Waits a little for requests of those who were just answered, while some wait already and fill no batch.

    Without it, clients that ask again at once split in two halves: while one half's batch runs, the other half's
    requests are read and wait for the next. Batches are half as large, and web workers take the cores from the forward.
    An owner that nobody waits for is idle and runs what comes at once.

    Args:
        share: of the last batch's time, at most; 0: none.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._answered = self._arrived = self._full_tokens = 0
        self._until = 0.0

    def answered(self, requests: int, *, full_tokens: int, seconds: float, now: float) -> None:
        """Note the end of a batch.

        Args:
            requests: whose answers went out with it.
            full_tokens: positions that fill the next batch.
            seconds: it took.
            now: of the clock that `left_s` is asked by.
        """
        self._answered, self._arrived, self._full_tokens = requests, 0, full_tokens
        self._until = now + seconds * self._share

    def arrived(self) -> None:
        """Note a request."""
        self._arrived += 1

    def left_s(self, waiting_tokens: int, now: float) -> float:
        """Seconds that the next batch may still wait; 0 when it should run, or there is none."""
        if self._arrived >= self._answered or not 0 < waiting_tokens < self._full_tokens:
            return 0.0
        return max(0.0, self._until - now)

    def end(self) -> None:
        """Wait no more for anyone of the last batch."""
        self._answered = 0
