"""Linear evaluation: the classifier equals the formulas, leaves the encoder alone, and refuses what it can't use."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from small import FakeImages, convolutional, tops
from torch import nn

from sslkit.augmentations.center_crop import CenterCrop
from sslkit.datasets.shapes import Shapes
from sslkit.draws import shuffled
from sslkit.embedding import Pair, Split
from sslkit.errors import DataError, NonFiniteError, UserError
from sslkit.evaluations import registry
from sslkit.evaluations.accuracy import unlearnt_last
from sslkit.evaluations.classifier import ClassifierTraining
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.knn import KNN
from sslkit.evaluations.linear import LinearProbe
from sslkit.evaluations.linear_cached import LinearProbeCached, _embedded
from sslkit.evaluations.rules import LINEAR, Rule
from sslkit.loader import Loader, Plan
from sslkit.views import View


def features(h, labels, *, split="train", classes=None):
    return Features(np.asarray(h, np.float32), None if labels is None else np.asarray(labels, np.int64), classes, split)


def clusters(seed, n, *, num_classes=3, spread=0.2, split="train"):
    """Points around the corners of a simplex."""
    labels = np.arange(n) % num_classes
    noise = np.random.default_rng(seed).standard_normal((n, num_classes))
    return features(np.eye(num_classes)[labels] + spread * noise, labels, split=split)


def literal_classifier(h, labels, *, epochs, base_lr, batch_size, weight_decay, seed, num_classes):
    """Softmax regression with Nesterov momentum, gradients written out, in float64."""
    h = np.concatenate([h.astype(np.float64), np.ones((len(h), 1))], axis=1)  # the bias is the weight of a constant
    weight = np.zeros((num_classes, h.shape[1]))
    velocity = np.zeros_like(weight)
    batch = min(batch_size, len(h))
    steps, step = epochs * math.ceil(len(h) / batch), 0
    for epoch in range(epochs):
        order = shuffled(len(h), seed, "linear", epoch)
        for first in range(0, len(h), batch):
            rows = order[first : first + batch]
            scores = h[rows] @ weight.T
            p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            gradient = (p - np.eye(num_classes)[labels[rows]]).T @ h[rows] / len(rows) + weight_decay * weight
            velocity = 0.9 * velocity + gradient
            lr = base_lr * batch / 256 * 0.5 * (1 + math.cos(math.pi * step / steps))
            weight = weight - lr * (gradient + 0.9 * velocity)
            step += 1
    assert step == steps
    return weight


def fitted(train, *, seed=0, num_classes=3, **parameters):
    """The classifier behind the number, as one matrix with the bias in its last column."""
    probe = LinearProbeCached(**parameters)
    kept = []
    fit = probe.training.fit

    class Spy:
        score = probe.training.score

        def fit(self, *positional, **named):
            kept.append(fit(*positional, **named))
            return kept[-1]

    probe.training = Spy()
    probe(train, clusters(9, 2 * num_classes, num_classes=num_classes, split="test"), seed)
    return torch.cat([kept[0].linear.weight, kept[0].linear.bias[:, None]], dim=1).detach().numpy()


@pytest.mark.parametrize("batch_size", [32, 35, 256])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_equals_the_formulas_in_float64(batch_size, weight_decay):
    train = clusters(0, 70, spread=0.5)
    parameters = {"epochs": 5, "base_lr": 2.0, "batch_size": batch_size, "weight_decay": weight_decay}
    expected = literal_classifier(train.h, train.labels, seed=3, num_classes=3, **parameters)
    np.testing.assert_allclose(fitted(train, seed=3, **parameters), expected, rtol=1e-4, atol=1e-6)


def test_by_hand():
    """At zero both classes have probability 1/2, the weights' gradient is (-1, 1), and Nesterov takes 1.9 steps of lr 1."""
    train = features([[2], [-2]], [0, 1])
    probe = LinearProbeCached(epochs=1, base_lr=128.0)
    h, labels = torch.from_numpy(train.h), torch.from_numpy(train.labels)
    classifier = probe.training.fit(lambda _epoch, _batch_size: [(h, labels)], num_images=2, num_classes=2)
    assert classifier.linear.weight.flatten().tolist() == pytest.approx([1.9, -1.9])
    assert classifier.linear.bias.tolist() == [0.0, 0.0]


