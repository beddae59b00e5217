"""What the web worker changes of gunicorn's."""

from collections import deque
from types import SimpleNamespace

from app.worker import Worker


def test_a_stop_caps_connections_without_a_request_as_it_caps_those_between_two() -> None:
    worker = object.__new__(Worker)
    kept, pending, leaving = (SimpleNamespace(timeout=timeout) for timeout in (90.0, 80.0, 3.0))
    worker.keepalived_conns, worker.pending_conns = deque([kept]), deque([leaving, pending])
    worker._cap_keepalive(5.0)
    assert (kept.timeout, pending.timeout, leaving.timeout) == (5.0, 5.0, 3.0)
