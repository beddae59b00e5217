"""Which backend, device and number format serve a model on this machine."""

import platform
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from models.backends import Backend
from models.catalog import ModelConfig
from models.errors import BackendError

BACKENDS = ("auto", "torch", "openvino")
DTYPES = ("float32", "bfloat16", "auto")


def choose_device(wanted: str) -> str:
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a device that is there.

    Raises:
        BackendError: it is not.
    """
    if wanted == "cpu" or (wanted == "auto" and not _has_nvidia()):
        return "cpu"  # without torch, whose import takes seconds
    import torch

    count = torch.cuda.device_count()
    if wanted == "auto":
        return "cuda" if count else "cpu"
    kind, _, index = wanted.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise BackendError(f"{wanted!r} names no device; try auto, cpu, cuda or cuda:0")
    if int(index or 0) >= count:
        raise BackendError(f"{wanted!r} is not there; torch sees {count} CUDA devices")
    return wanted


def choose_dtype(wanted: str, device: str) -> str:
    """Turn "auto" into bfloat16 where the device multiplies it faster than float32, else float32.

    By what the device is, not by measuring: vectors of different formats cannot be compared, so a restart must come to
    the same. AMX does, and AVX512's instruction on AMD (twice as fast on Zen 5); on Intel, which does it in one unit of
    two, it is half as fast (a Xeon without AMX: 166 against 318 GFLOP/s).
    """
    if wanted != "auto":
        return wanted
    vendor, flags = _cpu()
    fast = "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")
    return "bfloat16" if device != "cpu" or fast else "float32"


def choose_backend(wanted: str, device: str, config: ModelConfig) -> str:
    """Turn "auto" into openvino on x86-64 CPUs, else torch.

    Models that read hand geometry are small and run in torch: their conversion would save nothing.

    Raises:
        BackendError: openvino is wanted for a GPU, or is not installed.
    """
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
    """Build the forward pass of a model on its safetensors file, all choices made."""
    if choose_backend(backend, device, config) == "openvino":
        from models.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(path, config, dtype=dtype, threads=threads)
    from models.backends.pytorch import TorchBackend

    return TorchBackend(path, config, device=device, dtype=dtype, threads=threads)


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia").exists() or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


@lru_cache(maxsize=1)
def _cpu() -> tuple[str, frozenset[str]]:
    """Vendor and flags of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "", frozenset()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    return facts.get("vendor_id", ""), frozenset(facts.get("flags", "").split())
