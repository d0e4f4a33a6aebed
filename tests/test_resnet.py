"""ResNet agrees with the authors' own network, and with what can be said of it on paper."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit.backbones.layers import SamePool, conv
from sslkit.backbones.residual import Residual
from sslkit.backbones.resnet import ResNet
from sslkit.backbones.selective_kernel import MeanPool, SelectiveKernel
from sslkit.errors import UserError

GOLDEN = {
    "r18_cifar": {"depth": 18, "stem": "small"},
    "r18_w2_cifar": {"depth": 18, "stem": "small", "width": 2.0},
    "r50": {"depth": 50},
    "r50_w2": {"depth": 50, "width": 2.0},
    "r50_sk": {"depth": 50, "selective_kernels": True},
}


# --- the authors' network: their variables, in the order in which they were made


def official(folder: Path, tag: str, layer: str) -> list[dict[str, np.ndarray]]:
    """The variables of all layers of a kind, `conv2d` or `batch_normalization`, in the order in which these were made."""
    names, shapes = json.loads((folder / f"resnet_{tag}_variables.json").read_text())
    layers: dict[int, dict[str, np.ndarray]] = {}
    for index, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        found = re.search(rf"/{layer}(?:_(\d+))?/(\w+):0$", name)
        if found:
            layers.setdefault(int(found[1] or 0), {})[found[2]] = variable(index, found[2], shape)
    return [layers[number] for number in sorted(layers)]


def variable(index: int, kind: str, shape: list[int]) -> np.ndarray:
    generator = np.random.RandomState(1000 + index)
    if kind == "kernel":
        values = generator.randn(*shape) * np.sqrt(2 / np.prod(shape[:-1]))
    elif kind == "gamma":
        values = 1 + 0.1 * generator.randn(*shape)
    elif kind == "moving_variance":
        values = 1 + 0.5 * generator.rand(*shape)
    else:
        values = 0.1 * generator.randn(*shape)
    return values.astype(np.float32)


def in_order_of_creation(network: ResNet) -> Iterator[nn.Module]:
    """Convolutions and batch norms as the authors' code makes them: in each block the shortcut comes first."""
    yield from network.stem.modules()
    for group in (network.group1, network.group2, network.group3, network.group4):
        for block in group:
            yield from block.shortcut.modules()
            for layer in block.body:
                if isinstance(layer, SelectiveKernel):
                    for part in (layer.streams, layer.squeeze, layer.select):
                        yield from part.modules()
                else:
                    yield from layer.modules()


