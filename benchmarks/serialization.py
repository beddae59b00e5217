"""What the web workers spend around a forward: vectors into answers, base64 and poses out of bodies.

    python -m benchmarks.serialization [--quick] [--out FILE.json]

One thread; microseconds of the fastest of many repetitions, each way in turn.
"""

import argparse
import base64
import json
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pybase64
from pose_format import Pose

from app.answers.vectors import encode_rows
from benchmarks import inputs
from benchmarks.measuring import machine_facts, write_results
from models.vectors import Vectors
from poses import extract, read

ITEMS, DIMENSIONS = 16, 768


def fastest_us(ways: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Microseconds of each way's fastest round; the ways take turns, so that noise meets all of them."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - started))
    return best


def npy(vectors: Vectors) -> bytes:
    """Write vectors, float32 (items, embed_dim), as NumPy's file format."""
    file = BytesIO()
    np.save(file, vectors, allow_pickle=False)
    return file.getvalue()


def answers(vectors: Vectors) -> dict[str, Callable[[], bytes]]:
    """Ways to write vectors, float32 (items, embed_dim)."""
    return {
        "json of the standard library": lambda: json.dumps({"embeddings": vectors.tolist()}).encode(),
        "orjson over lists": lambda: orjson.dumps({"embeddings": vectors.tolist()}),
        "orjson over the array (served)": lambda: orjson.dumps(
            {"embeddings": encode_rows(vectors, "float")}, option=orjson.OPT_SERIALIZE_NUMPY
        ),
        "base64 (served)": lambda: orjson.dumps({"embeddings": encode_rows(vectors, "base64")}),
        "base64_float16 (served)": lambda: orjson.dumps({"embeddings": encode_rows(vectors, "base64_float16")}),
        ".npy (served)": lambda: npy(vectors),
    }


def bodies(clip: bytes) -> dict[str, Callable[[], Any]]:
    """Ways to take a clip of 73 frames from a body."""
    text = base64.b64encode(clip).decode()
    document = orjson.dumps({"pose": text})
    return {
        "json of the standard library": lambda: json.loads(document),
        "orjson (served)": lambda: orjson.loads(document),
        "base64 of the standard library": lambda: base64.b64decode(text, validate=True),
        "pybase64 (served)": lambda: pybase64.b64decode(text, validate=True),
        "pose-format's reader": lambda: Pose.read(clip),
        "poses.read (served)": lambda: read(clip),
        "poses.read and extract (served)": lambda: extract(read(clip), "signclip"),
    }


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rounds = 50 if options.quick else 400
    vectors = np.random.default_rng(0).standard_normal((ITEMS, DIMENSIONS)).astype(np.float32)
    results = {
        "machine": machine_facts(),
        "answers_us": fastest_us(answers(vectors), rounds=rounds),
        "bodies_us": fastest_us(bodies(inputs.house_clip()), rounds=rounds),
    }
    sizes = {name: len(way()) for name, way in answers(vectors).items()}
    print(f"{ITEMS} vectors of {DIMENSIONS} numbers into an answer")
    for name, microseconds in results["answers_us"].items():
        print(f"  {name:36}{microseconds:10.0f} µs{sizes[name] / 1024:10.0f} KiB")
    print("a clip of 73 frames out of a body")
    for name, microseconds in results["bodies_us"].items():
        print(f"  {name:36}{microseconds:10.0f} µs")
    write_results("serialization", results, options.out)


if __name__ == "__main__":
    main()
