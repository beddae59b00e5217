"""What the estimators count, for Prometheus; docs/metrics.md lists the names. Never any user's content."""

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
    """Counters and histograms of one queue of videos, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="signclip_estimator", registry=self.registry)
        self._videos = Counter(_PREFIX + "videos", "Videos that are finished", ("code",), registry=self.registry)
        self._frames = Counter(_PREFIX + "frames", "Frames that were estimated", registry=self.registry)
        self._wait = Histogram(
            _PREFIX + "queue_wait_seconds",
            "Seconds from admission to a process",
            buckets=_WAIT_S,
            registry=self.registry,
        )
        self._seconds = Histogram(
            _PREFIX + "video_seconds",
            "Seconds that a process worked on a video",
            buckets=_VIDEO_S,
            registry=self.registry,
        )

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Register a gauge that is read at every scrape."""
        Gauge(_PREFIX + name, documentation, registry=self.registry).set_function(read)

    def watch_counts(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Register counters that are kept elsewhere and read at every scrape.

        Args:
            label: name of the label that tells the counters apart.
            read: gives each counter by the value of the label.
        """
        self.registry.register(_Counts(_PREFIX + name, documentation, label, read))

    def count_wait(self, seconds: float) -> None:
        """Count how long a request waited until a process started on one of its videos."""
        self._wait.observe(seconds)

    def count_frame(self) -> None:
        """Count a frame that was estimated."""
        self._frames.inc()

    def count_video(self, code: str, seconds: float) -> None:
        """Count a video that is finished.

        Args:
            code: DONE, or the code of the error of the video or of its process.
            seconds: how long a process worked on it.
        """
        self._videos.labels(code).inc()
        self._seconds.observe(seconds)

    def export(self) -> str:
        """Write all counters in Prometheus' text format."""
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