def test_separates_what_is_separable_and_gets_better():
    train, test = clusters(0, 90), clusters(1, 60, split="test")
    assert tops(LinearProbeCached(base_lr=10.0)(train, test, 0)) == [("linear_cached_top1", 1.0)]
    overlapping = [clusters(seed, 600, spread=0.8, split="test") for seed in (0, 1)]
    accuracy = [LinearProbeCached(epochs=epochs, base_lr=1.0)(*overlapping, 0)[0][1] for epochs in (1, 20)]
    assert 0.5 < accuracy[0] <= accuracy[1]


def test_same_bits_twice_and_no_global_randomness():
    train = clusters(0, 100, spread=0.5)
    before = torch.get_rng_state()
    first = fitted(train, epochs=3, batch_size=32)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1234)
    np.testing.assert_array_equal(fitted(train, epochs=3, batch_size=32), first)
    assert (fitted(train, epochs=3, batch_size=32, seed=1) != first).any(), "the order of an epoch depends on the seed"


def test_features_may_be_read_only():
    train, test = clusters(0, 30), clusters(1, 30, split="test")
    for array in (train.h, test.h, train.labels, test.labels):
        array.flags.writeable = False
    assert tops(LinearProbeCached(epochs=2)(train, test, 0))[0][0] == "linear_cached_top1"


def test_top5_with_more_than_ten_classes():
    train, test = clusters(0, 110, num_classes=11), clusters(1, 44, num_classes=11, split="test")
    (name1, top1), (name5, top5) = tops(LinearProbeCached(epochs=3)(train, test, 0))
    assert (name1, name5) == ("linear_cached_top1", "linear_cached_top5")
    assert 0 < top1 <= top5 <= 1


def test_a_class_that_only_the_test_split_has_is_always_wrong():
    train = clusters(0, 60, num_classes=2)
    test = features(np.concatenate([train.h, train.h]), [*train.labels, *[2] * 60], split="test")
    assert tops(LinearProbeCached(base_lr=10.0)(train, test, 0)) == [("linear_cached_top1", 0.5)]


def test_nor_is_it_what_the_others_leave_over():
    """Test images far from both learnt classes score them low; the third one's score is zero."""
    train = features(np.repeat([[1.0, 0.0], [0.0, 1.0]], 20, axis=0), np.repeat([0, 1], 20))
    test = features(np.full((20, 2), -5.0), [2] * 20, split="test")
    found = dict(LinearProbeCached(base_lr=10.0)(train, test, 0))
    assert found["linear_cached_top1"] == 0.0
    assert found["linear_cached_confusion"].shape == (3, 3)


@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_unlearnt_classes_stand_last_of_all(scale):
    scores = np.array([[3.0, 9.0, -2.0], [-1.0, -2.0, -3.0]], np.float32) * np.float32(scale)
    found = unlearnt_last(scores, np.array([False, True, True]))
    assert np.isfinite(found).all()
    assert found.argmin(axis=1).tolist() == [0, 0]
    np.testing.assert_array_equal(found[:, 1:], scores[:, 1:])
    assert unlearnt_last(scores, np.full(3, True)) is scores


def test_one_class_is_no_question():
    train, images = clusters(0, 30), FakeImages()
    images.train_labels = np.ones_like(images.train_labels)
    one = features(train.h, np.full(30, 2))
    for evaluation, name in ((KNN(k=1), "knn"), (LinearProbeCached(), "linear_cached")):
        with pytest.raises(
            DataError, match=f"all images of the split 'train' are of one class, and '{name}' needs two or more"
        ):
            evaluation.check(one, train)
    with pytest.raises(DataError, match="all images of the training split are of one class, and 'linear' needs two or more"):
        LinearProbe()(convolutional(), images)


def test_missing_labels_and_wrong_features():
    train, test = clusters(0, 30), clusters(1, 10, split="test")
    with pytest.raises(DataError, match="evaluate: the split 'train' has no labels, and 'linear_cached' needs them"):
        LinearProbeCached()(features(train.h, None), test, 0)
    test.h[2] = np.inf
    with pytest.raises(DataError, match="1 of the 10 rows of features of the split 'test' are not finite"):
        LinearProbeCached()(train, test, 0)


def test_divergence_is_an_error():
    with pytest.raises(NonFiniteError, match=r"linear_cached: the loss of the classifier is (nan|inf) at its step"):
        LinearProbeCached(base_lr=1e38)(clusters(0, 600, spread=2.0), clusters(1, 10, split="test"), 0)
    with pytest.raises(NonFiniteError, match="scores that are not finite"):
        LinearProbeCached(base_lr=3e38, epochs=1)(clusters(0, 256, spread=9.0), clusters(1, 10, spread=9.0, split="test"), 0)