def load_official(network: ResNet, folder: Path, tag: str) -> None:
    modules = list(in_order_of_creation(network))
    convs = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert len(set(convs + norms)) == sum(isinstance(m, nn.Conv2d | nn.BatchNorm2d) for m in network.modules())
    targets: list[tuple[Tensor, np.ndarray]] = []
    for module, values in zip(convs, official(folder, tag, "conv2d"), strict=True):
        targets.append((module.weight, values["kernel"].transpose(3, 2, 0, 1)))
    for module, values in zip(norms, official(folder, tag, "batch_normalization"), strict=True):
        targets.append((module.weight, values["gamma"]))
        targets.append((module.bias, values["beta"]))
        targets.append((module.running_mean, values["moving_mean"]))
        targets.append((module.running_var, values["moving_variance"]))
    for target, value in targets:
        assert target.shape == value.shape
        target.data.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def train_once(network: ResNet, images: Tensor) -> Tensor:
    """One forward in training mode that moves running variances by the biased variance of the batch, as TensorFlow does."""
    before, counts, handles = {}, {}, []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            before[module] = module.running_var.clone()
            handles.append(
                module.register_forward_pre_hook(lambda norm, x: counts.update({norm: x[0].numel() // x[0].shape[1]}))
            )
    h = network.train()(images)
    for handle in handles:
        handle.remove()
    for norm, old in before.items():
        n = counts[norm]
        norm.running_var.copy_(0.9 * old + (norm.running_var - 0.9 * old) * (n - 1) / n)
    return h


def relative_error(ours: Tensor, theirs: np.ndarray) -> float:
    return float((ours - torch.from_numpy(theirs)).norm() / np.linalg.norm(theirs))


@pytest.mark.parametrize("tag", GOLDEN)
@torch.no_grad()
def test_agrees_with_the_official_network(shared: Path, tag: str) -> None:
    golden = np.load(shared / "golden" / f"resnet_{tag}.npz")
    with torch.device("meta"):
        network = ResNet(**GOLDEN[tag])
    network.to_empty(device="cpu").to(memory_format=torch.channels_last)
    load_official(network, shared / "golden", tag)
    images = torch.from_numpy(golden["images"]).permute(0, 3, 1, 2)  # (n, c, h, w), channels last in memory
    assert relative_error(network.eval()(images), golden["eval_features"]) < 1e-5
    if tag.startswith("r50"):
        # Batch statistics of 4 images magnify rounding a thousandfold in 53 layers: the selective net's float32 is 1e-3 away
        # from its own float64. So ours are exact here, and the error is that of the golden numbers alone.
        network, images = network.double(), images.double()
    assert relative_error(train_once(network, images), golden["train_features"]) < 1e-3
    assert relative_error(network.eval()(images), golden["eval_features_after_train_step"]) < 1e-4


# --- pooling: literal restatements, for every size


def same_max_pool(x: np.ndarray) -> np.ndarray:
    """TensorFlow's 'SAME', 3 x 3 with stride 2, of one (h, w) image that is never negative."""
    sides = []
    for side in x.shape:
        out = math.ceil(side / 2)
        total = max((out - 1) * 2 + 3 - side, 0)
        sides.append((out, total // 2, total - total // 2))
    (rows, top, bottom), (columns, left, right) = sides
    padded = np.pad(x, ((top, bottom), (left, right)))
    return np.array([[padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max() for j in range(columns)] for i in range(rows)])


def mean_pool(x: np.ndarray, stride: int) -> np.ndarray:
    """2 x 2 means of one (h, w) image: with stride 1 of the pixels that exist, with stride 2 after zeros at the far ends."""
    if stride == 2:
        x = np.pad(x, ((0, 1), (0, 1)))
        return np.array(
            [[x[i : i + 2, j : j + 2].mean() for j in range(0, x.shape[1] - 1, 2)] for i in range(0, x.shape[0] - 1, 2)]
        )
    return np.array([[x[i : i + 2, j : j + 2].mean() for j in range(x.shape[1])] for i in range(x.shape[0])])


sizes = st.integers(1, 9)


@given(sizes, sizes, st.booleans())
def test_max_pooling_is_same_padded(height: int, width: int, channels_last: bool) -> None:
    x = torch.rand(2, 3, height, width, dtype=torch.float64)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    expected = [[same_max_pool(channel.numpy()) for channel in image] for image in x]
    np.testing.assert_array_equal(SamePool()(x).numpy(), np.array(expected))


@given(sizes, sizes, st.sampled_from([1, 2]))
def test_mean_pooling_at_the_border(height: int, width: int, stride: int) -> None:
    x = torch.rand(2, 3, height, width, dtype=torch.float64).to(memory_format=torch.channels_last)
    expected = [[mean_pool(channel.numpy(), stride) for channel in image] for image in x]
    np.testing.assert_allclose(MeanPool(stride)(x).numpy(), np.array(expected), rtol=1e-12)


def test_max_pooling_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)  # windows begin at rows and columns 0 and 2
    assert SamePool()(x).tolist() == [[[[10.0, 11.0], [14.0, 15.0]]]]


# --- selective kernels


@torch.no_grad()
def test_selective_kernel_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = SelectiveKernel(3, 5).double().eval()
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    streams = layer.streams(x)
    u = [streams[:, :5], streams[:, 5:]]
    s = (u[0] + u[1]).mean((2, 3))
    a = layer.select(layer.squeeze(s[:, :, None, None]))[:, :, 0, 0]
    for image in range(2):
        for channel in range(5):
            e = [math.exp(a[image, channel]), math.exp(a[image, 5 + channel])]
            expected = (e[0] * u[0][image, channel] + e[1] * u[1][image, channel]) / sum(e)
            torch.testing.assert_close(layer(x)[image, channel], expected)


@pytest.mark.parametrize(("width", "expected"), [(1.0, [32, 32, 32, 32]), (2.0, [32, 32, 32, 64]), (3.0, [32, 32, 48, 96])])
def test_squeezed_widths(width: float, expected: list[int]) -> None:
    with torch.device("meta"):
        network = ResNet(width=width, selective_kernels=True)
    groups = (network.group1, network.group2, network.group3, network.group4)
    assert [group.block1.body.spatial.select.in_channels for group in groups] == expected


def test_selective_kernels_need_bottlenecks() -> None:
    with pytest.raises(UserError, match=r"depth 34 has none\. Use depth 50, 101, 152 or 200"):
        ResNet(depth=34, selective_kernels=True)


# --- the whole network

MILLIONS = [  # depth, width, selective kernels, trainable parameters as published
    (18, 1.0, False, 11.18),
    (18, 2.0, False, 44.7),
    (18, 4.0, False, 178.7),
    (34, 1.0, False, 21.29),
    (34, 4.0, False, 340.3),
    (50, 1.0, False, 23.51),
    (50, 1.0, True, 35.2),
    (50, 2.0, False, 93.9),
    (50, 2.0, True, 140.3),
    (50, 3.0, True, 315.5),
    (50, 4.0, False, 375.4),
    (101, 1.0, False, 42.5),
    (101, 2.0, True, 257.1),
    (152, 2.0, False, 232.3),
    (152, 3.0, True, 794.7),
    (200, 1.0, False, 62.6),
    (200, 2.0, True, 381.1),
]


@pytest.mark.parametrize(("depth", "width", "selective_kernels", "millions"), MILLIONS)
def test_number_of_parameters(depth: int, width: float, selective_kernels: bool, millions: float) -> None:
    with torch.device("meta"):
        network = ResNet(depth=depth, width=width, selective_kernels=selective_kernels)
    digits = 2 if millions in (11.18, 21.29, 23.51) else 1
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, digits) == millions
    assert network.out_dim == (2048 if depth >= 50 else 512) * width


def test_resnet_50_has_23508032_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in ResNet().parameters()) == 23_508_032


def tiny(**parameters: object) -> ResNet:
    torch.manual_seed(0)
    return ResNet(**{"depth": 18, "width": 0.125, "stem": "small", **parameters})


VARIANTS = [{}, {"stem": "imagenet"}, {"depth": 50}, {"depth": 50, "stem": "imagenet", "selective_kernels": True}]


@pytest.mark.parametrize("parameters", VARIANTS)
def test_gradient_reaches_every_parameter(parameters: dict[str, object]) -> None:
    network = tiny(zero_init_last=False, **parameters)
    h = network(torch.rand(4, 3, 32, 32).to(memory_format=torch.channels_last))
    (h * torch.randn_like(h)).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("parameters", VARIANTS)
@torch.no_grad()
def test_eval_mode_sees_each_image_alone(parameters: dict[str, object]) -> None:
    network = tiny(zero_init_last=False, **parameters).double()
    images = torch.rand(4, 3, 32, 32, dtype=torch.float64)
    network.train()(images)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    together = network.eval()(images)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("parameters", VARIANTS)
@torch.no_grad()
def test_memory_format_does_not_matter(parameters: dict[str, object]) -> None:
    network = tiny(zero_init_last=False, **parameters).double()
    images = torch.rand(4, 3, 33, 30, dtype=torch.float64)
    usual = network(images)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), usual)


