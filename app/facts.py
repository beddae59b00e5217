"""What is known of the processes themselves when the page of counters is asked for; nothing counts it before."""

import os
import platform
from collections.abc import Iterator

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.counters import DIRECTORY
from processes.version import VERSION


def render_facts() -> str:
    """Render the version that runs, and how many web workers there are and what memory they have."""
    registry = CollectorRegistry()
    registry.register(_Facts())
    return generate_latest(registry).decode()


class _Facts(Collector):
    def collect(self) -> Iterator[Metric]:
        labels = {"version": VERSION, "python": platform.python_version()}
        yield InfoMetricFamily("signclip_build", "The version that serves, and its Python", labels)
        sizes = list(_measure_workers())
        yield GaugeMetricFamily("signclip_web_workers", "Web workers that run", len(sizes))
        yield GaugeMetricFamily("signclip_web_worker_resident_bytes", "Memory of the web workers together", sum(sizes))


def _measure_workers() -> Iterator[int]:
    """Measure the resident bytes of each web worker. They are forks of the master; engines are other programs."""
    if DIRECTORY not in os.environ:
        yield psutil.Process().memory_info().rss
        return
    own = psutil.Process()
    command = own.cmdline()
    for process in psutil.Process(os.getppid()).children():
        try:
            if process.cmdline() == command:
                yield process.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
