"""Selective kernels: a bottleneck that weighs two streams of convolutions, channel by channel, by what it sees."""

from __future__ import annotations

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit.backbones.layers import conv, conv_norm, conv_norm_relu

_RATIO = 0.0625
_FEWEST = 32


class SelectiveKernel(nn.Module):
    """Two streams of 3 x 3 convolutions, mixed by a softmax over the two.

    The mean over space of their sum goes through two 1 x 1 convolutions to two logits a channel. Source: the SimCLRv2 authors'
    code (arXiv:2006.10029), after arXiv:1903.06586, whose second stream is dilated; here both are plain.

    Args:
        in_channels: of the images that come in.
        channels: of each stream and of what goes out.
        stride: of the streams.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        squeezed = max(int(channels * _RATIO), _FEWEST)
        self.streams = conv_norm_relu(in_channels, 2 * channels, kernel=3, stride=stride)
        self.squeeze = conv_norm_relu(channels, squeezed)
        self.select = conv(squeezed, 2 * channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Convolve twice, look at the sum, and mix."""
        first, second = self.streams(x).chunk(2, dim=1)
        seen = (first + second).mean((2, 3), keepdim=True)  # (n, channels, 1, 1)
        logits = self.select(self.squeeze(seen)).chunk(2, dim=1)
        weights = torch.stack(logits).softmax(0)  # (2, n, channels, 1, 1)
        mixed: Tensor = weights[0] * first + weights[1] * second
        return mixed


class MeanPool(nn.Module):
    """Means over 2 x 2 pixels, with stride 1 or 2, that keep ceil(h / stride) rows.

    At the border TensorFlow is of two minds, and so are we: with stride 1 a mean is over the pixels that exist, with stride 2
    a missing one counts as zero.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Pool; a pixel that is repeated beyond the border leaves the mean over those that exist as it is."""
        if self.stride == 1:
            return F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        return F.avg_pool2d(x, 2, stride=2, ceil_mode=True, divisor_override=4)


def pooled_projection(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    """The shortcut that goes with selective kernels: pooling does the stride, then 1 x 1 convolution and batch norm."""
    return nn.Sequential(OrderedDict(pool=MeanPool(stride), **dict(conv_norm(in_channels, out_channels).named_children())))
