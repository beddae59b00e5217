"""Published weights of video networks: read without executing them, and loaded strictly."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from models.checkpoints.loading import compare_shapes
from models.checkpoints.pickled import StoredTensor, open_checkpoint
from models.checkpoints.streamed import read_streamed
from models.errors import CheckpointFormatError, TensorMismatchError
from models.video_networks import i3d, s3d
from models.video_networks.catalog import VideoNetwork
from processes.os_errors import describe_reason

_ZIP = b"PK\x03\x04"
# Where training scripts put a network's tensors, and what several GPUs put before their names.
_STATE, _PARALLEL = "state_dict", "module."
# Counts batches of training, is not used afterwards, and is missing from weights of PyTorch before 0.4.1.
_BATCH_COUNT = "num_batches_tracked"
# The text side of MIL-NCE's S3D. Its tensors are known, and left out.
_S3D_TEXTS = MappingProxyType(
    {
        "text_module.word_embd.weight": (66250, 300),
        "text_module.fc1.weight": (2048, 300),
        "text_module.fc1.bias": (2048,),
        "text_module.fc2.weight": (512, 2048),
        "text_module.fc2.bias": (512,),
    }
)
_CLASSIFIER = "logits.conv3d.weight"


def load_network(network: VideoNetwork, path: Path) -> nn.Module:
    """Build a network on published weights.

    Args:
        network: which one.
        path: of the published file, in either of PyTorch's forms.
    Returns:
        The network in evaluation mode, without gradients; it takes clips and gives float32 (clips, features).
    Raises:
        CheckpointFormatError: the file cannot be read, or holds no tensors.
        TensorMismatchError: a tensor is missing, unexpected or of another shape; all are named.
    """
    tensors = {name: tensor for name, tensor in read_tensors(path).items() if not name.endswith(_BATCH_COUNT)}
    module: nn.Module
    left_out: Mapping[str, tuple[int, ...]] = {}
    if network.name == "s3d":
        module, left_out = s3d.S3d(), _S3D_TEXTS
    else:
        classifier = tensors.get(_CLASSIFIER)
        module = i3d.I3d() if classifier is None else i3d.I3d(len(classifier))
    built = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    expected = {name: shape for name, shape in built.items() if not name.endswith(_BATCH_COUNT)} | dict(left_out)
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if problems := compare_shapes(given, expected):
        raise TensorMismatchError(str(path), problems)
    module.load_state_dict({name: tensors[name] for name in tensors if name not in left_out})
    return module.eval().requires_grad_(False)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file that PyTorch wrote, by name, without executing anything in it.

    Raises:
        CheckpointFormatError: the file cannot be read, or holds no tensors.
    """
    try:
        with path.open("rb") as file:
            is_archive = file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise CheckpointFormatError(f"{path} cannot be read: {describe_reason(error)}") from error
    if is_archive:
        with open_checkpoint(path) as (content, archive):
            return {name: stored.load(archive) for name, stored in _find_tensors(content, path).items()}
    checkpoint = read_streamed(path)
    return {name: checkpoint.load(stored) for name, stored in _find_tensors(checkpoint.content, path).items()}


def _find_tensors(content: Any, path: Path) -> dict[str, StoredTensor]:
    if isinstance(content, dict) and isinstance(content.get(_STATE), dict):
        content = content[_STATE]
    found = content.items() if isinstance(content, dict) else ()
    tensors = {str(name).removeprefix(_PARALLEL): value for name, value in found if isinstance(value, StoredTensor)}
    if not tensors:
        raise CheckpointFormatError(f"{path} holds no tensors by name")
    return tensors
