"""S3D-G with self-gating, in the layout of MIL-NCE's weights on HowTo100M (`s3d_howto100m.pth`).

Sources: S. Xie, C. Sun, J. Huang, Z. Tu and K. Murphy (2018), Rethinking Spatiotemporal Feature Learning: convolutions
in space, then in time, in Inception blocks whose branches are gated by their own averages. A. Miech et al. (2020),
End-to-End Learning of Visual Representations from Uncurated Instructional Videos: the first convolution reads blocks of
2 × 2 × 2 pixels, and a linear layer places the average in a space shared with texts. The text side is not built.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ShapeError

FEATURES = 512
# Outputs of a block's convolutions: alone; before and of the first pair; before and of the second; after pooling.
_BLOCKS = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
# Where frames or pixels become fewer before a block: kernel and stride of the pooling.
_POOLINGS = {"mixed_3b": ((1, 3, 3), (1, 2, 2)), "mixed_4b": ((3, 3, 3), (2, 2, 2)), "mixed_5b": ((2, 2, 2), (2, 2, 2))}


class S3d(nn.Module):
    """From clips to features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Convolution(3 * 8, 64, (2, 4, 4), padding=(1, 2, 2))
        self.conv_2b = _Convolution(64, 64, (1, 1, 1))
        self.conv_2c = _Convolution(64, 192, (1, 3, 3), padding=(0, 1, 1), frames=3)
        self.gating = _Gate(192)
        channels = 192
        for name, outputs in _BLOCKS.items():
            block = _Block(channels, outputs)
            self.add_module(name, block)
            channels = block.channels
        self.fc = nn.Linear(channels, FEATURES)

    def forward(self, clips: Tensor) -> Tensor:
        """Compute the features of clips.

        Args:
            clips: float32 (clips, 3, frames, height, width), RGB from 0 to 1; frames and sides are even.
        Returns:
            float32 (clips, 512).
        Raises:
            ShapeError: the number of frames or a side is odd.
        """
        x = self.conv1(_gather_blocks(clips))[:, :, 1:, 1:, 1:]  # the padding of TensorFlow is on the far side alone
        x = _pool(x, (1, 3, 3), (1, 2, 2))
        x = self.gating(self.conv_2c(self.conv_2b(x)))
        for name in _BLOCKS:
            if name in _POOLINGS:
                x = _pool(x, *_POOLINGS[name])
            x = getattr(self, name)(x)
        features: Tensor = self.fc(x.mean(dim=(2, 3, 4)))
        return features


class _Convolution(nn.Module):
    """A convolution in space or in all dimensions, then one over some frames if there are several."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int],
        *,
        padding: tuple[int, int, int] = (0, 0, 0),
        frames: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.in_time = frames > 1
        if self.in_time:
            self.conv2 = nn.Conv3d(outputs, outputs, (frames, 1, 1), padding=(frames // 2, 0, 0), bias=False)
            self.bn2 = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x))) if self.in_time else x


class _Gate(nn.Module):
    """Weighs each channel by what all channels average to."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.fc(x.mean(dim=(2, 3, 4))))
        return weights[:, :, None, None, None] * x


class _Block(nn.Module):
    """An Inception block: four branches on the same input, gated and joined."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        alone, before_first, first, before_second, second, pooled = outputs
        self.conv_b0 = _Convolution(inputs, alone, (1, 1, 1))
        self.conv_b1_a = _Convolution(inputs, before_first, (1, 1, 1))
        self.conv_b1_b = _Convolution(before_first, first, (1, 3, 3), padding=(0, 1, 1), frames=3)
        self.conv_b2_a = _Convolution(inputs, before_second, (1, 1, 1))
        self.conv_b2_b = _Convolution(before_second, second, (1, 3, 3), padding=(0, 1, 1), frames=3)
        self.conv_b3_b = _Convolution(inputs, pooled, (1, 1, 1))
        self.gating_b0, self.gating_b1 = _Gate(alone), _Gate(first)
        self.gating_b2, self.gating_b3 = _Gate(second), _Gate(pooled)
        self.channels = alone + first + second + pooled

    def forward(self, x: Tensor) -> Tensor:
        branches = (
            self.gating_b0(self.conv_b0(x)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(x))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(x))),
            self.gating_b3(self.conv_b3_b(functional.max_pool3d(x, 3, stride=1, padding=1))),
        )
        return torch.cat(branches, dim=1)


def _gather_blocks(clips: Tensor) -> Tensor:
    """Turn blocks of 2 × 2 × 2 pixels into channels: (clips, 24, frames / 2, height / 2, width / 2)."""
    count, channels, frames, height, width = clips.shape
    if frames % 2 or height % 2 or width % 2:
        raise ShapeError(f"clips of {frames} frames of {height} × {width}; S3D needs even numbers")
    blocks = clips.reshape(count, channels, frames // 2, 2, height // 2, 2, width // 2, 2)
    # The place in a block counts more than the colour.
    blocks = blocks.permute(0, 3, 5, 7, 1, 2, 4, 6)  # clips, 2, 2, 2, channels, frames / 2, height / 2, width / 2
    return blocks.reshape(count, 8 * channels, frames // 2, height // 2, width // 2)


def _pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Take largest values as TensorFlow does: a border of zeros, the odd one on the far side; nothing is left over."""
    sides = [(size - step) // 2 for size, step in zip(kernel, stride, strict=True)]
    far = [size - step - side for size, step, side in zip(kernel, stride, sides, strict=True)]
    borders = [border for near_far in zip(reversed(sides), reversed(far), strict=True) for border in near_far]
    return functional.max_pool3d(functional.pad(x, borders), kernel, stride, ceil_mode=True)
