"""An object store on this machine: moto's server speaks S3."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.running import ROOT, free_port


@contextmanager
def running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module of Python with further variables until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def serve_bucket(name: str) -> Iterator[dict[str, str]]:
    """Serve an empty bucket; yields the variables that name its store."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with running(["moto.server", "--host", "127.0.0.1", "--port", str(port)], **own):
        _wait_for_bucket(f"{url}/{name}")
        yield own | {"AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}


def _wait_for_bucket(url: str) -> None:
    """Make a bucket as soon as the server listens."""
    deadline, never = time.monotonic() + 60, threading.Event()
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, b"", method="PUT"), timeout=10).close()
        except OSError:
            assert time.monotonic() < deadline, "moto's server does not answer"
            never.wait(0.1)
        else:
            return
