"""Sends spans to an OpenTelemetry collector; an extra of its own (requirements-tracing.txt)."""

import os
import threading
from typing import TYPE_CHECKING, Any

from processes.packages import explain_missing
from processes.settings import SettingsError
from processes.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer


class Traces:
    """Sends spans. A thread of this process sends them, and is started after a fork.

    Args:
        endpoint: where a collector takes OTLP as JSON over HTTP, as http://localhost:4318/v1/traces.
        service: what the process is, as collectors show it.
    Raises:
        SettingsError: the packages of the extra are not installed.
    """

    def __init__(self, endpoint: str, *, service: str = "signclip") -> None:
        with explain_missing("SIGNCLIP_TRACES", "requirements-tracing.txt", error=SettingsError):
            import opentelemetry.exporter.otlp.json.http.trace_exporter
            import opentelemetry.sdk.trace.export  # noqa: F401
        self._endpoint = endpoint
        self._service = service
        self._lock = threading.Lock()
        self._provider: Any = None
        self._owner_pid = 0

    def get_tracer(self) -> "Tracer":
        """Return the tracer of this process."""
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        with self._lock:
            if self._owner_pid != os.getpid():
                resource = Resource.create({"service.name": self._service, "service.version": VERSION})
                self._provider = TracerProvider(resource=resource)
                self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(self._endpoint)))
                self._owner_pid = os.getpid()
            tracer: Tracer = self._provider.get_tracer("signclip", VERSION)
            return tracer

    def flush(self, limit_s: float = 30.0) -> None:
        """Send what waits, for limit_s at most."""
        if self._provider is not None and self._owner_pid == os.getpid():
            self._provider.force_flush(round(1000 * limit_s))


def read_parent(headers: dict[str, str]) -> "Context":
    """Read whose span the spans of a request stand below, from `traceparent` and `tracestate`."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers)
