"""Fine-tuning: equal to a literal loop, by the rules of its papers, and what stays as it was."""

import copy
import math

import numpy as np
import pytest
import torch
from small import FakeImages, convolutional, tops
from torch import nn
from torch.nn import functional as F

from sslkit.augmentations.center_crop import CenterCrop
from sslkit.datasets.joined import Joined
from sslkit.datasets.shapes import Shapes
from sslkit.embedding import Split
from sslkit.errors import DataError, NonFiniteError, UserError
from sslkit.evaluations.accuracy import Guesses
from sslkit.evaluations.classifier import ClassifierTraining
from sslkit.evaluations.features import LabelledPair
from sslkit.evaluations.finetune import FineTune
from sslkit.evaluations.finetune_grid import FineTuneGrid
from sslkit.evaluations.rules import Rule, bit_hyperrule
from sslkit.evaluations.targets import Guessed
from sslkit.evaluations.whole_network import fine_tuned
from sslkit.selection import for_last_training, for_selection
from sslkit.views import View


def literal(encoder, images, *, epochs, base_lr, batch_size):
    """Nesterov's momentum, weight by weight, with the cosine of the paper's code; gradients by autograd in float64."""
    network = nn.Sequential(copy.deepcopy(encoder), nn.Linear(8 * 4, 3)).double()
    for parameter in network[1].parameters():
        nn.init.zeros_(parameter)
    network.train()
    velocity = [torch.zeros_like(p) for p in network.parameters()]
    steps, step = epochs * math.ceil(len(images.train) / batch_size), 0
    for epoch in range(epochs):
        for x, y in images.train_batches(epoch, batch_size):
            lr = base_lr * batch_size / 256 * 0.5 * (1 + math.cos(math.pi * step / steps))
            gradients = torch.autograd.grad(F.cross_entropy(network(x.double()), y), list(network.parameters()))
            with torch.no_grad():
                for p, v, g in zip(network.parameters(), velocity, gradients, strict=True):
                    v.mul_(0.9).add_(g)
                    p.sub_(lr * (g + 0.9 * v))
            step += 1
    return network.eval()


def test_equals_the_formulas_in_float64():
    encoder, images = convolutional(), FakeImages()
    parameters = {"epochs": 3, "base_lr": 0.5, "batch_size": 32}
    expected = literal(encoder, images, **parameters)
    training = ClassifierTraining("finetune", Rule(**parameters))
    found = training.fit(images.train_batches, num_images=60, num_classes=3, encoder=copy.deepcopy(encoder))
    for ours, theirs in zip(found.state_dict().values(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-4, atol=1e-5)


def test_learns_and_leaves_the_encoder_alone():
    encoder, images = convolutional(), FakeImages()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    evaluation = FineTune(epochs=10, base_lr=1.0)
    assert tops(evaluation(encoder, images, 0)) == [("finetune_top1", 1.0)]
    assert all(torch.equal(encoder.state_dict()[name], tensor) for name, tensor in before.items())
    assert not any(module.training for module in encoder.modules())


def test_same_bits_twice_even_with_dropout():
    encoder = nn.Sequential(*convolutional(), nn.Dropout(0.5)).eval()

    def predicted(seed):
        return dict(FineTune(epochs=1, base_lr=0.1)(encoder, FakeImages(n=24), seed))["finetune_confusion"].tolist()

    assert predicted(0) == predicted(0)


def test_bit_hyperrule():
    assert [bit_hyperrule(n).steps for n in (19_999, 20_000, 499_999, 500_000)] == [500, 10_000, 10_000, 20_000]
    assert [bit_hyperrule(n).mixup for n in (19_999, 20_000)] == [0.0, 0.1]
    rates = [bit_hyperrule(100).lr_at(step, steps=500, batch_size=100) for step in (0, 149, 150, 300, 450)]
    assert rates == pytest.approx([0.003, 0.003, 3e-4, 3e-5, 3e-6])
    settings = FineTune(protocol="bit").settings(100)
    assert settings == {
        "base_lr": 0.003, "batch_size": 512, "weight_decay": 0.0, "nesterov": False,
        "drops": [0.3, 0.6, 0.9], "lr_scaling": "none", "steps": 500,
    }  # fmt: skip
    assert FineTune(protocol="bit", epochs=3).settings(100).items() >= {"epochs": 3, "base_lr": 0.003}.items()


def test_bit_takes_its_steps():
    images = FakeImages()
    assert tops(FineTune(protocol="bit", base_lr=0.03)(convolutional(), images, 0))[0][1] > 0.9
    assert len(images.epochs) == 500, "sixty images are one batch"


def test_mixup_mixes_images_and_labels_in_equal_shares():
    training = ClassifierTraining("finetune", Rule(epochs=1, base_lr=0.1, mixup=0.1))
    x, labels = torch.eye(4), torch.arange(4)

    class Kept(nn.Module):
        def forward(self, mixed):
            self.mixed = mixed
            return 5 * mixed

    shares = []
    for step in range(400):
        network = Kept()
        loss = training._loss(network, x, labels, step=step, seed=0, loss=nn.functional.cross_entropy)
        share = network.mixed[0, 0].item()
        shares.append(share)
        log_p = torch.log_softmax(5 * network.mixed, dim=1)
        expected = -(share * log_p.diagonal() + (1 - share) * log_p.flip(1).diagonal()).mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.minimum(shares, np.subtract(1, shares)) < 0.01) > 0.5, "Beta(0.1, 0.1) has its mass at both ends"


