"""What can happen to a request that waits in a queue or crosses from one process to another.

ProcessError
├── QueueFullError          refused before anything was done; the client may come back after retry_after_s
├── DeadlineExceededError   the request's deadline passed before it was answered
├── CancelledError          the client disconnected before the answer
├── StoppedError            a process is shutting down, restarting, or cannot be reached
│   ├── EngineStoppedError  the process that runs the models
│   └── VideoStoppedError   the process that estimates poses in videos
└── MessageError            bytes on a socket are not one of its messages

Every class has a stable `code`, which names it in answers and logs.
"""


class ProcessError(Exception):
    """Root of this tree."""

    code = "process_failed"


class QueueFullError(ProcessError):
    """The request did not fit into the queue, and nothing was done for it.

    Args:
        retry_after_s: seconds after which the client may send it again.
    """

    code = "queue_full"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(ProcessError):
    """The request's deadline passed before it was answered."""

    code = "deadline_exceeded"


class CancelledError(ProcessError):
    """The client disconnected before the answer."""

    code = "cancelled"


class StoppedError(ProcessError):
    """A process is shutting down, restarting, or cannot be reached.

    Args:
        retry_after_s: seconds after which the client may send its request again.
    """

    code = "stopped"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineStoppedError(StoppedError):
    """The process that runs the models does not take requests."""

    code = "engine_stopped"


class VideoStoppedError(StoppedError):
    """The process that estimates poses in videos does not take requests."""

    code = "video_stopped"


class MessageError(ProcessError):
    """Bytes on a socket are not one of its messages."""

    code = "message_invalid"
