"""Convolution, batch norm and max-pooling as the SimCLR authors' ResNet uses them, which is not quite torch's habit."""

from __future__ import annotations

import math
from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_TRUNCATED_STD = 0.87962566103423978  # of a standard normal that is cut off at -2 and 2


def conv(in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias whose kernel starts truncated normal, with variance 1 / fan-in."""
    made = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    std = math.sqrt(1 / (in_channels * kernel**2)) / _TRUNCATED_STD  # before it is cut off
    nn.init.trunc_normal_(made.weight, std=std, a=-2 * std, b=2 * std)
    return made


def conv_norm(in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution, then batch norm."""
    return nn.Sequential(
        OrderedDict(
            conv=conv(in_channels, out_channels, kernel=kernel, stride=stride),
            norm=nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1),
        )
    )


def conv_norm_relu(in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    made = conv_norm(in_channels, out_channels, kernel=kernel, stride=stride)
    made.add_module("relu", nn.ReLU(inplace=True))
    return made


class SamePool(nn.Module):
    """Max-pooling, 3 x 3 with stride 2, that gives ceil(h / 2) rows and pads first at the bottom and the right.

    TensorFlow's 'SAME' law: an even side is padded by one at its end only, an odd side by one at both ends. Torch's usual
    `MaxPool2d(3, 2, padding=1)` pads an even side at its start and so looks at another grid.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Pool; `ceil_mode` is the padding at the end."""
        height, width = x.shape[2:]
        return F.max_pool2d(x, 3, stride=2, padding=(height % 2, width % 2), ceil_mode=True)
