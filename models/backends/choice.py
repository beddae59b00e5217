"""Chooses the backend, device and number format that serve a model on this machine."""

import platform
from importlib.util import find_spec
from pathlib import Path

from models.backends import Backend
from models.catalog import ModelConfig
from models.errors import BackendError

BACKENDS = ("auto", "torch", "openvino")
DTYPES = ("auto", "float32", "tf32", "float16", "bfloat16")
CPU_DTYPES = ("float32", "bfloat16")


def choose_device(wanted: str) -> str:
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a device of this machine.

    Raises:
        BackendError: this is not the name of a device, or the machine has no such device.
    """
    if wanted == "cpu" or (wanted == "auto" and not _has_nvidia()):
        return "cpu"  # before torch is imported, which takes seconds
    import torch

    count = torch.cuda.device_count()
    if wanted == "auto":
        return "cuda" if count else "cpu"
    kind, _, index = wanted.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise BackendError(f"{wanted!r} is not a device; choose auto, cpu, cuda or cuda:0")
    if int(index or 0) >= count:
        raise BackendError(f"there is no device {wanted!r}: torch finds {count} CUDA devices; choose auto or cpu")
    return wanted


def choose_dtype(wanted: str, device: str) -> str:
    """Turn "auto" into float16 on CUDA, because the authors trained in it, and into float32 on CPUs.

    On CUDA float16 is as fast as bfloat16 and strays an eighth as far from the authors' numbers (docs/performance.md).

    Raises:
        BackendError: there is no number format of this name, or a CPU does not multiply it faster than float32.
    """
    if wanted not in DTYPES:
        raise BackendError(f"there is no number format {wanted!r}; choose one of {', '.join(DTYPES)}")
    on_cpu = device == "cpu"
    if wanted == "auto":
        return "float32" if on_cpu else "float16"
    if on_cpu and wanted not in CPU_DTYPES:
        raise BackendError(f"{wanted} needs a CUDA device; on a CPU choose {' or '.join(CPU_DTYPES)}")
    return wanted


def choose_backend(wanted: str, device: str, config: ModelConfig) -> str:
    """Turn "auto" into openvino on x86-64 CPUs, else torch.

    Models that read hand geometry run in torch, because they are small and their conversion would save nothing.

    Raises:
        BackendError: there is no backend of this name, or openvino is wanted for a GPU or is not installed.
    """
    if wanted not in BACKENDS:
        raise BackendError(f"there is no backend {wanted!r}; choose one of {', '.join(BACKENDS)}")
    installed = find_spec("openvino") is not None
    if wanted == "openvino" and (device != "cpu" or not installed):
        raise BackendError(f"the openvino backend {'runs on the CPU only' if installed else 'is not installed'}")
    if config.pose_frontend == "hand_geometry":
        return "torch"
    if wanted != "auto":
        return wanted
    fits = device == "cpu" and installed and platform.machine() in ("x86_64", "AMD64")
    return "openvino" if fits else "torch"


def make_backend(
    path: Path, config: ModelConfig, *, backend: str, device: str, dtype: str, threads: int | None
) -> Backend:
    """Build the forward pass of a model.

    Args:
        path: safetensors file of the model.
        config: of the model.
        backend: one of BACKENDS.
        device: as choose_device returns it.
        dtype: as choose_dtype returns it.
        threads: cores that one forward pass may use; None: all cores of the process.
    Raises:
        BackendError: the backend is not available on this machine.
        CheckpointError: the file does not fit the model.
    """
    if choose_backend(backend, device, config) == "openvino":
        from models.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(path, config, dtype=dtype, threads=threads)
    from models.backends.pytorch import TorchBackend

    padded = TorchBackend(path, config, device=device, dtype=dtype, threads=threads)
    if device == "cpu":
        return padded
    from models.backends.packed import pack

    return pack(padded)


def import_backend(config: ModelConfig, *, backend: str, device: str) -> None:
    """Import the libraries of a model's backend, which takes seconds, and load nothing.

    Args:
        backend: one of BACKENDS.
        device: as choose_device returns it.
    Raises:
        BackendError: the backend is not available on this machine.
    """
    if choose_backend(backend, device, config) == "openvino":
        from models.backends.openvino_conversion import import_openvino

        import_openvino()
    else:
        import models.backends.pytorch  # noqa: F401


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia").exists() or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()
