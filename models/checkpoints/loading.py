"""From the authors' checkpoint file to the safetensors file that is served, strictly: every tensor is placed or named.

Source: the layout fairseq's trainer writes for MMFusionSeparate, J22Melody/fairseq@a8199440.
"""

import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.architecture import SignClip
from models.catalog import ModelConfig
from models.checkpoints.folders import TEXT_WORDS, file_digest, read_safetensors_header
from models.checkpoints.pickled import StoredTensor, open_checkpoint
from models.errors import CheckpointFormatError, TensorMismatchError

# A rule is a pattern of the authors' names, and ours. No match: the tensor is one too many.
_RULES = tuple(
    (re.compile(f"^mmmodel\\.{theirs}$"), ours)
    for theirs, ours in (
        (r"video_encoder\.videomlp\.(.+)", r"pose_tower.mlp.\1"),
        (r"video_encoder\.videoconv\.conv1d_(\d+)\.(.+)", r"pose_tower.convolution.layers.\1.\2"),
        (r"video_encoder\.bert\.(.+)", r"pose_tower.bert.\1"),
        (r"text_encoder\.(.+)", r"text_tower.bert.\1"),
        (r"video_projection\.linear\.weight", r"pose_projection.weight"),
        (r"text_projection\.linear\.weight", r"text_projection.weight"),
    )
)
# Stored in every file but used by no tower: BERT's pooler, and position_ids that older transformers wrote.
_UNUSED = re.compile(r"\.(pooler\.dense\.(weight|bias)|embeddings\.position_ids)$")
POSE_WORDS = "pose_tower.bert.embeddings.word_embeddings.weight"
POSE_POSITIONS = "pose_tower.bert.embeddings.position_embeddings.weight"
# Rows of BERT's [CLS] and [SEP] in the word list of bert-base-cased and bert-base-uncased alike.
BERT_CLS_ID, BERT_SEP_ID = 101, 102


