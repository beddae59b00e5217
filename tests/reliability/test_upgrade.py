"""A restart under traffic, as systemd does it with the shipped units: every request is answered."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.engine.fakes import until
from tests.running import Service, running, tiny_settings

CLIENTS = 3


class Traffic:
    """Clients that send one text after another over new connections, and what they got."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.stopping = threading.Event()
        self.outcomes: list[object] = []
        self.threads = [threading.Thread(target=self._send, daemon=True) for _ in range(CLIENTS)]

    def _send(self) -> None:
        while not self.stopping.is_set():
            try:
                status, _, body = self.service.ask("/api/embed/text", {"text": "house", "normalize": False})
                outcome: object = json.loads(body)["embeddings"][0] if status == 200 else body
            except OSError as error:
                outcome = error
            self.outcomes.append(outcome)

    def wait_for(self, count: int) -> None:
        before = len(self.outcomes)
        until(lambda: len(self.outcomes) >= before + count)


@pytest.mark.slow
def test_a_restart_behind_a_held_socket_loses_no_request(tiny_weights: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder in folders:
        folder.mkdir()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.set_inheritable(True)
        with running(folders[0], tiny_settings(tiny_weights), listener=listener) as old:
            traffic = Traffic(old)
            for thread in traffic.threads:
                thread.start()
            traffic.wait_for(2 * CLIENTS)
        # The old service has ended. What is sent now waits until the new one is there and ready.
        with running(folders[1], tiny_settings(tiny_weights), listener=listener) as new:
            assert new.port == old.port
            traffic.wait_for(3 * CLIENTS)
            traffic.stopping.set()
            for thread in traffic.threads:
                thread.join()
        assert not new.left_behind()
    lost = [outcome for outcome in traffic.outcomes if not isinstance(outcome, list)]
    assert not lost
    assert all(np.array_equal(outcome, traffic.outcomes[0]) for outcome in traffic.outcomes)
