"""A service with the tests' small model that sends traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import Service, running, tiny_settings
from tests.trace_collector import collecting


@contextmanager
def running_traced(folder: Path, weights: Path) -> Iterator[Service]:
    """Run the service until the block ends; it logs all that it can."""
    with collecting() as traces:
        settings = tiny_settings(weights) | {
            "SIGNCLIP_SEARCH_DIR": str(folder / "search"),  # what is stored there is stored on purpose
            "SIGNCLIP_LOG_LEVEL": "DEBUG",
            "SIGNCLIP_TRACES": traces,
        }
        with running(folder, settings) as service:
            service.wait_until_ready()
            yield service