def test_each_seed_has_mixtures_of_its_own():
    """No order and no crop depends on the seed here."""

    def weights(seed):
        encoder, images = nn.Sequential(nn.Flatten(), nn.Linear(48, 4, bias=False)), FakeImages()
        nn.init.ones_(encoder[1].weight)
        kept = []
        fit = ClassifierTraining.fit
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ClassifierTraining, "fit", lambda *args, **more: kept.append(fit(*args, **more)) or kept[-1])
            fine_tuned(encoder.eval(), images, rule=Rule(epochs=2, base_lr=0.1, mixup=0.5), evaluation="finetune", seed=seed)
        return kept[0].linear.bias.tolist()

    assert weights(0) == weights(0) != weights(1)


def test_pixels_have_nothing_to_learn():
    with pytest.raises(UserError, match="the encoder has no weights"):
        FineTune()(nn.Flatten().eval(), FakeImages(), 0)


class TestGrid:
    """finetune_grid."""

    parameters = {"steps": 6, "batch_size": 20, "lrs": (0.01, 1.0), "num_lrs": 3, "weight_decays": (1e-3, 1e-2)}  # noqa: RUF012

    def test_the_bounds_are_the_papers(self):
        grid = FineTuneGrid()
        assert grid.lrs == pytest.approx([10.0 ** (-4 + k / 2) for k in range(7)])
        assert grid.weight_decays == pytest.approx([0.0, *(10.0 ** (-6 + k / 2) for k in range(7))])

    def test_takes_the_best_of_all_pairs_and_learns_anew(self):
        selection, final = FakeImages(n=40, m=30), FakeImages(n=60, m=30)
        found = dict(FineTuneGrid(**self.parameters, num_weight_decays=1)(convolutional(), selection, final, 0))
        validation = found["finetune_grid_validation"]
        assert validation.shape == (3, 2)
        i, j = np.argwhere(validation == validation.max())[0]
        assert found["finetune_grid_lr"] == pytest.approx([0.01, 0.1, 1.0][i])
        assert found["finetune_grid_weight_decay"] == pytest.approx([0.0, 1e-3][j] / found["finetune_grid_lr"])
        assert found["finetune_grid_validation_top1"] == validation.max()
        assert found["finetune_grid_lr_at_end"] == (i != 1)
        assert found["finetune_grid_weight_decay_at_end"] == (j == 1)
        assert found["finetune_grid_diverged"] == 0
        assert len(selection.epochs) == 6 * 3, "six steps are three epochs of two batches"
        assert len(final.epochs) == 2
        alone = FineTune(epochs=2, base_lr=1.0)  # another training, but as able
        assert found["finetune_grid_top1"] == pytest.approx(tops(alone(convolutional(), final, 0))[0][1], abs=0.2)

    def test_the_pair_is_chosen_by_the_metric_of_the_dataset(self, monkeypatch):
        """A low rate gets the large class right, a high one all small classes; the answers are made up."""
        answers = {0.01: [0, 0, 0, 0, 0, 0], 0.1: [1, 0, 0, 1, 1, 2], 1.0: [1, 1, 1, 1, 1, 1]}
        images = FakeImages(n=6, m=6)
        images.test_labels = np.array([0, 0, 0, 0, 1, 2])

        def trained(_, images, *, rule, **__):
            first = np.array(answers[round(rule.base_lr, 3)])
            labels = LabelledPair(images.train_labels, images.test_labels, 3)
            return Guessed(Guesses((first != images.test_labels).astype(np.int64), first), labels)

        monkeypatch.setattr("sslkit.evaluations.finetune_grid.fine_tuned", trained)
        grid = FineTuneGrid(**self.parameters, num_weight_decays=0)
        for metric, lr, value in (("top1", 0.01, 4 / 6), ("mean_per_class", 0.1, (2 / 4 + 1 + 1) / 3)):
            found = dict(grid(convolutional(), images, images, 0, metric))
            assert found["finetune_grid_lr"] == pytest.approx(lr)
            assert found[f"finetune_grid_validation_{metric}"] == pytest.approx(value)
            assert found["finetune_grid_lr_at_end"] == (metric == "top1")
            assert grid.settings(6, metric)["chosen_by"] == metric

    @pytest.mark.parametrize("name", ["lrs", "weight_decays"])
    def test_bounds_the_wrong_way_round(self, name):
        with pytest.raises(
            UserError, match=rf"^{name}: must be \(low, high\), is \(0.1, 0.01\)\. Did you mean \(0.01, 0.1\)\?$"
        ):
            FineTuneGrid(**{name: (0.1, 0.01)})

    def test_a_training_that_diverges_is_not_taken(self):
        images = FakeImages(n=40, m=30)
        grid = FineTuneGrid(**{**self.parameters, "lrs": (0.1, 1e30), "num_lrs": 2}, num_weight_decays=0)
        found = dict(grid(convolutional(), images, images, 0))
        assert np.isnan(found["finetune_grid_validation"][1, 0])
        assert found["finetune_grid_lr"] == pytest.approx(0.1)
        assert found["finetune_grid_diverged"] == 1
        with pytest.raises(NonFiniteError, match="every training of the grid diverged"):
            FineTuneGrid(**{**self.parameters, "lrs": (1e30, 1e30), "num_lrs": 1}, num_weight_decays=0)(
                convolutional(), images, images, 0
            )

    def test_the_momentum_of_batch_norm_follows_the_steps_of_an_epoch(self, monkeypatch):
        seen = []
        monkeypatch.setattr(
            "sslkit.evaluations.finetune_grid.fine_tuned",
            lambda *_, norm_momentum, **__: seen.append(norm_momentum) or pytest.fail("enough"),
        )
        for n, momentum in ((100, 0.1), (10 * 5120, 0.05)):
            images = FakeImages(n=3)
            images.train_labels = np.arange(n) % 3
            with pytest.raises(pytest.fail.Exception):
                FineTuneGrid()(convolutional(), images, images, 0)
            assert seen[-1] == pytest.approx(momentum)