def read_checkpoint(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Read the authors' `.pt` as this project's tensors, float32.

    Args:
        path: pickled dict whose "model" holds `mmmodel.…` tensors, float32 or float16; nothing in it is executed.
        config: the model they must fit; its pose tower keeps only the two rows of the word list it uses.
    Raises:
        CheckpointFormatError: the file cannot be read, or holds no "model".
        TensorMismatchError: a tensor is missing, one too many, or of another shape or type; all are named.
    """
    with open_checkpoint(path) as (content, archive):
        stored = content.get("model") if isinstance(content, Mapping) else None
        if not isinstance(stored, Mapping):
            raise CheckpointFormatError(f"{path} has no 'model'; the authors' checkpoints keep their tensors there")
        named, problems = _rename(stored)
        expected = expected_shapes(config, vocab_size=_rows(named, TEXT_WORDS))
        problems += _compare(named, expected)
        if problems:
            raise TensorMismatchError(str(path), problems)
        tensors = {name: _load(named[name], archive) for name in expected}
    return tensors


def _rename(stored: Mapping[object, object]) -> tuple[dict[str, StoredTensor], list[str]]:
    named: dict[str, StoredTensor] = {}
    problems = []
    for name, tensor in stored.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            problems.append(f"{name} is no tensor")
            continue
        if _UNUSED.search(name):
            continue
        ours = next((rule.sub(target, name) for rule, target in _RULES if rule.match(name)), None)
        if ours is None:
            problems.append(f"{name} is one too many")
        elif not tensor.dtype.is_floating_point:
            problems.append(f"{name} is {tensor.dtype}, not a floating-point tensor")
        else:
            named[ours] = tensor
    return named, problems


def _rows(named: Mapping[str, StoredTensor], name: str) -> int | None:
    tensor = named.get(name)
    return tensor.shape[0] if tensor is not None and len(tensor.shape) == 2 else None


def expected_shapes(config: ModelConfig, *, vocab_size: int | None) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's tensors in a file, by name; allocates nothing.

    Args:
        vocab_size: rows of the file's text word list, for configurations that leave it open.
    """
    with torch.device("meta"):
        module = SignClip(config, vocab_size=config.text_tower.vocab_size or vocab_size or 4)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if config.interpolates_positions:
        shapes[POSE_POSITIONS] = (config.pose_tower.positions, config.pose_tower.width)
    return shapes


def _compare(named: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    problems = [f"{name} is missing" for name in expected if name not in named]
    for name, tensor in named.items():
        shape = expected.get(name)
        if shape is None:
            problems.append(f"{name} is one too many")
        elif name == POSE_WORDS:
            if len(tensor.shape) != 2 or tensor.shape[0] <= BERT_SEP_ID or tensor.shape[1] != shape[1]:
                problems.append(f"{name} is {tensor.shape}, not (more than {BERT_SEP_ID}, {shape[1]})")
        elif tensor.shape != shape:
            problems.append(f"{name} is {tensor.shape}, not {shape}")
    return problems


def _load(stored: StoredTensor, archive: zipfile.ZipFile) -> Tensor:
    return stored.load(archive).to(torch.float32)


def convert(checkpoint: Path, target: Path, config: ModelConfig) -> str:
    """Write a checkpoint as safetensors beside it, atomically, and return the checkpoint's SHA-256.

    Raises:
        CheckpointError: as read_checkpoint; also when a tensor holds NaN or infinity.
    """
    digest = file_digest(checkpoint)
    tensors = read_checkpoint(checkpoint, config)
    tensors[POSE_WORDS] = tensors[POSE_WORDS][[BERT_CLS_ID, BERT_SEP_ID]].clone()
    broken = [f"{name} holds NaN or infinity" for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise TensorMismatchError(str(checkpoint), broken)
    write_safetensors(target, tensors, {"digest": digest, "source": checkpoint.name})
    return digest


def write_safetensors(target: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors so that a reader sees the whole file or none of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    try:
        save_file(dict(tensors), name, metadata={"format": "pt", **metadata})
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def load_model(path: Path, config: ModelConfig, *, dtype: torch.dtype = torch.float32) -> SignClip:
    """Build a model on a safetensors file, whose float32 tensors stay memory-mapped.

    Args:
        path: as `convert` writes it.
        dtype: number format of the module; another than the file's is copied into memory.
    Returns:
        The module in evaluation mode, no gradients.
    Raises:
        CheckpointFormatError: the file is not safetensors.
        TensorMismatchError: strictly, as read_checkpoint.
    """
    shapes = {name: tuple(entry["shape"]) for name, entry in _tensor_entries(path)}
    vocab_size = shapes[TEXT_WORDS][0] if TEXT_WORDS in shapes else None
    expected = expected_shapes(config, vocab_size=vocab_size)
    problems = [f"{name} is missing" for name in expected if name not in shapes]
    problems += [f"{name} is one too many" for name in shapes if name not in expected]
    problems += [
        f"{name} is {shapes[name]}, not {shape}" for name, shape in expected.items() if shapes.get(name, shape) != shape
    ]
    if problems:
        raise TensorMismatchError(str(path), problems)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).to(dtype) for name in expected}
    except (SafetensorError, OSError) as error:
        raise CheckpointFormatError(f"{path} cannot be read: {error}") from error
    if config.interpolates_positions:
        tensors[POSE_POSITIONS] = interpolate_positions(tensors[POSE_POSITIONS], config.max_frames + 2)
    with torch.device("meta"):
        module = SignClip(config, vocab_size=vocab_size)
    module.load_state_dict(tensors, strict=True, assign=True)
    _materialize_buffers(module)
    return module.eval().requires_grad_(False)


def _tensor_entries(path: Path) -> Iterable[tuple[str, dict[str, list[int]]]]:
    return ((name, entry) for name, entry in read_safetensors_header(path).items() if name != "__metadata__")


def _materialize_buffers(module: SignClip) -> None:
    """Give the buffers that no file holds (position and token type ids) real memory after a build on "meta"."""
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
