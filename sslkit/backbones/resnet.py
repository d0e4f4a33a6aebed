"""ResNet as SimCLR trains it: any depth, any width, a stem for large or small images, selective kernels if wanted."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Literal

from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.backbones.layers import SamePool, conv_norm_relu
from sslkit.backbones.residual import BASIC, BOTTLENECK, SELECTIVE, Family, Residual, group
from sslkit.errors import UserError

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


class ResNet(nn.Module):
    """The residual network of the SimCLR papers (arXiv:2002.05709, section 2.3; arXiv:2006.10029, section 2).

    Blocks end in a ReLU (arXiv:1512.03385), bottlenecks stride in their 3 x 3 convolution, and the mean over the last group's
    pixels is h. It follows the authors' code and gives its numbers; where that differs from torchvision's ResNet: every group
    begins with a projection shortcut, also where the shape stays (group 1 of depths 18 and 34), max-pooling pads at the bottom
    and right only, and kernels start with variance 1 / fan-in. Running variances are unbiased as always in torch, theirs are
    biased.

    Args:
        in_channels: channels of the images.
        depth: 18 and 34 are made of basic blocks, all others of bottlenecks.
        width: factor on all channels; those of the stem, 64 * width, are rounded, and so on. d = 2048 * width, or 512 * width
            for basic blocks.
        stem: "imagenet" halves the image twice (7 x 7 with stride 2, then pooling); "small", for images up to some 32 pixels,
            is one 3 x 3 convolution that keeps their size.
        selective_kernels: the SK variant of SimCLRv2; with it the "imagenet" stem is three 3 x 3 convolutions, and shortcuts
            pool before they project. Only for bottlenecks.
        zero_init_last: start the last scale of each block at 0, so that each group starts as its first shortcut alone.

    Raises:
        UserError: selective kernels were asked of a network without bottlenecks.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        depth: Literal[18, 34, 50, 101, 152, 200] = 50,
        width: Annotated[float, Gt(0)] = 1.0,
        stem: Literal["imagenet", "small"] = "imagenet",
        selective_kernels: bool = False,
        zero_init_last: bool = True,
    ) -> None:
        super().__init__()
        family = _family(depth, selective_kernels=selective_kernels)
        c0, c1, c2, c3, c4 = (max(1, round(width * channels)) for channels in (32, 64, 128, 256, 512))
        n1, n2, n3, n4 = _BLOCKS[depth]
        e = family.expansion
        if stem == "small":
            self.stem = _small_stem(in_channels, c1)
        elif selective_kernels:
            self.stem = _deep_stem(in_channels, c1, inner=c0)
        else:
            self.stem = _large_stem(in_channels, c1)
        self.group1 = group(family, c1, c1, num_blocks=n1, stride=1)
        self.group2 = group(family, e * c1, c2, num_blocks=n2, stride=2)
        self.group3 = group(family, e * c2, c3, num_blocks=n3, stride=2)
        self.group4 = group(family, e * c3, c4, num_blocks=n4, stride=2)
        self.out_dim = e * c4
        if zero_init_last:
            for module in self.modules():
                if isinstance(module, Residual):
                    module.zero_init()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n {self.out_dim}"]:
        """Representations h of images, their channels as `in_channels` said; any height and width."""
        x = self.stem(images)
        x = self.group4(self.group3(self.group2(self.group1(x))))
        h: Tensor = x.mean((2, 3))
        return h


def _family(depth: int, *, selective_kernels: bool) -> Family:
    if depth >= 50:
        return SELECTIVE if selective_kernels else BOTTLENECK
    if selective_kernels:
        raise UserError(
            f"selective_kernels: need bottlenecks, and depth {depth} has none. "
            "Use depth 50, 101, 152 or 200, or leave selective_kernels out."
        )
    return BASIC


def _small_stem(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layer1=conv_norm_relu(in_channels, out_channels, kernel=3)))


def _large_stem(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict[str, nn.Module](layer1=conv_norm_relu(in_channels, out_channels, kernel=7, stride=2), pool=SamePool())
    )


def _deep_stem(in_channels: int, out_channels: int, *, inner: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            layer1=conv_norm_relu(in_channels, inner, kernel=3, stride=2),
            layer2=conv_norm_relu(inner, inner, kernel=3),
            layer3=conv_norm_relu(inner, out_channels, kernel=3),
            pool=SamePool(),
        )
    )
