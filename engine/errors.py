"""What can happen to a request between its admission and its answer.

EngineError
├── QueueFullError          refused at the door, nothing was done; come back in retry_after_s
├── DeadlineExceededError   its deadline passed before it was answered
├── CancelledError          whoever asked has gone
├── EngineStoppedError      the engine is draining, or is not there
├── ModelFailedError        the model could not be loaded
├── ItemFailedError         this item's forward failed, alone as well
└── MessageError            bytes on the engine's socket are not one of its messages
"""


class EngineError(Exception):
    """Root of this tree; `code` names the class in answers and logs."""

    code = "engine_error"


class QueueFullError(EngineError):
    code = "queue_full"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(EngineError):
    code = "deadline_exceeded"


class CancelledError(EngineError):
    code = "cancelled"


class EngineStoppedError(EngineError):
    code = "engine_stopped"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelFailedError(EngineError):
    code = "model_failed"


class ItemFailedError(EngineError):
    code = "item_failed"


class MessageError(EngineError):
    code = "message_invalid"
