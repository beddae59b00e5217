"""From videos to the features of a network, one `.npy` file each: resumable, with a list of what failed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.video_networks.catalog import VideoNetwork
from processes.files import write_file
from processes.os_errors import describe_reason
from video.decoding import VideoReader
from video.errors import VideoError
from video.folders import OWN_FILES, Failure, Task
from video.windows import Pixels, change_rate, cut_windows, prepare_frame

if TYPE_CHECKING:
    from torch import nn

Features = npt.NDArray[np.float32] | npt.NDArray[np.float16]

# A rate that is known only at the end is believed if it differs by more than this share from what the file declared.
_RATE_SLACK = 0.01


class FeatureExtractor:
    """Works through videos with one network.

    Args:
        network: what the module wants to see.
        module: takes float32 (windows, 3, frames, side, side) and gives float32 (windows, features).
        device: that the module is on.
        batch: windows that are computed together.
    """

    def __init__(self, network: VideoNetwork, module: nn.Module, *, device: str = "cpu", batch: int = 8) -> None:
        self._network, self._module = network, module.to(device)
        self._device, self._batch = device, batch

    def run(self, tasks: Sequence[Task], on_end: Callable[[Task, Failure | None], None]) -> list[Failure]:
        """Write the features of each task's video.

        Args:
            on_end: called with each task, and with what went wrong, if anything.
        Returns:
            What failed, in the order of the tasks.
        """
        failures = []
        for task in tasks:
            failure = None
            try:
                content = io.BytesIO()
                np.save(content, self.extract(task.video.read_bytes()))
                write_file(task.target, content.getvalue())  # whole, so that an interrupted run can resume
            except VideoError as error:
                failure = Failure(task.video, error.code, str(error))
            except OSError as error:
                failure = Failure(task.video, "file", describe_reason(error))
            if failure is not None:
                failures.append(failure)
            on_end(task, failure)
        return failures

    def extract(self, video: bytes) -> Features:
        """Compute the features of a video: (windows, features), in the network's number format.

        Raises:
            VideoError: the bytes are no video, or are damaged.
        """
        fps: float | None = None
        while True:
            features, declared, found = self._extract_at(video, fps)
            if abs(found - declared) <= _RATE_SLACK * found:
                return features
            fps = found

    def _extract_at(self, video: bytes, fps: float | None) -> tuple[Features, float, float]:
        """Compute features at a rate; without one, at that which the first frame declares. Returns both rates too."""
        with VideoReader(video, OWN_FILES) as reader:
            frames = reader.frames()
            first = next(frames)
            declared = fps or reader.facts().fps
            pictures = change_rate(chain([first], frames), declared, self._network.fps)
            prepared = (prepare_frame(picture, self._network) for picture in pictures)
            features = list(self._compute(cut_windows(prepared, self._network)))
            found = fps or reader.facts().fps
        return np.concatenate(features).astype(self._network.stored_as), declared, found

    def _compute(self, windows: Iterator[Pixels]) -> Iterator[npt.NDArray[np.float32]]:
        import torch  # it takes a second, which commands that only draw or estimate need not wait for

        with torch.inference_mode():
            while together := list(islice(windows, self._batch)):
                computed = self._module(torch.from_numpy(np.stack(together)).to(self._device))
                if self._network.is_unit:
                    computed = torch.nn.functional.normalize(computed, dim=1)
                yield computed.float().cpu().numpy()