def test_the_rules_of_others():
    settings = {name: LinearProbe(protocol=name).settings(1000) for name in LINEAR}
    assert settings["simclr"] == {"epochs": 90, "base_lr": 0.1, "batch_size": 256, "weight_decay": 0.0, "nesterov": True}
    assert settings["lightly"] == {**settings["simclr"], "nesterov": False}
    assert settings["solo-learn"]["drops"] == [0.6, 0.8]
    assert settings["vissl"]["normalize"]
    assert LinearProbe(protocol="vissl", epochs=3, weight_decay=0.0).settings(1) == {
        **settings["vissl"], "epochs": 3, "weight_decay": 0.0,
    }  # fmt: skip
    rates = [LINEAR["solo-learn"].lr_at(step, steps=100, batch_size=512) for step in (0, 59, 60, 79, 80, 99)]
    assert rates == pytest.approx([2.0, 2.0, 0.2, 0.2, 0.02, 0.02])


def test_batch_norm_before_the_classifier_makes_the_scale_of_features_irrelevant():
    train, test = clusters(0, 90, spread=0.5), clusters(1, 60, spread=0.5, split="test")
    scaled = [Features(100 * one.h + 3, one.labels, None, one.split) for one in (train, test)]
    found = [
        dict(tops(LinearProbeCached(protocol="vissl")(*pair, 0)))["linear_cached_top1"] for pair in ((train, test), scaled)
    ]
    assert found[0] == pytest.approx(found[1], abs=1 / 60)
    assert found[0] > 0.6


def test_augmented_passes_are_embedded_once_and_seen_in_turn():
    encoder, images = convolutional(), FakeImages()
    with torch.no_grad():
        train, test = (encoder(torch.from_numpy(x)).numpy() for x in (images.train, images.test))
    pair = features(train, images.train_labels), features(test, images.test_labels, split="test")
    probe = LinearProbeCached(epochs=6, augmented_passes=2)
    assert tops(probe(*pair, 0, encoder, images))[0][1] > 0.9
    assert images.epochs == [0, 1]


def test_embedded_passes_outlive_the_loaders_memory():
    """Raw pixels are views of memory that the loader writes to again."""
    images = Shapes(num_images=1100, size=8, channels=1)
    split = Split(images, "train", view=View([CenterCrop(size=8)]))
    h, y = _embedded(nn.Flatten().eval(), Pair(split, split), 0)
    plan = Plan(len(images), 256, split.seed, keep_tail=True)
    view = Loader(images, [split._random_view()], plan=plan, label="probe")
    order = np.concatenate([plan.indices(step) for step in range(plan.batches_per_epoch)])
    [expected] = view.views_of(order, epoch=0)
    np.testing.assert_array_equal(h, expected.reshape(len(h), -1))
    np.testing.assert_array_equal(y, images.labels[order])


def test_the_recipe_side():
    for name in ("linear", "linear_cached"):
        model = registry.model(name)
        assert model().protocol == "simclr"
        for wrong in [{"epochs": 0}, {"base_lr": 0.0}, {"batch_size": 0}, {"weight_decay": -1.0}]:
            with pytest.raises(ValidationError):
                model(**wrong)


@pytest.mark.parametrize("encoder", [nn.Flatten().eval(), convolutional()], ids=["pixels", "convolutional"])
def test_without_crops_it_equals_the_cached_probe(encoder):
    images = FakeImages()
    with torch.no_grad():
        train, test = (encoder(torch.from_numpy(x)).numpy() for x in (images.train, images.test))
    parameters = {"epochs": 4, "batch_size": 25, "base_lr": 0.3}
    cached = LinearProbeCached(**parameters)(
        features(train, images.train_labels), features(test, images.test_labels, split="test"), images.seed
    )
    assert tops(LinearProbe(**parameters)(encoder, images)) == [("linear_top1", cached[0][1])]
    assert images.epochs == [0, 1, 2, 3], "new crops in every epoch"


def test_reaches_one_and_leaves_the_encoder_alone():
    encoder, images = convolutional(), FakeImages()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    assert tops(LinearProbe(epochs=10, base_lr=1.0)(encoder, images)) == [("linear_top1", 1.0)]
    after = encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert tops(LinearProbe(epochs=10, base_lr=1.0)(encoder, images)) == [("linear_top1", 1.0)]


