"""Micro-batches: the gradients of the whole batch, with the views and the activations of a slice."""

import json

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from small import TEXT, recipe_file, sslkit
from torch import nn

from sslkit import micro_batches
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.shapes import Shapes
from sslkit.gradient import in_micro_batches, whole
from sslkit.loader import Batch, Loader, Plan, SlicedBatch
from sslkit.losses.nt_xent import NTXent
from sslkit.losses.sup_con import SupCon
from sslkit.methods.siamese import Siamese
from sslkit.recipe import Recipe
from sslkit.sections import Train
from sslkit.views import View

CPU = {"seed": 0, "device": torch.device("cpu"), "precision": "fp32"}


class Tiny(nn.Module):
    out_dim = 6

    def __init__(self, norm, *, dropout=0.0):
        super().__init__()
        self.seen = []
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)
        )

    def forward(self, images):
        self.seen.append(len(images))
        return self.layers(images)


class LearnedTemperature(NTXent):
    """A loss with a parameter of its own, which only the objective sees."""

    def __init__(self):
        super().__init__(temperature=0.5)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, zs):
        return super().forward([z + self.scale * z.detach().roll(1, 1) for z in zs])


def siamese(norm=None, *, loss=None, dropout=0.0):
    torch.manual_seed(0)
    return Siamese(Tiny(norm or nn.GroupNorm(2, 6), dropout=dropout), nn.Linear(6, 4), loss or NTXent(temperature=0.5)).double()


def batch(n=11):
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(n, 3, 8, 8, generator=generator).double() for _ in range(2)]
    return Batch(views, torch.arange(n) % 3, torch.arange(n))


def sliced(one, *sizes):
    def slices():
        first = 0
        for size in sizes:
            rows = slice(first, first + size)
            yield Batch([view[rows] for view in one.views], one.labels[rows], one.indices[rows])
            first += size

    return SlicedBatch(slices(), slices(), one.labels, one.indices)


def gradients(method, backward, given, step=0):
    method.zero_grad()
    loss, scalars = backward(method, given, step, **CPU)
    return loss, scalars, [parameter.grad.clone() for parameter in method.parameters()]


def test_gradients_are_those_of_the_whole_batch():
    frozen = nn.BatchNorm2d(6).eval()
    frozen.train = lambda mode=True: frozen
    for norm in (nn.GroupNorm(2, 6), frozen):
        for loss in (NTXent(temperature=0.5), SupCon(), LearnedTemperature()):
            method = siamese(norm, loss=loss)
            right = gradients(method, whole, batch())
            for sizes in ((11,), (4, 4, 3), (1,) * 11):
                found = gradients(method, in_micro_batches, sliced(batch(), *sizes))
                torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)


def test_it_is_not_the_accumulation_of_small_batches():
    """The control: averaging the gradients of slices leaves out the negatives of the others."""
    method = siamese()
    right = torch.cat([one.flatten() for one in gradients(method, whole, batch(12))[2]])
    small = torch.zeros_like(right)
    for one in sliced(batch(12), 4, 4, 4).first:
        small += torch.cat([gradient.flatten() for gradient in gradients(method, whole, one)[2]]) / 3
    assert (small - right).norm() > 0.1 * right.norm()


def test_both_passes_have_the_same_noise_and_each_slice_its_own():
    """With dropout the gradient is that of the loss that was given, as differences of that loss say."""
    method = siamese(dropout=0.4)
    _, _, found = gradients(method, in_micro_batches, sliced(batch(), 6, 5))
    again = gradients(method, in_micro_batches, sliced(batch(), 6, 5))[2]
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    weight, slope = method.head.weight, found[[name for name, _ in method.named_parameters()].index("head.weight")]
    for place in ((0, 0), (1, 3), (3, 5)):
        losses = []
        for shift in (1e-6, -2e-6):
            with torch.no_grad():
                weight[place] += shift
            losses.append(gradients(method, in_micro_batches, sliced(batch(), 6, 5))[0])
        with torch.no_grad():
            weight[place] += 1e-6
        assert ((losses[0] - losses[1]) / 2e-6).item() == pytest.approx(slope[place].item(), rel=1e-4, abs=1e-8)


