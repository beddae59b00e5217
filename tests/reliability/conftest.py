"""One service for the tests of what is seen of it from outside, because its start takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.traced_service import running_traced
from tests.running import Service


@pytest.fixture(scope="session")
def traced_service(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pytest.importorskip("opentelemetry.exporter.otlp.json.http", reason="requirements-tracing.txt is not installed")
    with running_traced(tmp_path_factory.mktemp("service"), tiny_weights) as service:
        yield service