@pytest.mark.parametrize("in_channels", [1, 4])
def test_number_of_channels(in_channels: int) -> None:
    network = ResNet(in_channels, depth=18, width=0.125)
    assert network(torch.rand(2, in_channels, 64, 48)).shape == (2, network.out_dim)


def test_width_scales_and_rounds_all_channels() -> None:
    assert tiny(width=0.25).stem.layer1.conv.out_channels == 16
    assert tiny(width=0.3).group2.block1.body.layer1.conv.out_channels == 38  # 0.3 x 128 = 38.4
    narrow = tiny(width=0.001)
    assert narrow.out_dim == narrow.stem.layer1.conv.out_channels == 1
    assert tiny(width=0.3, depth=50).out_dim == 4 * 154  # 0.3 x 512 = 153.6


@torch.no_grad()
def test_each_block_starts_as_its_shortcut() -> None:
    network = tiny(depth=50)
    for module in network.modules():
        if isinstance(module, Residual):
            assert not module.body[-1].norm.weight.any()
    x = torch.rand(2, network.out_dim, 4, 4)
    assert torch.equal(network.group4.block2(x), x)


def test_kernels_start_truncated_normal() -> None:
    torch.manual_seed(0)
    kernel = conv(64, 256, kernel=3).weight
    std = (3 * 3 * 64) ** -0.5
    assert kernel.std().item() == pytest.approx(std, rel=0.01)
    assert kernel.abs().max().item() == pytest.approx(2 * std / 0.8796, rel=0.01)


def test_names_in_a_state_file() -> None:
    network = tiny(depth=50, stem="imagenet", selective_kernels=True)
    names = {re.sub(r"\d", "1", name.rpartition(".")[0]) for name, _ in network.named_parameters()}
    block = "group1.block1."
    units = ["stem.layer1", f"{block}body.reduce", f"{block}body.expand"]
    units += [f"{block}body.spatial.streams", f"{block}body.spatial.squeeze", f"{block}shortcut"]
    assert names == {f"{unit}.{part}" for unit in units for part in ("conv", "norm")} | {f"{block}body.spatial.select"}


def test_same_seed_same_bits() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(tiny()(images), tiny()(images))


def test_learns_to_tell_stripes() -> None:
    network = tiny()
    across = (torch.arange(16) % 2).float().expand(1, 3, 16, 16)
    images = torch.cat([across, across.mT]).repeat_interleave(8, 0) + 0.1 * torch.randn(16, 3, 16, 16)
    labels = torch.tensor([0, 1]).repeat_interleave(8)
    classifier = nn.Linear(network.out_dim, 2)
    optimizer = torch.optim.SGD([*network.parameters(), *classifier.parameters()], lr=0.1)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(classifier(network(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
