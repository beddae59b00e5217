"""Targets that read files: poses, videos, checkpoints, configurations of models."""

import random
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import poses
from benchmarks import inputs
from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.targets import FaultError, Make, Send, Target
from models.catalog import ModelConfig
from poses import FEATURE_KINDS, FeatureOptions, PoseError
from processes.compression import PackingError, find_packing, unpack
from video.errors import VideoError
from video.estimates import VideoLimits

_POSE_BYTES = 2_000_000
_VIDEO_LIMITS = VideoLimits(max_bytes=1_000_000, max_seconds=20.0, max_frames=60, max_side=512, max_pixels=512 * 512)
_FIELD_DATA = inputs.ROOT / "tests" / "field" / "data"


@contextmanager
def _open_poses() -> Iterator[tuple[Make, Send]]:
    """Poses, whole and packed, and everything that takes a pose."""
    from benchmarks.fuzzing.service import pack

    seeds = [*inputs.reduced_clips(2, 5), (_FIELD_DATA / "openpose_137.pose").read_bytes()]
    words = (b"XYZC", b"POSE_LANDMARKS", b"LEFT_HAND_LANDMARKS", b"\xff\xff", struct.pack("<f", 0.1))

    def make(rng: random.Random) -> bytes:
        data = damage(rng, rng.choice(seeds), words=words, others=seeds)
        if rng.random() < 0.1:
            return damage(rng, pack(data, rng.choice(("gzip", "zstd")))) if rng.random() < 0.5 else pack(data, "gzip")
        return data

    def send(data: bytes) -> str:
        try:
            packing = find_packing(data)
            pose = poses.read(unpack(data, packing, max_bytes=_POSE_BYTES) if packing else data)
            poses.report(pose)
            features = [poses.extract(pose, kind, FeatureOptions(flip="auto")) for kind in FEATURE_KINDS]
        except (PoseError, PackingError) as error:
            return type(error).__name__
        if not all(np.isfinite(part).all() for part in features):
            raise FaultError("features that are not finite")
        return "read"

    yield make, send


def _make_videos() -> Sequence[bytes]:
    from tests.video.make_videos import corner, encode, gif_canvas, recorded

    small = corner(4, 64, 48)
    gif = encode(small, container="gif", codec="gif", pixels="rgb8")
    h264 = encode(small, options={"g": "2"})
    webm = recorded([0, 40, 80, 120])
    others = [
        encode(small, container=container, codec=codec)
        for container, codec in (
            ("matroska", "libx264"),
            ("avi", "mpeg4"),
            ("mpegts", "mpeg2video"),
            ("asf", "wmv2"),
            ("flv", "flv"),
            ("mpeg", "mpeg1video"),
        )
    ]
    return [
        gif,
        h264,
        webm,
        *others,
        gif_canvas(64, 64),
        encode(small, rotation=90),
        encode(small, codec="mjpeg", pixels="yuvj420p"),
    ]


@contextmanager
def _open_videos() -> Iterator[tuple[Make, Send]]:
    """Videos, through every check and the decoder, as the process that estimates poses reads them."""
    from video.decoding import VideoReader

    seeds = _make_videos()
    words = (
        b"ftyp",
        b"moov",
        b"mdat",
        b"stsz",
        b"elst",
        b"\x1a\x45\xdf\xa3",
        b"RIFF",
        b"OggS",
        b"\xff\xff\xff\xff",
        b"GIF89a",
    )

    def make(rng: random.Random) -> bytes:
        return damage(rng, rng.choice(seeds), words=words, others=seeds)

    def send(data: bytes) -> str:
        try:
            with VideoReader(data, _VIDEO_LIMITS) as reader:
                frames = sum(1 for _ in reader.frames())
                reader.facts()
        except VideoError as error:
            return type(error).__name__
        if not 0 < frames <= _VIDEO_LIMITS.max_frames:
            raise FaultError(f"{frames} frames")
        return "read"

    yield make, send


