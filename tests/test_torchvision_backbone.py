"""Every classification model of torchvision can be a backbone, and says truly how wide its h is."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models
from torchvision.models import WeightsEnum

from sslkit.backbones.torchvision import Torchvision
from sslkit.errors import SslkitError, UserError

ALL = models.list_models(module=models)


class Weightless(TorchFunctionMode):
    """Makes parameters without memory. A whole `torch.device("meta")` won't do: RegNet computes its widths with tensors."""

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**kwargs, "device": "meta"}
        return function(*args, **kwargs)


def without_memory(model: str, in_channels: int = 3) -> Torchvision:
    with Weightless():
        backbone = Torchvision(in_channels, model=model)
    return backbone.to("meta")


KNOWN = {
    "resnet18": 512,
    "resnet50": 2048,
    "vgg11": 4096,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "mobilenet_v3_small": 1024,
    "convnext_tiny": 768,
    "vit_b_16": 768,
    "swin_t": 768,
    "squeezenet1_1": 512,
    "inception_v3": 2048,
}


@pytest.mark.parametrize("model", ALL)
@torch.no_grad()
def test_width_of_every_model(model: str) -> None:
    backbone = without_memory(model).eval()
    h = backbone(torch.empty(2, 3, 224, 224, device="meta"))
    assert h.shape == (2, backbone.out_dim)
    assert backbone.out_dim == KNOWN.get(model, backbone.out_dim)
    assert not any(isinstance(module, nn.Linear) and module.out_features == 1000 for module in backbone.modules())


SMALL = {  # and images on which it can run
    "resnet18": 32,
    "squeezenet1_1": 32,
    "shufflenet_v2_x0_5": 32,
    "mobilenet_v3_small": 32,
    "efficientnet_b0": 32,
    "regnet_y_400mf": 32,
    "googlenet": 64,
    "swin_t": 32,
}


@pytest.mark.parametrize("model", SMALL)
def test_gradient_reaches_every_parameter(model: str) -> None:
    torch.manual_seed(0)
    backbone = Torchvision(model=model).train()
    h = backbone(torch.rand(4, 3, SMALL[model], SMALL[model]).to(memory_format=torch.channels_last))
    assert h.shape == (4, backbone.out_dim)
    assert torch.isfinite(h).all()
    (h * torch.randn_like(h)).sum().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small"])
@torch.no_grad()
def test_h_is_what_the_classifier_is_given(model: str) -> None:
    torch.manual_seed(0)
    backbone = Torchvision(model=model).eval()
    torch.manual_seed(0)
    whole = models.get_model(model).eval()
    classifier = [module for module in whole.modules() if isinstance(module, nn.Linear)][-1]
    given: list[torch.Tensor] = []
    classifier.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    images = torch.rand(2, 3, 64, 64)
    whole(images)
    assert torch.equal(backbone(images), given[0])


def test_no_dropout_in_front_of_the_classifier() -> None:
    backbone = Torchvision(model="mobilenet_v3_small")
    assert not any(isinstance(module, nn.Dropout) and module.p > 0 for module in backbone.modules())


@pytest.mark.parametrize("model", ["inception_v3", "googlenet"])
def test_neither_warnings_nor_auxiliary_classifiers(model: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = without_memory(model).train()
    size = 299 if model == "inception_v3" else 96
    assert backbone(torch.empty(2, 3, size, size, device="meta")).shape == (2, backbone.out_dim)
    assert not [name for name, _ in backbone.named_parameters() if "aux" in name.lower()]


@pytest.mark.parametrize("model", ["resnet18", "vgg11", "densenet121", "convnext_tiny", "vit_b_32", "swin_t", "googlenet"])
@pytest.mark.parametrize("in_channels", [1, 5])
def test_number_of_channels(model: str, in_channels: int) -> None:
    backbone = without_memory(model, in_channels).eval()
    assert backbone(torch.empty(2, in_channels, 224, 224, device="meta")).shape == (2, backbone.out_dim)


@torch.no_grad()
def test_one_channel_with_numbers() -> None:
    h = Torchvision(1, model="resnet18")(torch.rand(2, 1, 32, 32))
    assert torch.isfinite(h).all()


def test_unknown_name() -> None:
    with pytest.raises(UserError) as caught:
        Torchvision(model="ResNet-18")
    assert "no classification model of torchvision is called 'ResNet-18'. Near: resnet18, " in str(caught.value)
    assert "vgg" not in str(caught.value)
    with pytest.raises(UserError, match="All names: "):
        Torchvision(model="xyzzy")
    with pytest.raises(UserError, match="fcn_resnet50"):  # exists, but segments
        Torchvision(model="fcn_resnet50")


def test_image_size_that_a_transformer_refuses() -> None:
    backbone = without_memory("vit_b_32")
    with pytest.raises(UserError, match=r"vit_b_32 can't take images of 32 x 48 pixels: .*Expected 224"):
        backbone(torch.empty(2, 3, 32, 48, device="meta"))


def test_same_seed_same_bits() -> None:
    images = torch.rand(2, 3, 32, 32)
    outputs = []
    for _ in range(2):
        torch.manual_seed(0)
        outputs.append(Torchvision(in_channels=3, model="squeezenet1_1").eval()(images))
    assert torch.equal(*outputs)


# --- pretrained, with weights of our own in place of the download


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], nn.Module]:
    """Has torchvision 'download' the weights of the model that is returned."""

    def prepare(model: str) -> nn.Module:
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            whole: nn.Module = models.get_model(model)
        state = whole.state_dict()
        monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
        return whole

    return prepare


MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@torch.no_grad()
def test_pretrained_weights_see_normalised_images(pretend: Callable[[str], nn.Module]) -> None:
    whole: Any = pretend("resnet18").eval()
    whole.fc = nn.Identity()
    images = torch.rand(2, 3, 32, 32)
    backbone = Torchvision(model="resnet18", pretrained=True).eval()
    torch.testing.assert_close(backbone(images), whole((images - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)))
    again = Torchvision(model="resnet18").eval()
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(images), backbone(images))


@torch.no_grad()
def test_pretrained_googlenet_normalises_once(pretend: Callable[[str], nn.Module]) -> None:
    whole: Any = pretend("googlenet").eval()
    whole.fc = nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    for in_channels in (1, 3):
        backbone = Torchvision(in_channels, model="googlenet", pretrained=True).eval()
        assert backbone(images[:, :in_channels]).shape == (2, 1024)
    torch.testing.assert_close(backbone(images), whole((images - 0.5) / 0.5))


def test_pretrained_kernels_for_other_channels(pretend: Callable[[str], nn.Module]) -> None:
    whole: Any = pretend("resnet18")
    backbone: Any = Torchvision(2, model="resnet18", pretrained=True)
    kernel = backbone.network.conv1.weight
    assert kernel.shape == (64, 2, 7, 7)
    r, g, b = whole.conv1.weight.unbind(1)
    for channel in range(2):
        torch.testing.assert_close(kernel[:, channel], (r + g + b) / 3)
    assert backbone.mean.flatten().tolist() == pytest.approx([MEAN.mean().item()] * 2)
    assert backbone.std.flatten().tolist() == pytest.approx([STD.mean().item()] * 2)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(SslkitError, match="'resnet18' can't be downloaded: no route to host"):
        Torchvision(model="resnet18", pretrained=True)
