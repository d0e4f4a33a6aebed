"""Residual blocks: basic ones, bottlenecks and bottlenecks with selective kernels, and groups of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit.backbones.layers import conv_norm, conv_norm_relu
from sslkit.backbones.selective_kernel import SelectiveKernel, pooled_projection


class Residual(nn.Module):
    """A block: what goes in, by a shortcut, plus what the body makes of it.

    Args:
        shortcut: the identity, or a projection where the shape changes.
        body: the convolutions of the branch.
    """

    def __init__(self, shortcut: nn.Module, body: nn.Sequential) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.body = body

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """relu(shortcut(x) + body(x))."""
        return F.relu(self.shortcut(x) + self.body(x), inplace=True)

    def zero_init(self) -> None:
        """Let the branch start as nothing: the scale of its last batch norm becomes 0."""
        last = [module for module in self.body.modules() if isinstance(module, nn.BatchNorm2d)][-1]
        nn.init.zeros_(last.weight)


def _basic(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            layer1=conv_norm_relu(in_channels, channels, kernel=3, stride=stride),
            layer2=conv_norm(channels, channels, kernel=3),
        )
    )


def _bottleneck(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            reduce=conv_norm_relu(in_channels, channels),
            spatial=conv_norm_relu(channels, channels, kernel=3, stride=stride),
            expand=conv_norm(channels, 4 * channels),
        )
    )


def _selective_bottleneck(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            reduce=conv_norm_relu(in_channels, channels),
            spatial=SelectiveKernel(channels, channels, stride=stride),
            expand=conv_norm(channels, 4 * channels),
        )
    )


def _projection(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return conv_norm(in_channels, out_channels, stride=stride)


class Builder(Protocol):
    """(channels in, inner channels or channels out, stride) -> layers."""

    def __call__(self, in_channels: int, channels: int, /, *, stride: int) -> nn.Sequential:
        """Layers whose first one takes the stride, or whose pooling does."""


class Family(NamedTuple):
    """What the blocks of a network are made of; `expansion` is output channels / inner channels."""

    body: Builder
    shortcut: Builder
    expansion: int


BASIC = Family(_basic, _projection, expansion=1)
BOTTLENECK = Family(_bottleneck, _projection, expansion=4)
SELECTIVE = Family(_selective_bottleneck, pooled_projection, expansion=4)


def group(family: Family, in_channels: int, channels: int, *, num_blocks: int, stride: int) -> nn.Sequential:
    """The blocks of one resolution; the first takes the stride and projects, the others keep shape and identity."""
    out_channels = family.expansion * channels
    projection = family.shortcut(in_channels, out_channels, stride=stride)
    blocks = OrderedDict[str, nn.Module](block1=Residual(projection, family.body(in_channels, channels, stride=stride)))
    for number in range(2, num_blocks + 1):
        blocks[f"block{number}"] = Residual(nn.Identity(), family.body(out_channels, channels, stride=1))
    return nn.Sequential(blocks)