def test_an_encoder_in_training_mode_is_refused():
    encoder = convolutional()
    encoder[1].train()
    with pytest.raises(UserError, match=r"Call encoder.eval\(\) first"):
        LinearProbe(epochs=1)(encoder, FakeImages())


def test_images_without_labels():
    images = FakeImages()
    assert isinstance(images, EvaluationImages)
    images.test_labels = None
    with pytest.raises(DataError, match="evaluate: the test split has no labels, and 'linear' needs them"):
        LinearProbe(epochs=1)(convolutional(), images)


def test_an_encoder_that_gives_nan():
    encoder = convolutional()
    encoder[0].bias.data[0] = math.nan
    with pytest.raises(NonFiniteError, match="linear: the loss of the classifier is nan at its step 0"):
        LinearProbe(epochs=1)(encoder, FakeImages())


class TestATailOfOneImage:
    """A batch norm needs two values a channel; nothing else does."""

    def fitted(self, n, encoder=None, **rule):
        """A classifier, and how many images each of its steps saw."""
        seen = []

        class Watched(ClassifierTraining):
            def _loss(self, network, x, labels, **more):
                seen.append(len(x))
                return super()._loss(network, x, labels, **more)

        images = FakeImages(n=n)
        training = Watched("linear", Rule(base_lr=0.5, batch_size=4, **{"epochs": 3, **rule}))

        def batches(epoch, batch_size):
            for x, labels in images.train_batches(epoch, batch_size):
                yield (x if encoder else x.flatten(1)), labels

        return training.fit(batches, num_images=n, num_classes=3, encoder=encoder), seen

    def test_is_left_out_where_a_batch_norm_could_not_learn(self):
        network, seen = self.fitted(9, normalize=True)
        assert seen == [4, 4] * 3, "and the learning rate falls over these six steps"
        assert network.norm.num_batches_tracked == 6, "trying a single image moved nothing"
        assert self.fitted(9, normalize=True, steps=5, epochs=0)[1] == [4] * 5

    def test_equals_a_training_without_that_image(self):
        """In one epoch the order is the same, so the last image of the nine might as well not be there."""
        order = shuffled(9, 0, "linear", 0)
        images = FakeImages(n=9)
        x, labels = torch.from_numpy(images.train[order]).flatten(1), torch.from_numpy(images.train_labels[order])
        rule = Rule(epochs=1, base_lr=0.5, batch_size=4, normalize=True)
        eight = ClassifierTraining("linear", rule).fit(
            lambda *_: iter([(x[:4], labels[:4]), (x[4:8], labels[4:8])]), num_images=8, num_classes=3
        )
        nine, _ = self.fitted(9, normalize=True, epochs=1)
        for name, tensor in nine.state_dict().items():
            assert torch.equal(tensor, eight.state_dict()[name]), name

    @pytest.mark.parametrize("n", [8, 10, 11])
    def test_no_other_tail_is_left_out(self, n):
        assert self.fitted(n, normalize=True)[1] == [4, 4, *([n - 8] if n > 8 else [])] * 3

    def test_what_can_learn_from_one_image_does(self):
        assert self.fitted(9)[1] == [4, 4, 1] * 3
        assert self.fitted(9, encoder=convolutional())[1] == [4, 4, 1] * 3, "this batch norm sees four values a channel"

    def test_an_encoder_with_one_value_a_channel(self):
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5))
        assert self.fitted(9, encoder=encoder)[1] == [4, 4] * 3

    def test_noise_is_not_drawn_for_trying(self):
        encoder = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 5), nn.BatchNorm1d(5))
        found = []
        for n in (8, 9):
            torch.manual_seed(3)
            self.fitted(n, encoder=encoder.train(), epochs=1)
            found.append(torch.rand(1).item())
        assert found[0] == found[1]

    def test_one_image_alone_is_refused(self):
        for rule in ({"batch_size": 4}, {"batch_size": 1}):
            training = ClassifierTraining("linear", Rule(epochs=1, base_lr=0.5, normalize=True, **rule))
            with pytest.raises(DataError, match="linear: a batch norm can't learn from one image at a time"):
                training.fit(lambda *_: iter([(torch.zeros(1, 2), torch.zeros(1).long())]), num_images=1, num_classes=2)

    def test_of_the_evaluations(self):
        train, test = clusters(0, 257), clusters(1, 9, split="test")
        probe = LinearProbeCached(protocol="vissl", epochs=2)
        assert 0 <= dict(tops(probe(train, test, 0)))["linear_cached_top1"] <= 1
