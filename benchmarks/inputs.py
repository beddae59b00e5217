"""What benchmarks run on: a full-size model with regenerable weights, and bodies of requests."""

import itertools
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np

from models.catalog import load_catalog
from models.checkpoints.folders import CHECKPOINT, WeightsFolder
from models.registry import ensure_converted
from models.tokenization import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
# Kept between runs: making, converting and tracing the model takes half a minute.
WEIGHTS = ROOT / "runs" / "benchmark-weights"
TEXT_PIECES = 6
"""Word pieces of a short text; with [CLS] and [SEP] its forward has 8 positions."""


def full_size_weights() -> WeightsFolder:
    """A weights folder whose `default` is SignCLIP at full size, by the recipe of tests/make_checkpoint.py."""
    weights = WeightsFolder(WEIGHTS)
    config = load_catalog()["default"]
    tokenizer = WEIGHTS / "tokenizers" / config.tokenizer
    if not tokenizer.is_dir():
        shutil.copytree(GOLDEN / "tokenizer", tokenizer)
    if not weights.locate_converted(config).is_file():
        checkpoint = WEIGHTS / config.folder / CHECKPOINT
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        recipe = [sys.executable, str(ROOT / "tests" / "make_checkpoint.py"), "signclip", str(checkpoint)]
        subprocess.run(recipe, check=True)
        ensure_converted(config, weights)
        checkpoint.unlink()  # 0.9 GB that nothing reads again
    return weights


def short_texts(count: int) -> list[str]:
    """Different texts of TEXT_PIECES word pieces each, so that no cache answers."""
    tokenizer = load_tokenizer(GOLDEN / "tokenizer")
    vocabulary = (GOLDEN / "tokenizer" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and 3 <= len(word) <= 8]
    generator = np.random.default_rng(0)
    texts: list[str] = []
    while len(texts) < count:
        candidates = [" ".join(generator.choice(words, TEXT_PIECES)) for _ in range(count)]
        fitting = [len(pieces) == TEXT_PIECES for pieces in tokenizer.split(candidates)]
        texts += itertools.compress(candidates, fitting)
    return texts[:count]


def house_clip() -> bytes:
    """A real clip of 73 frames, the sign HOUSE, as the authors' own estimation wrote it."""
    return (GOLDEN / "poses" / "house.pose").read_bytes()


def reduced_clips(count: int, frames: int) -> list[bytes]:
    """Different clips with SignCLIP's 203 points only, small enough for 256 of them in one body."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody

    from poses.landmarks import FACE_POINTS

    pose = Pose.read(house_clip()).get_components(
        ["POSE_LANDMARKS", "FACE_LANDMARKS", "LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"],
        {"FACE_LANDMARKS": [point.name for point in FACE_POINTS]},
    )
    clips = []
    for shift in range(count):
        body = NumPyPoseBody(pose.body.fps, pose.body.data[:frames] + shift / 7, pose.body.confidence[:frames])
        file = BytesIO()
        Pose(pose.header, body).write(file)
        clips.append(file.getvalue())
    return clips


def json_bodies(folder: Path, texts: list[str], *, at_once: int, name: str) -> list[str]:
    """Write request bodies of `at_once` texts each; returns the files' names."""
    import orjson  # the forward is measured without what HTTP needs

    files = []
    for number, start in enumerate(range(0, len(texts), at_once)):
        path = folder / f"{name}-{number}.json"
        path.write_bytes(orjson.dumps({"text": texts[start : start + at_once], "normalize": False}))
        files.append(str(path))
    return files


def multipart(clips: list[bytes], boundary: str) -> bytes:
    """One multipart body with a part `pose` for each clip."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="pose"; filename="{n}.pose"\r\n\r\n'.encode()
        + c
        + b"\r\n"
        for n, c in enumerate(clips)
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