def test_batch_norm_moves_once():
    method, other = siamese(nn.BatchNorm2d(6)).train(), siamese(nn.BatchNorm2d(6)).train()
    gradients(method, in_micro_batches, sliced(batch(), 6, 5))
    for one in sliced(batch(), 6, 5).first:
        other.project(one.views)
    torch.testing.assert_close(dict(method.named_buffers()), dict(other.named_buffers()))
    assert method.backbone.layers[1].num_batches_tracked == 2


def test_the_network_sees_a_slice_at_a_time():
    method = siamese()
    gradients(method, in_micro_batches, sliced(batch(), 4, 4, 3))
    assert method.backbone.seen == [8, 8, 6] * 2


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_gives_the_same_views_twice_in_slices(workers):
    images = Shapes("train", num_images=50, size=32)
    view = View([RandomResizedCrop(size=24), HorizontalFlip()])
    loader = Loader(images, [view, view], plan=Plan(50, 20, 0), workers=workers)
    for right, found in zip(loader.batches(1, 4), loader.sliced(1, 4, micro_batch=8), strict=True):
        assert torch.equal(found.indices, right.indices)
        assert torch.equal(found.labels, right.labels)
        for given in (found.first, found.second):
            pieces = [Batch([v.clone() for v in one.views], one.labels, one.indices) for one in given]
            assert [len(one.indices) for one in pieces] == [6, 7, 7]
            assert torch.equal(torch.cat([one.indices for one in pieces]), right.indices)
            for number, whole_view in enumerate(right.views):
                assert torch.equal(torch.cat([one.views[number] for one in pieces]), whole_view)


@hypothesis.settings(deadline=None)
@hypothesis.given(batch_size=st.integers(2, 5000), micro_batch=st.integers(2, 6000))
def test_slices_are_few_and_equal(batch_size, micro_batch):
    slices = micro_batches.slices(batch_size, micro_batch)
    assert [row for rows in slices for row in range(batch_size)[rows]] == list(range(batch_size))
    sizes = [rows.stop - rows.start for rows in slices]
    assert max(sizes) <= min(sizes) + 1
    assert len(sizes) == -(-batch_size // micro_batch)
    assert micro_batches.slices(batch_size, None) == [slice(0, batch_size)]
    train = Train(epochs=1, batch_size=batch_size, micro_batch=micro_batch, base_lr=1.0)
    assert train.slice_size == max(sizes)
    assert micro_batches.slices(batch_size, train.slice_size) == slices


@pytest.mark.parametrize("size", [16, 17, 10**6])
def test_one_slice_is_the_run_without_slices(size):
    sizes = ([], [f"train.micro_batch={size}"], ["train.micro_batch=15"])
    plain, one, two = (Recipe.parse(TEXT, overrides=overrides) for overrides in sizes)
    assert one == plain
    assert one.digest() == plain.digest() != two.digest()
    assert one.differences(plain.to_dict()) == plain.differences(one.to_dict()) == []
    assert two.differences(plain.to_dict()) == ["train.micro_batch: None -> 15"]


def test_a_run_in_micro_batches(tmp_path):
    """It trains to the end, with other statistics than the whole batch has; `show` says so."""
    plain, small = tmp_path / "plain", tmp_path / "small"
    for folder, extra in ((plain, []), (small, ["--set", "train.micro_batch=7"])):
        folder.mkdir()
        sslkit("run", recipe_file(folder), *extra, cwd=folder)
    last = [json.loads((folder / "runs/small/metrics.jsonl").read_text().splitlines()[-1]) for folder in (plain, small)]
    assert last[0]["step"] == last[1]["step"]
    assert last[0]["loss"] != last[1]["loss"]
    shown = sslkit("show", recipe_file(tmp_path), "--set", "train.micro_batch=7", cwd=tmp_path).stdout
    assert "micro-batches: 6 of 16 images at a time; the loss sees the whole batch" in shown
    assert "batch norm takes its statistics over a micro-batch" in shown
