"""Backbones that break one promise each."""

import numpy as np
import torch
from badness import Bads
from torch import nn

bad = Bads("backbones")


class Small(nn.Module):
    """A convolution and the mean over all places, 8 numbers an image."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, 8, 3, stride=2)
        self.out_dim = 8

    def forward(self, images):
        return self.convolution(images).relu().mean(dim=(2, 3))


@bad(
    "width_is_declared", "out_dim is 7, and 2 images gave (2, 8).", also={"gray_images_are_taken": "it compares the width too"}
)
class SaysAnotherWidth(Small):
    """One convolution (2006) whose width is said wrong."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.out_dim = 7


@bad("width_is_declared", "out_dim is 8.0.")
class SaysNoInteger(Small):
    """One convolution (2006) whose width is no integer."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.out_dim = 8.0


@bad(
    "any_batch_size_is_taken",
    "a batch of 1 gave 8 rows.",
    also={"rows_do_not_depend_on_the_batch": "it hands over images one by one"},
)
class Squeezes(Small):
    """One convolution (2006); the axis of a batch of one is lost."""

    def forward(self, images):
        return super().forward(images).squeeze()


@bad("rows_do_not_depend_on_the_batch", "a row alone differs by")
class LooksAtTheBatch(Small):
    """One convolution (2006), its result centred over whatever batch it is in."""

    def forward(self, images):
        h = super().forward(images)
        return h - 0.5 * h.mean(dim=0)


@bad(
    "rows_do_not_depend_on_the_batch",
    "the same batch gave other numbers the second time.",
    also={
        "memory_layout_is_irrelevant": "two batches are never alike",
        "state_is_all_there_is": "two networks are never alike",
        "low_precision_is_finite": "two batches are never alike",
        "copies_are_independent": "two networks are never alike",
    },
)
class DropsAlways(Small):
    """One convolution (2006), with a dropout that eval mode does not stop."""

    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.1, training=True)


@bad("eval_mode_changes_nothing", "calls moved.")
class CountsItsCalls(Small):
    """One convolution (2006) that counts its calls, in eval mode too."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


@bad("gradients_reach_every_parameter", "unused.weight has none.")
class HasALayerTooMany(Small):
    """One convolution (2006), and a layer that nothing goes through."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.unused = nn.Linear(8, 8)


@bad("gradients_reach_every_parameter", "that of scale is zero everywhere.")
class MultipliesByZero(Small):
    """One convolution (2006) and a scale that counts for nothing."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return super().forward(images) + 0 * self.scale


@bad("gray_images_are_taken", "images of one channel: RuntimeError")
class ThreeChannelsWhateverIsSaid(Small):
    """One convolution (2006) of three channels, also where one is declared."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(3)


@bad("memory_layout_is_irrelevant", "channels-last images: RuntimeError: view size is not compatible")
class TakesOneLayout(Small):
    """One convolution (2006) of images that are viewed as rows of numbers."""

    def forward(self, images):
        return super().forward(images.view(len(images), -1).view(images.shape))


@bad("memory_layout_is_irrelevant", "they differ by")
class ReadsTheMemory(Small):
    """One convolution (2006) of the numbers in the order in which they lie in memory."""

    def forward(self, images):
        return super().forward(torch.as_strided(images, images.shape, torch.empty(images.shape, device="meta").stride()))


@bad("seed_decides_the_weights", "convolution.weight differs.")
class AnotherChance(Small):
    """One convolution (2006) whose weights numpy draws."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        drawn = np.random.default_rng().normal(0, 0.1, self.convolution.weight.shape)
        self.convolution.weight.data = torch.tensor(drawn, dtype=torch.float32)


@bad("state_is_all_there_is", "they differ by")
class RemembersAside(Small):
    """One convolution (2006) and a scale, drawn at the start, that its state does not hold."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.scale = 1 + float(torch.rand(()))

    def forward(self, images):
        return super().forward(images) * self.scale


@bad("state_is_all_there_is", "load_state_dict: RuntimeError")
class GrowsWithItsFirstBatch(Small):
    """One convolution (2006) whose state has a buffer more after the first batch."""

    def forward(self, images):
        h = super().forward(images)
        if self.training and "center" not in dict(self.named_buffers()):
            self.register_buffer("center", torch.zeros(8))
        return h


@bad("low_precision_is_finite", "they are off by")
class AddsALargeNumber(Small):
    """One convolution (2006), and a number that leaves no room for its result in 8 bits."""

    def forward(self, images):
        return self.convolution(images).mean(dim=(2, 3)) + 100 - 100


@bad("low_precision_is_finite", "some are not finite.")
class EndsInHalf(Small):
    """One convolution (2006) whose result overflows where it is not float32."""

    def forward(self, images):
        h = self.convolution(images)
        return (h if h.dtype == torch.float32 else h.half() * 1e5 * 1e5).mean(dim=(2, 3))


@bad("copies_are_independent", "the copy shares parameters or buffers with the original.")
class IsItsOwnCopy(Small):
    """One convolution (2006) whose copies are the same network."""

    def __deepcopy__(self, memo):
        return self


@bad("copies_are_independent", "copy.deepcopy after a batch: RuntimeError")
class KeepsItsLastResult(Small):
    """One convolution (2006) that keeps what it gave last, with its graph."""

    def forward(self, images):
        self.last = [super().forward(images)]
        return self.last[0]


@bad("tensors_move_with_it", "mean is a tensor, and neither a parameter nor a buffer.")
class KeepsATensorAside(Small):
    """One convolution (2006) of images less a mean that stays where it was made."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.mean = torch.full((in_channels, 1, 1), 0.5)

    def forward(self, images):
        return super().forward(images - self.mean)


@bad("tensors_move_with_it", "inner.mean is a tensor, and neither a parameter nor a buffer.")
class KeepsATensorInside(Small):
    """One convolution (2006), with a tensor aside in a module inside of it."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.inner = nn.Identity()
        self.inner.mean = torch.zeros(1)


@bad("cites_a_source", "neither names a source.")
class FromNowhere(Small):
    """One convolution of the images."""
