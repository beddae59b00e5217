"""How many positions one forward pass may have, so that it takes no longer than a waiting request can bear."""

from engine.tickets import Group

# The time of smaller batches is mostly overhead. A model's first batches also wait for its weights to come from disk.
SMALLEST_TOKENS, _LARGEST_TOKENS = 128, 262_144
# Weight of the newest batch in the running rate: noise of one batch moves the budget little, ten batches turn it.
_NEWEST = 0.2
# A device that had no memory for a batch gets half of it at once. What took the memory may go away, so each batch that
# runs lets the next one be this much larger: after 35 batches it is twice as large.
_REGAIN = 1.02


class BatchBudget:
    """Padded positions for one forward pass, by model and tower.

    A fixed count would mean seconds on one device and waste on another. So the rate of past batches sets it.

    Args:
        target_s: seconds that one batch should take.
        first: budget before any batch was measured.
        fixed: the budget of every batch, whatever is measured; None: measure.
    """

    def __init__(self, *, target_s: float, first: int, fixed: int | None = None) -> None:
        self._target_s = target_s
        self._first = first
        self._fixed = fixed
        self._rates: dict[Group, float] = {}
        # What the device's memory allowed, where it was once exhausted.
        self._caps: dict[Group, float] = {}

    def get_tokens(self, group: Group) -> int:
        """Get the padded positions that the next batch of a model and tower may have."""
        return int(min(self._choose_tokens(group), self._caps.get(group, _LARGEST_TOKENS)))

    def _choose_tokens(self, group: Group) -> float:
        if self._fixed is not None:
            return self._fixed
        rate = self._rates.get(group)
        if rate is None:
            return self._first
        return min(_LARGEST_TOKENS, max(SMALLEST_TOKENS, rate * self._target_s))

    def shrink(self, group: Group, *, tokens: int) -> None:
        """Learn that the device had no memory for a batch of so many positions; the next ones have half as many."""
        self._caps[group] = max(1.0, min(tokens, self.get_tokens(group)) / 2)

    def observe(self, group: Group, *, tokens: int, seconds: float) -> None:
        """Learn from a batch.

        A small batch may look slower than the device is, and never faster. So it may raise the rate, but it lowers the
        rate only if it took long.

        Args:
            tokens: padded positions of the batch.
            seconds: how long it took.
        """
        if group in self._caps:
            self._caps[group] = min(_LARGEST_TOKENS, self._caps[group] * _REGAIN)
        if seconds <= 0:
            return
        rate = tokens / seconds
        known = self._rates.get(group)
        if known is None or rate <= known:
            is_small_and_quick = tokens < self.get_tokens(group) // 4 and seconds < self._target_s / 2
            if tokens < SMALLEST_TOKENS or is_small_and_quick:
                return
        self._rates[group] = rate if known is None else known + _NEWEST * (rate - known)
