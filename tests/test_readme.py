"""What the README says works as pasted, and its tables are those of the code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.reference import with_tables

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
CURL = [block for block in BLOCKS if "curl" in block]
ANSWERS = ("embeddings", "cosine", "models", "frames", "quality", "poses", "clips")


def test_tables_are_those_of_the_code() -> None:
    assert with_tables(README) == README, "run: python -m app.reference README.md"


def test_every_linked_file_is_there() -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The service as `make serve` starts it, with two workers, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "SIGNCLIP_PORT": str(port), "SIGNCLIP_HOST": "127.0.0.1"}
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as output:
        command = [str(Path(sys.executable).parent / "gunicorn"), "-w", "2", "app:app"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    give_up = time.monotonic() + 120
    while not _ready(port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        threading.Event().wait(0.1)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_there_are_five_curl_lines() -> None:
    assert len(CURL) >= 5


@pytest.mark.parametrize("command", CURL)
def test_curl_lines_work_as_pasted(command: str, port: int) -> None:
    command = command.replace("localhost:3030", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert any(key in answer for key in ANSWERS), answer


def test_the_letter_a_is_recognized_over_http(port: int) -> None:
    command = next(block for block in CURL if "similarity" in block).replace("localhost:3030", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert answer["model_name"] == "fingerspelling"
    (cosines,) = answer["cosine"]
    assert cosines.index(max(cosines)) == 0


def test_the_example_client_works_as_written(port: int) -> None:
    (line,) = re.findall(r"`python (client_example\.py[^`]*)`", README)
    command = [sys.executable, *line.split(), "--url", f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True, text=True)
    assert "ase_A" in done.stdout
