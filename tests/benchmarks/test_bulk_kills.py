"""The benchmark that kills bulk runs: which processes it kills, and what it calls them."""

from __future__ import annotations

import pytest

from benchmarks.bulk_kills import name_process


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (
            "python -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7) "
            "--multiprocessing-fork",
            "process that prepares clips",
        ),
        ("python -m video.worker 12 4000000000", "process that tracks videos"),
        ("ray::MapWorker(MapBatches(Embed)).submit", "actor of Ray"),
        ("/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=/tmp/ray/raylet --store", "raylet"),
        ("python -c from multiprocessing.resource_tracker import main;main(3)", None),
    ],
)
def test_a_victim_is_called_what_it_is(command: str, name: str | None) -> None:
    assert name_process(command) == name
