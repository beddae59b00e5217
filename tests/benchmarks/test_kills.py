"""The benchmark that kills engines: what it calls right, wrong, refused and untyped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.kills import check, golden_requests
from benchmarks.load import Outcome


def answer(vector: np.ndarray) -> str:
    return json.dumps({"embeddings": [vector.tolist()]})


def test_every_answer_is_held_to_the_golden_of_its_own_request(tmp_path: Path) -> None:
    for kind, asked in golden_requests(tmp_path).items():
        right, other = asked.expected[1], asked.expected[2]
        counts = check(
            Outcome(
                [], {}, 0.0,
                [
                    (1, 200, answer(right)),
                    (1, 200, answer(right * 1.001)),
                    (1, 200, answer(other)),
                    (1, 503, '{"code": "engine_stopped"}'),
                    (1, 503, "<html>"),
                    (1, 500, '{"code": "internal"}'),
                    (1, 0, ""),
                ],
            ),
            asked.expected,
        )  # fmt: skip
        assert counts == {"right": 1, "wrong": 2, "refused 503": 1, "untyped 503": 1, "untyped 500": 1, "untyped 0": 1}
        body = json.loads(Path(asked.bodies[1]).read_text(encoding="utf-8"))
        assert body[kind]
        assert body["normalize"] is False
