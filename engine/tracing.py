"""The engine's own spans: how long a request waited and ran, below the span of the web worker that sent it."""

import logging
import time
from dataclasses import replace

from engine.delivery import Deliver
from engine.interface import EmbedRequest, EmbedResult
from processes.errors import ProcessError
from processes.settings import SettingsError
from processes.tracing import Traces, read_parent

log = logging.getLogger(__name__)
_NS = 1_000_000_000
# What waits is sent at the end for this long at most, in seconds: the supervisor waits 4.
_FLUSH_S = 1.0


class EngineTraces:
    """Sends the spans of requests that came with a position in a trace. Others cost nothing.

    Args:
        endpoint: see processes.tracing.Traces.
    Raises:
        SettingsError: the packages of the extra are not installed.
    """

    def __init__(self, endpoint: str) -> None:
        self._traces = Traces(endpoint, service="signclip-engine")

    def record(self, request: EmbedRequest, result: EmbedResult, *, admitted_ns: int) -> EmbedResult:
        """Send the spans of a request that was answered.

        Args:
            admitted_ns: when it came, in nanoseconds of time.time_ns().
        Returns:
            The same answer, marked as traced.
        """
        tracer = self._traces.get_tracer()
        parent = read_parent({"traceparent": request.traceparent or ""})
        began_ns, ended_ns = admitted_ns + int(result.queue_s * _NS), time.time_ns()
        facts: dict[str, str | int] = {"signclip.model": request.model, "signclip.tower": request.tower}
        facts |= {"signclip.items": len(result.embeddings), "signclip.cached": result.cached}
        if request.request_id is not None:
            facts["signclip.request_id"] = request.request_id
        tracer.start_span("queue", parent, start_time=admitted_ns, attributes=facts).end(end_time=began_ns)
        tracer.start_span("forward", parent, start_time=began_ns, attributes=facts).end(
            end_time=max(began_ns, ended_ns)
        )
        return replace(result, traced=True)

    def close(self) -> None:
        """Send what waits."""
        self._traces.flush(_FLUSH_S)


def follow(traces: EngineTraces | None, request: EmbedRequest, deliver: Deliver) -> Deliver:
    """Wrap what receives the answer of a request, so that its spans are sent first; without traces, wrap nothing."""
    if traces is None or request.traceparent is None:
        return deliver
    admitted_ns = time.time_ns()

    def deliver_traced(answer: EmbedResult | ProcessError) -> None:
        if isinstance(answer, EmbedResult):
            answer = traces.record(request, answer, admitted_ns=admitted_ns)
        deliver(answer)

    return deliver_traced


def open_traces(endpoint: str | None) -> EngineTraces | None:
    """Open traces; None where none are wanted, or where the packages for them are missing, which is logged."""
    if not endpoint:
        return None
    try:
        return EngineTraces(endpoint)
    except SettingsError as error:  # the web workers refuse to start, so nobody overlooks it
        log.error("the engine sends no traces", extra={"error": str(error)})
        return None
