"""What the README says works as pasted, and its tables are those of the code."""

import ast
import base64
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
from prometheus_client.parser import text_string_to_metric_families

from app.reference.readme import replace_tables
from processes.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
CURL = [block for block in BLOCKS if "curl" in block]
VIDEOS = re.search(r"^## Videos\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)
VIDEO_LINES = (
    [line.partition("#")[0].strip() for line in re.findall(r"^(?:curl|\.venv).*", VIDEOS[1], re.M)] if VIDEOS else []
)
ANSWERS = ("space", "found", "recall", "embeddings", "cosine", "models", "frames", "quality", "poses", "clips")


def test_tables_are_those_of_the_code() -> None:
    assert replace_tables(README) == README, "run: python -m app.reference.readme README.md"


def test_every_linked_file_is_there() -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_names_the_system_libraries_that_the_container_has() -> None:
    install = r"apt-get install (?:--[\w-]+ )*([\w.\- ]+)"
    (named,) = re.findall(install, README)
    (installed,) = re.findall(install, (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert named.split() == installed.split()


def test_the_port_of_make_serve_is_the_service_s_port() -> None:
    (port,) = re.findall(r"make serve PORT=(\d+)", README)
    shown = subprocess.run(
        ["make", "-n", "serve", f"PORT={port}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(rf"^SIGNCLIP_PORT={port} \S*signclip serve$", shown.stdout, re.MULTILINE)


def test_make_targets_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service of `port` logs."""
    return tmp_path_factory.mktemp("serve") / "log"


@pytest.fixture(scope="module")
def port(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The service as `make serve` starts it, with two workers, on a free port, from another folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "SIGNCLIP_PORT": str(port), "SIGNCLIP_HOST": "127.0.0.1"}
    environment["SIGNCLIP_SEARCH_DIR"] = str(tmp_path_factory.mktemp("search"))
    with log.open("wb") as output:
        command = [sys.executable, str(ROOT / "signclip.py"), "serve", "-w", "2"]
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=output)
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


def test_the_log_names_the_version_that_starts(log: Path, port: int) -> None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line["version"] for line in lines if line["message"] == "starting"] == [VERSION]


def test_it_says_once_what_it_serves_what_the_model_knows_and_where(log: Path, port: int) -> None:
    give_up = time.monotonic() + 30
    while "docs" not in (written := log.read_text()) and time.monotonic() < give_up:
        threading.Event().wait(0.05)
    assert written.count(f"SignCLIP {VERSION} is ready at http://127.0.0.1:{port}") == 1
    banner = written[written.index("SignCLIP ") :]
    for words in ("fingerspelling (19 sign languages)", "letters, not signs", f"http://127.0.0.1:{port}/docs"):
        assert words in banner


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


def test_a_folder_is_indexed_and_searched_in_twelve_lines(port: int) -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "/api/collections" in block]
    assert len(code.strip().splitlines()) <= 12
    code = code.replace("localhost:3030", f"127.0.0.1:{port}")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=True, text=True
    )
    assert ast.literal_eval(done.stdout)[0]["gloss"] == "A"


def test_the_example_client_works_as_written(port: int) -> None:
    (line,) = re.findall(r"`\.venv/bin/python (client_example\.py[^`]*)`", README)
    command = [sys.executable, *line.split(), "--url", f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True, text=True)
    assert "ase_A" in done.stdout


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README's video lines find it, which write beside what they read."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("samples", "client_example.py"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def _run_video_line(line: str, folder: Path, port: int) -> subprocess.CompletedProcess[bytes]:
    """Run a line as pasted, but for this interpreter, this server's port, and the project's own folder on the path."""
    line = line.replace("localhost:3030", f"127.0.0.1:{port}").replace(".venv/bin/python", sys.executable)
    if "client_example" in line:
        line += f" --url http://127.0.0.1:{port} --allow-no-hands"  # the clip shows a head and a body
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, timeout=100, check=True
    )


def test_the_video_lines_are_found() -> None:
    for part in ("embed/video", "api/pose", "x-ndjson", "client_example.py", "estimate", "inspect", "view"):
        assert sum(part in line for line in VIDEO_LINES) >= 1, part


def test_video_lines_work_as_pasted(video_folder: Path, port: int) -> None:
    """In the README's order: the later ones read what the earlier ones write."""
    shown = {line: _run_video_line(line, video_folder, port).stdout for line in VIDEO_LINES}

    def of(part: str) -> bytes:
        return next(output for line, output in shown.items() if part in line)

    assert len(json.loads(of("embed/video"))["embeddings"]) == 1
    assert json.loads(of("embed/video"))["video"][0]["frames"] == 37
    *lines, last = map(json.loads, of("x-ndjson").splitlines())
    assert lines[-1] == {"index": 0, "frames_done": 37, "frames_total": 37}
    over_http = (video_folder / "house.pose").read_bytes()
    assert base64.b64decode(last["poses"][0]["pose"]) == over_http
    assert (video_folder / "estimated" / "house.pose").read_bytes() == over_http
    assert b"house" in of("client_example")
    assert re.search(rb"^frames +37$", of("inspect"), re.MULTILINE)
    assert of("view").endswith(b"look.mp4: 37 frames\n")
    assert (video_folder / "look.mp4").stat().st_size > 1000


def test_the_counters_of_all_processes_stand_on_one_page_each_once(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    names = [family.name for family in families]
    assert sorted(names) == sorted(set(names))
    found = {sample.name: sample for family in families for sample in family.samples}
    ready = found["signclip_engine_ready"]
    assert (ready.labels, ready.value) == ({}, 1)
    assert "signclip_requests_total" in found
    assert found["signclip_estimator_process_resident_memory_bytes"].value > 0