@contextmanager
def _open_checkpoints() -> Iterator[tuple[Make, Send]]:
    """Checkpoints of PyTorch, in both of its formats, and safetensors files."""
    import torch

    from models.catalog import load_catalog
    from models.errors import ModelsError

    config = load_catalog()["fingerclip"]
    words = (b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n", b"\x80\x02", b"R", b"}", b'"shape":[', b"F32")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file"
        seeds = _make_checkpoints(Path(name))

        def make(rng: random.Random) -> bytes:
            return damage(rng, rng.choice(seeds), words=words, others=seeds)

        def send(data: bytes) -> str:
            path.write_bytes(data)
            try:
                _read_checkpoint(path, data, config)
            except ModelsError as error:
                return type(error).__name__
            return "read"

        torch.set_num_threads(1)
        yield make, send


def _read_checkpoint(path: Path, data: bytes, config: ModelConfig) -> None:
    """Read a file in the way that its first bytes ask for, with every tensor that it names."""
    from models.checkpoints.authors import convert
    from models.checkpoints.folders import read_digest, read_safetensors_header
    from models.checkpoints.loading import load_model
    from models.checkpoints.pickled import StoredTensor, open_checkpoint
    from models.checkpoints.streamed import read_streamed

    if data[:2] == b"PK":
        with open_checkpoint(path) as (content, archive):
            for tensor in _find_tensors(content.get("model") if isinstance(content, dict) else None, StoredTensor):
                tensor.load(archive)
        convert(path, path.with_suffix(".safetensors"), config)
    elif data[:1] == b"\x80":
        stream = read_streamed(path)
        for tensor in _find_tensors(stream.content, StoredTensor):
            stream.load(tensor)
    else:
        read_safetensors_header(path)
        read_digest(path)
        load_model(path, config)


def _find_tensors(content: object, kind: type[Any]) -> list[Any]:
    return [value for value in content.values() if isinstance(value, kind)] if isinstance(content, dict) else []


def _make_checkpoints(folder: Path) -> Sequence[bytes]:
    import torch
    from safetensors.torch import save

    tensors = {
        "mmmodel.video_encoder.bert.embeddings.word_embeddings.weight": torch.ones(3, 4),
        "w": torch.ones(2, 2).T,
    }
    content = {"args": None, "cfg": {"a": [1, 2.5, "x", (None, True)]}, "model": tensors, "extra": {1, 2}}
    zipped, streamed = folder / "zipped.pt", folder / "streamed.pt"
    torch.save(content, zipped)
    torch.save({"w": torch.ones(3, 4)}, streamed, _use_new_zipfile_serialization=False)
    packed = folder / "packed.pt"
    with zipfile.ZipFile(zipped) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    return [
        *(path.read_bytes() for path in (zipped, streamed, packed)),
        save({"w": torch.ones(2, 2)}, metadata={"format": "pt", "digest": "0" * 64}),
        save({"pose_tower.bert.embeddings.word_embeddings.weight": torch.ones(3, 4, dtype=torch.float16)}),
    ]


@contextmanager
def _open_configurations() -> Iterator[tuple[Make, Send]]:
    """A model's folder that a user put among the weights."""
    from models.catalog import CONFIGS, load_catalog

    seeds = [(CONFIGS / f"{name}.yaml").read_bytes() for name in ("fingerspelling", "default", "suisse")]
    words = (
        b"base: default\n",
        b"!!python/object:os.system",
        b"&a [*a,*a]",
        b": ",
        b"\t",
        b"{",
        b"- ",
        b"0x1",
        b"1:30",
        b"2024-99-99",
    )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mine"
        folder.mkdir()
        configs = Path(name) / "configs"
        configs.mkdir()
        (configs / "default.yaml").write_bytes(seeds[1])

        def make(rng: random.Random) -> bytes:
            return damage(rng, rng.choice(seeds), words=words, others=seeds)

        def send(data: bytes) -> str:
            (folder / "config.yaml").write_bytes(data)
            catalog = load_catalog(configs, Path(name))
            if "default" not in catalog:
                raise FaultError("a user's folder has put another model out of service")
            return "taken" if "mine" in catalog else "left out"

        yield make, send


TARGETS = (
    Target("poses", 20, _open_poses),
    Target("videos", 8, _open_videos, dies_alone=True),
    Target("checkpoints", 5, _open_checkpoints),
    Target("configurations", 1, _open_configurations),
)
