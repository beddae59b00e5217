"""Merges the counters of several processes into one page for Prometheus, where a label tells the processes apart."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


def merge_expositions(pages: Mapping[str, str], label: str) -> str:
    """Merge pages in Prometheus' text format into one, in which each metric stands once.

    Args:
        pages: by the value that the label has for the samples of the page.
        label: name of the label.
    """
    families: dict[str, Metric] = {}
    for value, page in pages.items():
        for family in text_string_to_metric_families(page):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                known.samples.append(sample._replace(labels={label: value, **sample.labels}))
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry).decode()


class _Families(Collector):
    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()
