"""The authors' numbers, from checkpoints in the authors' layout, through catalog, conversion and registry."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import poses
from models.backends.packed import PackedBackend
from models.backends.pytorch import TorchBackend
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder
from models.embedding import EmbeddingModel
from models.registry import Registry
from tests import make_checkpoint

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4
VARIANTS = {
    "projection": "base: default\nprojection: linear\n",
    "projection_l2": "base: default\nprojection: linear_l2\nweights: projection\n",
    "convolution": (
        "base: default\nconvolutions: 2\nmax_frames: 128\nmax_tokens: 96\nfeature_dim: 453\npose_tower: {layers: 6}\n"
    ),
}
VARIANT_TEXTS = ["<en> <ase> house", 'Sign the sign "bird" in American Sign Language.']
FINGERCLIP_TEXTS = [
    "random text",
    "Fingerspell the letter Z in German Sign Language.",
    "Fingerspell the letter A.",
    "Fingerspell the letter a in German Sign Language.",
    "Fingerspell the letter A in German Sign Language.",
]


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference within a vector, as a share of its largest value; the worst vector counts."""
    assert got.shape == wanted.shape
    return float((np.abs(got - wanted).max(axis=-1) / np.abs(wanted).max(axis=-1)).max())


@pytest.fixture(scope="module")
def build() -> Iterator[Callable[[str], dict]]:
    """The recipe of the golden weights; tensors that architectures share, most of them, are drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_checkpoint, "draw", functools.cache(make_checkpoint.draw))
        yield make_checkpoint.build


@pytest.fixture(scope="module")
def load(build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EmbeddingModel]]:
    """Loads a model from a checkpoint of the recipe; the files of one architecture are there at a time."""
    root = tmp_path_factory.mktemp("golden")
    present: dict[tuple[str, torch.dtype], Registry] = {}

    def prepare(architecture: str, folder: str, dtype: torch.dtype) -> Registry:
        for leftover in present.values():
            shutil.rmtree(leftover.weights.path)
        present.clear()
        weights = root / "weights"
        for name, text in VARIANTS.items():
            (weights / name).mkdir(parents=True)
            (weights / name / "config.yaml").write_text(text, encoding="utf-8")
        (weights / folder).mkdir(exist_ok=True)
        checkpoint = build(architecture)
        checkpoint["model"] = {
            name: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in checkpoint["model"].items()
        }
        torch.save(checkpoint, weights / folder / "checkpoint_best.pt")
        shutil.copytree(GOLDEN / "tokenizer", weights / "tokenizers" / "bert-base-cased")
        # Without a tokenizer_config.json a word list is lower-cased, as bert-base-uncased is.
        (weights / "tokenizers" / "bert-base-uncased").mkdir()
        shutil.copy(GOLDEN / "tokenizer" / "vocab.txt", weights / "tokenizers" / "bert-base-uncased")
        registry = present[architecture, dtype] = Registry(
            load_catalog(weights=weights),
            WeightsFolder(weights),
            make_backend=lambda path, config: TorchBackend(path, config, device="cpu", dtype="float32"),
        )
        return registry

    def get(name: str, *, architecture: str, folder: str, dtype: torch.dtype = torch.float32) -> EmbeddingModel:
        registry = present.get((architecture, dtype)) or prepare(architecture, folder, dtype)
        model = registry.get(name)
        # The first load converts; from then on the checkpoint is not looked at.
        (registry.weights.path / folder / "checkpoint_best.pt").unlink(missing_ok=True)
        return model

    yield get
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def signclip() -> tuple[dict, dict[str, np.ndarray]]:
    """What signclip.json asks, and what signclip.npz answers."""
    with np.load(GOLDEN / "signclip.npz") as file:
        return json.loads((GOLDEN / "signclip.json").read_text(encoding="utf-8")), dict(file)


def forwards(model: EmbeddingModel) -> Iterator[EmbeddingModel]:
    """The model as it was loaded, then without padding, as it runs on CUDA."""
    yield model
    yield replace(model, backend=PackedBackend(model.backend))


def test_signclip_texts(load, signclip):
    asked, golden = signclip
    for model in forwards(load("default", architecture="signclip", folder="default")):
        assert error(model.embed_text(asked["texts"], normalize=False), golden["texts"]) <= TOLERANCE


def test_signclip_poses_and_scores(load, signclip):
    asked, golden = signclip
    for model in forwards(load("default", architecture="signclip", folder="default")):
        clips = model.embed_pose([golden[f"features/{name}"] for name in asked["poses"]], normalize=False)
        assert error(clips, np.stack([golden[f"pose/{name}"] for name in asked["poses"]])) <= TOLERANCE
        dot = clips @ model.embed_text(asked["texts"], normalize=False).T  # (poses, texts)
        assert error(dot, golden["dot"]) <= TOLERANCE


def test_signclip_from_pose_files(load, signclip):
    asked, golden = signclip
    model = load("default", architecture="signclip", folder="default")
    read = [poses.read((GOLDEN / "poses" / f"{name}.pose").read_bytes()) for name in asked["poses"]]
    clips = model.embed_pose([poses.extract(pose, model.config.features) for pose in read], normalize=False)
    assert error(clips, np.stack([golden[f"pose/{name}"] for name in asked["poses"]])) <= TOLERANCE


def test_long_clips_stretch_the_position_table(load, signclip):
    long = poses.extract(poses.read((GOLDEN / "poses" / "gss_long.pose").read_bytes()), "signclip")
    assert len(long) > 256
    with np.load(GOLDEN / "long.npz") as golden:
        for model in forwards(load("default_long", architecture="signclip", folder="default")):
            clips = model.embed_pose([signclip[1]["features/house"], long], normalize=False)
            assert error(clips, np.stack([golden["long/house"], golden["long/gss"]])) <= TOLERANCE


def test_signclip_in_half_precision(load, signclip):
    """A float16 file holds other weights than the goldens' by its own rounding: 11 bits, so 5e-4, over 24 layers."""
    asked, golden = signclip
    model = load("default", architecture="signclip", folder="default", dtype=torch.float16)
    assert error(model.embed_text(asked["texts"], normalize=False), golden["texts"]) <= 5e-3
    clips = model.embed_pose([golden[f"features/{name}"] for name in asked["poses"]], normalize=False)
    assert error(clips, np.stack([golden[f"pose/{name}"] for name in asked["poses"]])) <= 5e-3


