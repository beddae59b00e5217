"""From a safetensors file to a module, strictly: every tensor gets its place, or an error names it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.architecture import SignClip
from models.catalog import ModelConfig
from models.checkpoints.folders import TEXT_WORDS, read_safetensors_header
from models.errors import CheckpointFormatError, TensorMismatchError
from processes.files import replace_file
from processes.os_errors import describe_reason

# Of the names that safetensors has for number formats: F64, F32, F16, BF16, F8_E4M3, …
_FLOATING = re.compile(r"B?F\d")
# Their numbers nearly cancel each other, so they keep all digits; see models.exemplars.
EXEMPLARS = "pose_tower.exemplars."
POSE_WORDS = "pose_tower.bert.embeddings.word_embeddings.weight"
POSE_POSITIONS = "pose_tower.bert.embeddings.position_embeddings.weight"


def list_shapes(config: ModelConfig, *, vocab_size: int | None) -> dict[str, tuple[int, ...]]:
    """List the shapes that a model's tensors have in a file, by name. No tensor is allocated.

    Args:
        config: of the model.
        vocab_size: rows of the text word list, where the configuration leaves them open.
    """
    with torch.device("meta"):
        module = SignClip(config, vocab_size=config.text_tower.vocab_size or vocab_size or 4)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if config.interpolates_positions:
        shapes[POSE_POSITIONS] = (config.pose_tower.positions, config.pose_tower.width)
    return shapes


def compare_shapes(shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """List what is wrong with a file's tensors.

    Args:
        shapes: of the file's tensors, by name.
        expected: of the model's tensors, by name.
    Returns:
        A sentence for every tensor that is missing, unexpected or of another shape.
    """
    problems = [f"{name} is missing" for name in expected if name not in shapes]
    problems += [f"{name} is unexpected" for name in shapes if name not in expected]
    problems += [
        f"{name} is {shapes[name]}, not {shape}" for name, shape in expected.items() if shapes.get(name, shape) != shape
    ]
    return problems


def write_safetensors(target: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all.

    Args:
        target: the file.
        tensors: by name, of any shapes.
        metadata: kept in the file's header, beside the format.
    Raises:
        OSError: the file cannot be written, or the disk is full.
    """
    with replace_tensor_file(target) as part:
        save_file(dict(tensors), part, metadata={"format": "pt", **metadata})


@contextmanager
def replace_tensor_file(target: Path) -> Iterator[Path]:
    """Write a file of tensors aside, as processes.files.replace_file does, with one error for a full disk.

    Args:
        target: the file.
    Yields:
        Path of an empty file in the same folder, for safetensors or torch.save.
    Raises:
        OSError: the file cannot be written, or the disk is full, which both libraries report as errors of their own.
    """
    try:
        with replace_file(target) as part:
            yield part
    except (SafetensorError, RuntimeError) as error:
        raise OSError(f"{target} cannot be written, most often because the disk is full: {error}") from error


def load_model(path: Path, config: ModelConfig, *, dtype: torch.dtype = torch.float32) -> SignClip:
    """Build a model on a safetensors file. Tensors stay memory-mapped unless their number format changes.

    Args:
        path: file that `write_safetensors` wrote.
        config: the model that the file must fit.
        dtype: number format of the module.
    Returns:
        The module in evaluation mode, without gradients.
    Raises:
        CheckpointFormatError: the file cannot be read, or it is no safetensors file.
        TensorMismatchError: a tensor is missing, unexpected, of another shape or of whole numbers; all are named.
    """
    header = read_safetensors_header(path)
    shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    vocab_size = next(iter(shapes.get(TEXT_WORDS, ())), None)
    expected = list_shapes(config, vocab_size=vocab_size)
    # Whole numbers, as of a quantized file, are no weights without the scales that belong to them.
    kinds = {name: str(header[name].get("dtype")) for name in shapes}
    whole = [f"{name} is {kind}, not floating-point" for name, kind in kinds.items() if not _FLOATING.match(kind)]
    if problems := compare_shapes(shapes, expected) + whole:
        raise TensorMismatchError(str(path), problems)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: _change_format(name, file.get_tensor(name), dtype) for name in expected}
    except (SafetensorError, OSError) as error:
        raise CheckpointFormatError(f"{path} cannot be read: {describe_reason(error)}") from error
    if config.interpolates_positions:
        tensors[POSE_POSITIONS] = interpolate_positions(tensors[POSE_POSITIONS], config.max_frames + 2)
    with torch.device("meta"):
        module = SignClip(config, vocab_size=vocab_size)
    module.load_state_dict(tensors, strict=True, assign=True)
    _materialize_buffers(module)
    return module.eval().requires_grad_(False)


def _change_format(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(torch.float32 if name.startswith(EXEMPLARS) else dtype)


def _materialize_buffers(module: SignClip) -> None:
    """Allocate the buffers that no file holds, position and token type ids, after a build on "meta"."""
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            if not buffer.is_meta:
                continue
            rows = buffer.shape[-1]
            values = (
                torch.arange(rows).unsqueeze(0) if name == "position_ids" else torch.zeros(1, rows, dtype=torch.long)
            )
            part.register_buffer(name, values, persistent=False)


def interpolate_positions(table: Tensor, rows: int) -> Tensor:
    """Stretch a position table (positions, width) to (rows, width), linearly, as the authors do for long clips."""
    stretched = torch.nn.functional.interpolate(
        table.float().T.unsqueeze(0), size=rows, mode="linear", align_corners=False
    )  # (1, width, rows)
    return stretched.squeeze(0).T.contiguous().to(table.dtype)
