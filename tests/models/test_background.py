"""A file beside the weights is read as the background it is, or refused by one error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.background import FORMAT, Background, read_background, write_background
from models.errors import BackgroundError

ROWS = np.random.default_rng(3).normal(size=(5, 32)).astype(np.float32)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tiny.null.safetensors"
    write_background(path, Background(ROWS, ROWS[:0], "abc", "random vectors"))
    found = read_background(path, embed_dim=32)
    np.testing.assert_array_equal(found.clips, ROWS)
    assert (found.texts.shape, found.digest, found.about) == ((0, 32), "abc", "random vectors")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn, torch.float64, torch.int32])
@pytest.mark.parametrize("name", ["clips", "texts"])
def test_numbers_of_another_format_are_refused(name: str, kind: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "tiny.null.safetensors"
    tensors = {"clips": torch.from_numpy(ROWS), "texts": torch.from_numpy(ROWS)}
    save_file(tensors | {name: tensors[name].to(kind)}, path, metadata={"format": FORMAT, "digest": "abc"})
    with pytest.raises(BackgroundError, match=f"no {name} of 32 float32 numbers"):
        read_background(path, embed_dim=32)


@pytest.mark.parametrize("length", [0, 4, 40, -1])
def test_a_file_that_was_cut_off_is_refused(length: int, tmp_path: Path) -> None:
    path = tmp_path / "tiny.null.safetensors"
    write_background(path, Background(ROWS, ROWS, "abc", "random vectors"))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BackgroundError, match="cannot be read"):
        read_background(path, embed_dim=32)
