"""What can go wrong inside the engine, beside the errors of every queue and process (processes/errors.py).

ProcessError
└── EngineError             the engine failed on its own account; the request may be sent again
    ├── ModelFailedError    the model could not be loaded
    └── ItemFailedError     the forward pass failed on this item, even alone
        └── DeviceMemoryError  the device has too little free memory for this item, even alone

Every class has a stable `code`, which names it in answers and logs.
"""

from processes.errors import ProcessError


class EngineError(ProcessError):
    """Root of this tree."""

    code = "engine_error"


class ModelFailedError(EngineError):
    """The model could not be loaded, or its vectors are not the recorded ones."""

    code = "model_failed"


class ItemFailedError(EngineError):
    """The forward pass failed on this item, even alone."""

    code = "item_failed"


class DeviceMemoryError(ItemFailedError):
    """The device has too little free memory for this item, even alone.

    Attributes:
        retry_after_s: seconds after which the client may send it again.
    """

    code = "device_memory_exhausted"

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
