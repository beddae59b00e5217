"""What the estimators count, in Prometheus' words; docs/metrics.md lists the names. Never any user's content."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_PREFIX = "signclip_estimator_"
_WAIT_S = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
# From a video of one second on an idle core to two minutes at 60 frames per second on a busy one.
_VIDEO_S = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 300.0)
DONE = "done"


class EstimatorMetrics:
    """Counters and histograms of one queue of videos, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="signclip_estimator", registry=self.registry)
        self._videos = Counter(_PREFIX + "videos", "Videos that came to an end", ("code",), registry=self.registry)
        self._frames = Counter(_PREFIX + "frames", "Frames that were looked at", registry=self.registry)
        self._wait = Histogram(
            _PREFIX + "queue_wait_seconds",
            "Seconds from admission to a process",
            buckets=_WAIT_S,
            registry=self.registry,
        )
        self._seconds = Histogram(
            _PREFIX + "video_seconds", "Seconds a process had a video", buckets=_VIDEO_S, registry=self.registry
        )

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Have a gauge read at every scrape."""
        Gauge(_PREFIX + name, documentation, registry=self.registry).set_function(read)

    def watch_counts(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Have counts that somebody else keeps read at every scrape, by the value of a label."""
        self.registry.register(_Counts(_PREFIX + name, documentation, label, read))

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def looked_at(self) -> None:
        """Count a frame."""
        self._frames.inc()

    def ended(self, code: str, seconds: float) -> None:
        """Count a video: DONE, or the code of what was wrong with it or with the process."""
        self._videos.labels(code).inc()
        self._seconds.observe(seconds)

    def exposition(self) -> str:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry).decode()


class _Counts(Collector):
    def __init__(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._about = (name, documentation)
        self._label = label
        self._read = read

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(*self._about, labels=[self._label])
        for value, count in self._read().items():
            family.add_metric([value], count)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(*self._about, labels=[self._label])