def test_images_for_choosing_are_held_out_or_a_split_of_their_own():
    images = Shapes("train", num_images=60, size=6)
    options = {"view": View([CenterCrop(size=6)]), "seed": 0}
    train, test = Split(images, "train", **options), Split(Shapes("test", num_images=40, size=6), "test", **options)
    chosen = for_selection(train, None)
    sizes = np.bincount(images.labels)
    assert np.bincount(chosen.test_labels).tolist() == [max(1, round(0.1 * size)) for size in sizes]
    assert len(chosen.train_labels) + len(chosen.test_labels) == 60
    images.labels = np.where(np.arange(60) == 7, 9, images.labels % 3)  # a class of one image
    alone = for_selection(train, None)
    assert (alone.train_labels == 9).sum() == 1, "what is not learnt could not be chosen for"
    assert 9 not in alone.test_labels
    assert np.bincount(alone.test_labels).tolist() == [round(0.1 * size) for size in np.bincount(images.labels)[:3]]
    images.labels = np.arange(60)
    with pytest.raises(DataError, match="the split 'train' has too few images for validation; name a split"):
        for_selection(train, None)
    images.labels = np.eye(3, dtype=np.int64)[np.arange(60) % 3]
    several = for_selection(train, None)
    assert (len(several.train_labels), len(several.test_labels)) == (54, 6)
    images.labels = np.arange(60) % 10
    assert for_last_training(train, None, test).train is train
    chosen = for_selection(train, test)
    assert (chosen.train, chosen.test) == (train, test)
    both = for_last_training(train, test, test).train.images
    assert both.labels.tolist() == [*images.labels, *test.images.labels]
    assert len(both) == 60 + len(test.images)
    assert (both.read(3) == images.read(3, 1)).all()
    assert (both.read(61) == test.images.read(1, 1)).all()
    assert both.sizes(np.array([61, 3])).tolist() == [[6, 6], [6, 6]]
    other = Shapes("test", num_images=40, size=6)
    other.classes = ("a",)
    with pytest.raises(DataError, match="different classes"):
        Joined(images, other)
