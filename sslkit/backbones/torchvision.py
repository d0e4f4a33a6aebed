"""Torchvision: any of torchvision's classification models by its name, without its classifier."""

from __future__ import annotations

import difflib
import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision import models

from sslkit.errors import SslkitError, UserError

_NUM_CLASSES = 1000  # of every model as torchvision builds it and of all weights it offers
_HALFWAY = (models.GoogLeNet, models.Inception3)  # these classify halfway too, and may normalise their images


class Torchvision(nn.Module):
    """A network from torchvision's collection; h is what its classifier would have been given.

    Which paper a model is from, its page says (https://docs.pytorch.org/vision/stable/models.html).

    The classifier is the last linear map (or 1 x 1 convolution) to the classes; a dropout right in front of it and auxiliary
    classifiers go with it. What else stands behind the convolutions stays: VGG's h comes out of two linear layers. So
    does stochastic depth. Vision transformers and MaxViT take images of one size, 224 x 224 unless their weights want more.

    Args:
        in_channels: channels of the images. If not 3, the first convolution is made anew with torch's usual start; with
            `pretrained` its kernels are, for each channel, the mean of the pretrained ones over red, green and blue.
        model: a name of `torchvision.models.list_models(module=torchvision.models)`.
        pretrained: download the best weights that torchvision has for this model. They were trained on ImageNet *with labels*.
            Images in [0, 1] are then normalised as these weights expect it; if not 3 channels, by the mean over colours.

    Raises:
        UserError: torchvision has no such model, or (when called) the model can't take images of that size.
        SslkitError: the weights can't be downloaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, in_channels: int = 3, *, model: str = "resnet18", pretrained: bool = False) -> None:
        super().__init__()
        _check_name(model)
        network = _built(model, pretrained=pretrained)
        mean, std = _normalisation(network, model, in_channels) if pretrained else ([0.0] * in_channels, [1.0] * in_channels)
        _drop_auxiliary(network)
        self.out_dim = _drop_classifier(network)
        if in_channels != 3:
            _change_channels(network, in_channels, pretrained=pretrained)
        self.model = model
        self.network = network
        # buffers, so that a saved encoder keeps them
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n {self.out_dim}"]:
        """Representations h of images."""
        try:
            h: Tensor = self.network((images - self.mean) / self.std)
        except AssertionError as error:  # so transformers refuse a size
            height, width = images.shape[2:]
            raise UserError(f"torchvision's {self.model} can't take images of {height} x {width} pixels: {error}") from error
        return h


def _check_name(model: str) -> None:
    known = models.list_models(module=models)
    if model in known:
        return
    near = difflib.get_close_matches(model.lower(), known, n=4)
    hint = f"Near: {', '.join(near)}." if near else "All names: torchvision.models.list_models(module=torchvision.models)."
    raise UserError(f"model: no classification model of torchvision is called {model!r}. {hint}")


def _built(model: str, *, pretrained: bool) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # GoogLeNet and Inception announce another start of their weights
            network: nn.Module = models.get_model(model, weights="DEFAULT" if pretrained else None)
    except OSError as error:
        raise SslkitError(f"the pretrained weights of torchvision's {model!r} can't be downloaded: {error}") from error
    return network


def _normalisation(network: nn.Module, model: str, in_channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, one a channel, of the images that a model's best weights saw."""
    preset = models.get_model_weights(model).DEFAULT.transforms()
    mean, std = preset.mean, preset.std
    if isinstance(network, _HALFWAY):  # they would turn that into (x - 0.5) / 0.5 themselves, of three channels only
        network.transform_input = False
        mean, std = [0.5] * 3, [0.5] * 3
    if in_channels == 3:
        return mean, std
    return [sum(mean) / 3] * in_channels, [sum(std) / 3] * in_channels


def _drop_auxiliary(network: nn.Module) -> None:
    """Take the classifiers halfway off, which only training would run."""
    if isinstance(network, _HALFWAY):
        network.aux_logits = False
        for name, _ in list(network.named_children()):
            if name.lower().startswith("aux"):
                setattr(network, name, None)


def _drop_classifier(network: nn.Module) -> int:
    """Take the classifier off, and a dropout right in front of it; the width of what it was given."""
    leaves = [(name, module) for name, module in network.named_modules() if not any(module.children())]
    widths = [_widths(module) for _, module in leaves]
    last = max(i for i, (_, width_out) in enumerate(widths) if width_out == _NUM_CLASSES)
    network.set_submodule(leaves[last][0], nn.Identity())
    if isinstance(leaves[last - 1][1], nn.Dropout):
        network.set_submodule(leaves[last - 1][0], nn.Identity())
    return widths[last][0]


def _widths(module: nn.Module) -> tuple[int, int]:
    """Channels in and out of a layer with weights, else zeros."""
    match module:
        case nn.Linear():
            return module.in_features, module.out_features
        case nn.Conv2d():
            return module.in_channels, module.out_channels
        case _:
            return 0, 0


def _change_channels(network: nn.Module, in_channels: int, *, pretrained: bool) -> None:
    """Let the first convolution take other than three channels."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    mean = first.weight.detach().mean(1, keepdim=True)
    first.in_channels = in_channels
    first.weight = nn.Parameter(mean.repeat(1, in_channels, 1, 1))
    if not pretrained:
        first.reset_parameters()
