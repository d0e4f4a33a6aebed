"""MINE: a small convolutional network."""

from itertools import pairwise
from typing import Annotated

from annotated_types import Gt
from torch import Tensor, nn


class Mine(nn.Module):
    """Three stages of convolution, batch norm and ReLU at half the resolution of the one before, and the mean over all places.

    Channels double where the resolution halves, as in VGG (arXiv:1409.1556, table 1).

    Args:
        in_channels: of the images.
        width: channels of the first stage.
    """

    def __init__(self, in_channels: int, *, width: Annotated[int, Gt(0)] = 32) -> None:
        super().__init__()
        channels = [in_channels, width, 2 * width, 4 * width]
        stages = [
            nn.Sequential(nn.Conv2d(n, m, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU())
            for n, m in pairwise(channels)
        ]
        self.layers = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_dim = channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Representations `h (n, d)` of images `(n, c, h, w)`."""
        h: Tensor = self.layers(images)
        return h
