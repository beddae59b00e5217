"""Recognizes that a device has no memory left, and gives back what is kept for later batches."""

import sys


def is_exhausted(error: BaseException) -> bool:
    """Check whether an error of a forward pass means that the device, or the machine, has no memory left."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # OpenVINO and the libraries below torch pass on what C++ throws when the machine's memory is used up.
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "bad_alloc" in str(error))


def give_back() -> None:
    """Give the memory that torch keeps for later batches back to the device, where it may be in pieces too small."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
