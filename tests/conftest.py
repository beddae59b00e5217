"""Fixtures for every room: one small seeded model, in a weights folder of its own, loaded as users' own models are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import settings

if TYPE_CHECKING:
    from models.embedding import EmbeddingModel

# Nothing under test may reach for the network; the libraries that could are told before their first import.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
for name in [name for name in os.environ if name.startswith("SIGNCLIP_")]:
    del os.environ[name]

# The same examples on every machine, however slow it is: a red run can be repeated.
settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("suite")

TINY = {
    "description": "Small seeded model for tests; its vectors mean nothing.",
    "licence": "MIT",
    "source": "tests/conftest.py",
    "features": "signclip",
    "feature_dim": 609,
    "embed_dim": 32,
    "max_frames": 64,
    "max_tokens": 32,
    "pose_tower": {"layers": 2, "width": 32, "heads": 4, "inner": 64, "positions": 66},
    "text_tower": {"layers": 2, "width": 32, "heads": 4, "inner": 64, "positions": 32},
    "tokenizer": "tiny",
    "sign_languages": ["ase", "gsg"],
    "spoken_languages": ["en", "de"],
}
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789äöü"
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"<>.,?!-'\"",
    *CHARACTERS,
    *(f"##{character}" for character in CHARACTERS),
    *("house", "sun", "police", "how", "are", "you", "en", "de", "as", "##e", "gs", "##g"),
]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder that holds one model, `tiny`: config.yaml, model.safetensors and tokenizer/."""
    import torch  # not at the top: the tests of rooms without torch start in a tenth of the time

    from models.architecture import SignClip
    from models.catalog import load_catalog
    from models.checkpoints.loading import write_safetensors

    weights = tmp_path_factory.mktemp("weights")
    tokenizer = weights / "tiny" / "tokenizer"
    tokenizer.mkdir(parents=True)
    words = list(dict.fromkeys(VOCABULARY))
    (tokenizer / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (tokenizer / "tokenizer_config.json").write_text('{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}')
    (weights / "tiny" / "config.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")

    module = SignClip(load_catalog(weights=weights)["tiny"], vocab_size=len(words))
    generator = torch.Generator().manual_seed(0)
    tensors = {
        # Far wider than a fresh BERT's 0.02: every part of the input then moves the vector measurably.
        name: torch.randn(tensor.shape, generator=generator) * 0.2 + ("LayerNorm.weight" in name)
        for name, tensor in module.state_dict().items()
    }
    write_safetensors(weights / "tiny" / "model.safetensors", tensors, {})
    return weights


@pytest.fixture(scope="session")
def tiny_model(tiny_weights: Path) -> EmbeddingModel:
    """The model of `tiny_weights`, loaded on the CPU in float32."""
    from models.backends.pytorch import TorchBackend
    from models.catalog import load_catalog
    from models.checkpoints.folders import WeightsFolder
    from models.registry import Registry

    registry = Registry(
        load_catalog(weights=tiny_weights),
        WeightsFolder(tiny_weights),
        make_backend=lambda path, config: TorchBackend(path, config, device="cpu", dtype="float32"),
    )
    return registry.get("tiny")