def test_fingerclip(load):
    for model in forwards(load("fingerclip", architecture="fingerclip", folder="fingerclip")):
        with np.load(GOLDEN / "fingerclip.npz") as golden:
            texts = model.embed_text(FINGERCLIP_TEXTS, normalize=False)
            assert error(texts, np.stack([golden[f"text/{index}"] for index in range(5)])) <= TOLERANCE
            clips = model.embed_pose([golden["features/house"], golden["features/gsg_C"]], normalize=False)
            assert error(clips, np.stack([golden["pose/house"], golden["pose/gsg_C"]])) <= TOLERANCE


@pytest.mark.parametrize("variant", ["projection", "projection_l2"])
def test_projection(load, signclip, variant):
    for model in forwards(load(variant, architecture="projection", folder="projection")):
        with np.load(GOLDEN / "variants.npz") as golden:
            texts = model.embed_text(VARIANT_TEXTS, normalize=False)
            assert error(texts, np.stack([golden[f"{variant}/text/{index}"] for index in range(2)])) <= TOLERANCE
            clip = model.embed_pose([signclip[1]["features/house"]], normalize=False)[0]
            assert error(clip, golden[f"{variant}/pose"]) <= TOLERANCE


def test_convolution(load):
    """Clips of 40, 125 and 128 frames in one batch: the second convolution sees what lies behind each one's end."""
    for model in forwards(load("convolution", architecture="convolution", folder="convolution")):
        frames = (40, 125, 128)
        with np.load(GOLDEN / "variants.npz") as golden:
            clips = model.embed_pose([golden[f"convolution_{n}/features"] for n in frames], normalize=False)
            assert error(clips, np.stack([golden[f"convolution_{n}/pose"] for n in frames])) <= TOLERANCE
            texts = model.embed_text(VARIANT_TEXTS, normalize=False)
            assert error(texts, np.stack([golden[f"convolution_40/text/{index}"] for index in range(2)])) <= TOLERANCE
