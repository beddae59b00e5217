"""The settings of the estimators, each with its default and its limits."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from processes.cores import count_cores
from processes.settings import CONFIG, ProcessSettings

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EstimatorHealth(ProcessSettings):
    """When a process with a tracker is replaced.

    Attributes:
        max_videos: videos after which it is replaced.
        max_resident_bytes: memory past which it is replaced; a healthy process levels off at 560 MB.
        start_s: from its start until it reports that it is ready; 0.9 s on an idle machine.
        frame_s: from one frame to the next, and from a video's arrival to its first frame; usually 32 ms and 0.1 s.
            Where the process gets less than half a core, the machine is busy, and the video is not to blame.
        silence_s: from one report of the process to the next, and to accept a video, however busy the machine is.
        stop_s: from the order to stop until the process has stopped.
        address_space_bytes: addresses that it may reserve. A used tracker takes 1.2 GB of them, a video of 4096 × 4096
            pixels 0.7 GB more. What asks for more is no clip of a person who signs.
    """

    max_videos: Annotated[int, Field(ge=1)] = 200
    max_resident_bytes: Annotated[int, Field(ge=1)] = 700 * _MIB
    start_s: Annotated[float, Field(gt=0)] = 60.0
    frame_s: Annotated[float, Field(gt=0)] = 10.0
    silence_s: Annotated[float, Field(gt=0)] = 60.0
    stop_s: Annotated[float, Field(gt=0)] = 1.0
    address_space_bytes: Annotated[int, Field(ge=1)] = 2304 * _MIB


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EstimatorSettings(ProcessSettings):
    """Limits of one queue of videos and its processes. The service takes them from its own settings.

    Attributes:
        workers: processes with a tracker; None: one for each core, which a tracker fills.
        max_waiting: videos that may wait for a process. A request that does not fit is refused.
        max_bytes: of all videos that wait or run. A request that does not fit is refused.
        health: when a process is replaced.
    """

    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_waiting: Annotated[int, Field(ge=0)] = 64
    max_bytes: Annotated[int, Field(ge=1)] = 1024 * _MIB
    health: EstimatorHealth = EstimatorHealth()

    def count_workers(self) -> int:
        """Count the processes that the settings ask for on this machine."""
        return self.workers or count_cores()
