"""What checks.walk follows: one request of each kind to the service, and one run of each command, all small."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checks.sources import ROOT

GOLDEN = ROOT / "tests" / "golden"
_MOST_S = 900.0
_TOWER = "{layers: 1, width: 16, heads: 2, inner: 32}"
_EXPERIMENT = (
    *("model.embed_dim=16", f"model.pose_tower={_TOWER}", f"model.text_tower={_TOWER}"),
    *("start.text=scratch", "start.pose=scratch", "start.model=null", "epochs=null", "steps=1"),
    *("batch={size: 2, chunk: null}", "precision=no", "data.workers=0", "optimizer.warmup=1", "data.validation=[]"),
    "data.train=[{dataset: manifest, root: own, split: all}]",
)
_CONFIG = """\
description: x
licence: x
source: x
features: signclip
feature_dim: 609
embed_dim: 32
max_frames: 64
max_tokens: 32
pose_tower: {layers: 1, width: 32, heads: 2, inner: 64, positions: 512}
text_tower: {layers: 1, width: 32, heads: 2, inner: 64, positions: 512}
tokenizer: small
"""


@dataclass(frozen=True)
class Request:
    """One request; its body is written when it is needed."""

    path: str
    content_type: str
    make_body: Callable[[], bytes]


def make_video() -> bytes:
    """Encode a short clip of somebody in view."""
    from tests.video.make_videos import encode, moving

    return encode(moving(6))


REQUESTS = {
    "text": Request(
        "/api/embed/text", "application/json", lambda: b'{"text": "A", "sign_language": "ase", "model_name": null}'
    ),
    "pose": Request(
        "/api/embed/pose", "application/octet-stream", lambda: (GOLDEN / "poses" / "ase_A.pose").read_bytes()
    ),
    "video": Request("/api/embed/video", "video/mp4", make_video),
}


def prepare_checkpoint(folder: Path, tree: Path) -> list[str]:  # noqa: ARG001
    """Write a small checkpoint in the authors' form, and the command that converts it."""
    import torch

    from tests import make_checkpoint

    model = folder / "weights" / "small"
    model.mkdir(parents=True)
    (model / "config.yaml").write_text(_CONFIG, encoding="utf-8")
    shutil.copytree(GOLDEN / "tokenizer", folder / "weights" / "tokenizers" / "small")
    make_checkpoint.VOCABULARY = 30_522
    plan = make_checkpoint.shapes(video_layers=1, text_layers=1, features=609, width=32, inner=64)
    tensors = {f"mmmodel.{name}": make_checkpoint.draw(name, shape) for name, shape in plan}
    torch.save({"model": tensors}, model / "checkpoint_best.pt")
    return ["-m", "models", "--weights-dir", str(folder / "weights"), "convert", "small"]


def prepare_training(folder: Path, tree: Path) -> list[str]:  # noqa: ARG001
    """Write a manifest of two clips, and the command that trains one step on it."""
    for name in ("bert-base-cased", "bert-base-uncased"):
        shutil.copytree(GOLDEN / "tokenizer", folder / "weights" / "tokenizers" / name)
    own = folder / "data" / "own"
    own.mkdir(parents=True)
    for pose in ("ase_A", "gsg_C"):
        shutil.copy(GOLDEN / "poses" / f"{pose}.pose", own)
    (own / "manifest.csv").write_text(
        "path,text,start_s,end_s,spoken_language,sign_language,split,signer\n"
        "ase_A.pose,A,,,en,ase,train,me\n"
        "gsg_C.pose,C,,,de,gsg,train,me\n",
        encoding="utf-8",
    )
    places = (f"data.folder={folder / 'data'}", f"data.cache={folder / 'cache'}", f"output={folder / 'model'}")
    return ["-m", "training", "configs/experiments/own_data.yaml", *_EXPERIMENT, *places, "--cpu"]


def prepare_evaluation(folder: Path, tree: Path) -> list[str]:
    """Take the same clips, and the command that evaluates the model that ships with a checkout on them."""
    prepare_training(folder, tree)
    shutil.copytree(tree / "weights" / "fingerspelling", folder / "weights" / "fingerspelling")
    options = ("--split", "all", "--device", "cpu", "--out", str(folder / "run"), "--cache", str(folder / "cache"))
    return ["-m", "evaluation", "fingerspelling", "manifest", str(folder / "data" / "own"), *options]


COMMANDS = {"checkpoint": prepare_checkpoint, "training": prepare_training, "evaluation": prepare_evaluation}


def run_command(arguments: list[str], tree: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Run Python with these arguments, as a user does.

    Raises:
        RuntimeError: the command failed; with the end of what it printed.
    """
    weights = {"SIGNCLIP_WEIGHTS_DIR": str(folder / "weights")}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tree, env={**environment, **weights}, capture_output=True, text=True, timeout=_MOST_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


@contextmanager
def serving(tree: Path, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Serve the shipped model with one web worker, an engine and one tracker; gives the address when it is ready.

    Raises:
        RuntimeError: it does not get ready; with the end of its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {"SIGNCLIP_HOST": "127.0.0.1", "SIGNCLIP_PORT": address.partition(":")[2], "SIGNCLIP_VIDEO_WORKERS": "1"}
    # The cache of texts would answer the second request.
    settings |= {"SIGNCLIP_DEFAULT_MODEL": "fingerspelling", "SIGNCLIP_TEXT_CACHE_ITEMS": "0"}
    log = folder / "log"
    with log.open("wb") as output:
        command = [str(Path(sys.executable).parent / "gunicorn"), "-w", "1", "app:app"]
        process = subprocess.Popen(command, cwd=tree, env={**environment, **settings}, stdout=output, stderr=output)
    try:
        give_up = time.monotonic() + _MOST_S
        while not _is_ready(address):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the service is not ready:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(60)


def send(address: str, request: Request) -> None:
    """Send one request and read its answer.

    Raises:
        RuntimeError: the answer is no embedding.
    """
    headers = {"Content-Type": request.content_type}
    sent = urllib.request.Request(address + request.path, request.make_body(), headers)
    with urllib.request.urlopen(sent, timeout=_MOST_S) as answer:
        content = json.load(answer)
    if len(content.get("embeddings", ())) != 1:
        raise RuntimeError(f"{request.path} answered {content}")


def clean_environment() -> dict[str, str]:
    """The environment without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGNCLIP_")}


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
