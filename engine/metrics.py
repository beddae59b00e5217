"""What the engine counts, for Prometheus; docs/metrics.md lists the names. Never any user's content."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from models.catalog import Tower

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536)
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


class EngineMetrics:
    """Counters and histograms of one engine, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="signclip_engine", registry=self.registry)
        labels = ("model", "tower")
        self._batch_series: dict[tuple[str, Tower], tuple[Histogram, ...]] = {}
        self._forward = self._histogram("forward_seconds", "Seconds in one forward pass", _SECONDS, labels)
        self._items = self._histogram("batch_items", "Items in one forward pass", _ITEMS, labels)
        self._tokens = self._histogram("batch_tokens", "Padded positions in one forward pass", _TOKENS, labels)
        self._padding = self._histogram("batch_padding_share", "Padding among them, 0-1", _SHARES, labels)
        self._wait = self._histogram("queue_wait_seconds", "Seconds from admission to the first batch", _SECONDS, ())
        self._failures = Counter("signclip_engine_item_failures", "Items that failed", labels, registry=self.registry)
        self._cache = Counter("signclip_engine_text_cache", "Texts looked up", ("result",), registry=self.registry)

    def _histogram(
        self, name: str, documentation: str, buckets: tuple[float, ...], labels: tuple[str, ...]
    ) -> Histogram:
        return Histogram(f"signclip_engine_{name}", documentation, labels, buckets=buckets, registry=self.registry)

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Register a gauge that is read at every scrape."""
        Gauge(f"signclip_engine_{name}", documentation, registry=self.registry).set_function(read)

    def count_batch(self, model: str, tower: Tower, *, items: int, tokens: int, padded: int, seconds: float) -> None:
        """Count a forward pass.

        Args:
            tokens: positions of its items.
            padded: positions with padding.
            seconds: how long it took.
        """
        forward_seconds, batch_items, batch_tokens, padding_share = self._find_batch_series(model, tower)
        forward_seconds.observe(seconds)
        batch_items.observe(items)
        batch_tokens.observe(padded)
        padding_share.observe(1 - tokens / padded)

    def _find_batch_series(self, model: str, tower: Tower) -> tuple[Histogram, ...]:
        """Find the histograms of batches with their labels, because the client library takes as long as to count."""
        found = self._batch_series.get((model, tower))
        if found is None:
            histograms = (self._forward, self._items, self._tokens, self._padding)
            found = self._batch_series[model, tower] = tuple(each.labels(model, tower) for each in histograms)
        return found

    def count_wait(self, seconds: float) -> None:
        """Count how long a request waited for its first batch."""
        self._wait.observe(seconds)

    def count_failures(self, model: str, tower: Tower, count: int) -> None:
        """Count items that failed."""
        self._failures.labels(model, tower).inc(count)

    def count_lookups(self, *, hits: int, misses: int) -> None:
        """Count texts that the cache had, and those that it did not have."""
        self._cache.labels("hit").inc(hits)
        self._cache.labels("miss").inc(misses)

    def export(self) -> str:
        """Write all counters in Prometheus' text format."""
        return generate_latest(self.registry).decode()
