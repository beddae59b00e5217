"""A closed-loop HTTP load: so many connections, each sending its next request when the last was answered.

    python -m benchmarks.load PLAN.json

A process of its own, so that its work is not the server's. Only the standard library: a heavier client would take the
cores it measures. The plan names bodies in files; the result goes to standard output as JSON.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What to send.

    Attributes:
        bodies: files with one body each, sent in turn by all connections together.
        target: path and query, "/api/embed/text".
        seconds: how long new requests are started; those under way are still awaited.
        refused_pause_s: how long a connection waits after a refusal; clients that heed Retry-After wait longer.
        keep: whether answers are kept and returned, as (body, status, text).
    """

    host: str
    port: int
    target: str
    content_type: str
    bodies: list[str]
    concurrency: int
    seconds: float
    keep: bool = False
    refused_pause_s: float = 0.0


@dataclass
class Outcome:
    """Latencies in seconds of answers with status 200, and every status seen; 0 stands for a broken connection."""

    latencies_s: list[float]
    statuses: dict[str, int]
    wall_s: float
    answers: list[tuple[int, int, str]]


async def _connection(plan: Plan, bodies: list[bytes], turn: "itertools.count[int]", end: float, out: Outcome) -> None:
    statuses: Counter[int] = Counter()
    reader = writer = None
    while time.monotonic() < end:
        index = next(turn) % len(bodies)
        started = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(plan.host, plan.port, limit=2**26)
            status, body, closes = await _exchange(plan, bodies[index], reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status, body, closes = 0, b"", True
            await asyncio.sleep(0.02)  # a server that restarts refuses connections by the thousand otherwise
        if status == 200:
            out.latencies_s.append(time.monotonic() - started)
        elif status and plan.refused_pause_s:
            await asyncio.sleep(plan.refused_pause_s)
        statuses[status] += 1
        if plan.keep:
            out.answers.append((index, status, body.decode("utf-8", "replace")))
        if closes and writer is not None:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    for status, count in statuses.items():
        out.statuses[str(status)] = out.statuses.get(str(status), 0) + count


async def _exchange(
    plan: Plan, body: bytes, reader: "asyncio.StreamReader | None", writer: asyncio.StreamWriter
) -> tuple[int, bytes, bool]:
    assert reader is not None
    head = (
        f"POST {plan.target} HTTP/1.1\r\nHost: {plan.host}\r\nContent-Type: {plan.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(lines[0].split()[1]), content, headers.get("connection", "").lower() == "close"


async def run(plan: Plan) -> Outcome:
    """Send what the plan says, and wait for the last answer."""
    bodies = [Path(name).read_bytes() for name in plan.bodies]
    started = time.monotonic()
    out = Outcome([], {}, 0.0, [])
    turn = itertools.count()
    await asyncio.gather(
        *(_connection(plan, bodies, turn, started + plan.seconds, out) for _ in range(plan.concurrency))
    )
    out.wall_s = time.monotonic() - started
    return out


if __name__ == "__main__":
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(asdict(asyncio.run(run(plan)))))
