"""How much one forward pass may hold so that it takes about as long as a waiting request can bear."""

from engine.queue import Group

# Batches smaller than this measure overhead, and a model's first ones how long its weights take from the disk.
SMALLEST_TOKENS, _LARGEST_TOKENS = 128, 262_144
# Weight of the newest batch in the running rate: noise of one batch moves the budget little, ten batches turn it.
_NEWEST = 0.2


class BatchBudget:
    """Padded positions for one forward pass, by model and tower.

    A fixed count would mean seconds on one device and waste on another, so the rate of past batches sets it.

    Args:
        target_s: seconds one batch should take.
        first: budget before anything was measured.
        fixed: use this count always.
    """

    def __init__(self, *, target_s: float, first: int, fixed: int | None = None) -> None:
        self._target_s = target_s
        self._first = first
        self._fixed = fixed
        self._rates: dict[Group, float] = {}

    def tokens(self, group: Group) -> int:
        if self._fixed is not None:
            return self._fixed
        rate = self._rates.get(group)
        if rate is None:
            return self._first
        return int(min(_LARGEST_TOKENS, max(SMALLEST_TOKENS, rate * self._target_s)))

    def observe(self, group: Group, *, tokens: int, seconds: float) -> None:
        """Learn from a batch of `tokens` padded positions.

        A small one can only be slower than the device is: it may raise the rate, and lowers it only where it took long.
        """
        if seconds <= 0:
            return
        rate = tokens / seconds
        known = self._rates.get(group)
        if known is None or rate <= known:
            quick = tokens < self.tokens(group) // 4 and seconds < self._target_s / 2
            if tokens < SMALLEST_TOKENS or quick:
                return
        self._rates[group] = rate if known is None else known + _NEWEST * (rate - known)
