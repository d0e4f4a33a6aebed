"""Logistic regression as an evaluation: how l2 is chosen, what it then learns from, several labels, and what is refused."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from sslkit.datasets.subset import share
from sslkit.errors import DataError, UserError
from sslkit.evaluations import logistic, registry
from sslkit.evaluations.average_precision import average_precision
from sslkit.evaluations.features import Features
from sslkit.evaluations.held_out import rows_to_hold_out
from sslkit.evaluations.logistic import LogisticProbe

FEW = {"num_l2": 9, "l2": (1e-5, 1e3)}
L2S = np.geomspace(1e3, 1e-5, 9)


def features(h, labels, *, split="train", classes=None):
    return Features(np.asarray(h, np.float32), None if labels is None else np.asarray(labels, np.int64), classes, split)


def learnable(seed, n, *, d=20, num_classes=3, split="train"):
    """Clusters that overlap, the same for every seed."""
    labels = np.random.default_rng(seed).integers(num_classes, size=n)
    centres = np.random.default_rng(1000).standard_normal((num_classes, d))
    return features(centres[labels] + 3 * np.random.default_rng(seed).standard_normal((n, d)), labels, split=split)


def several(seed, n, *, num_classes=4, split="train"):
    """An image is of its cluster's class and perhaps of the next one; one label in ten can't be told."""
    one, rng = learnable(seed, n, num_classes=num_classes, split=split), np.random.default_rng(seed)
    labels = np.eye(num_classes, dtype=np.int64)[one.labels]
    labels |= np.roll(labels, 1, axis=1) * (rng.random((n, 1)) < 0.4)
    labels[rng.random(labels.shape) < 0.1] = -1
    return features(one.h, labels, split=split)


def both(a, b):
    return features(np.concatenate([a.h, b.h]), np.concatenate([a.labels, b.labels]))


def numbers(found):
    return {name: value for name, value in found if not isinstance(value, np.ndarray)}


def arrays(found):
    return {name: value for name, value in found if isinstance(value, np.ndarray)}


def scikit_learn(h, labels, l2):
    model = LogisticRegression(C=1 / (len(h) * l2), tol=1e-8, max_iter=1000, solver="newton-cholesky")
    return model.fit(h.astype(np.float64), labels)


def literal_several(train, scored, l2):
    """The mean over the classes of the average precision, a fit and a ranking of each on its own."""
    found = []
    for c in range(train.labels.shape[1]):
        told = train.labels[:, c] >= 0
        scores = scikit_learn(train.h[told], train.labels[told, c], l2).decision_function(scored.h.astype(np.float64))
        found.append(average_precision(scores, scored.labels[:, c]))
    return np.mean(found)


def test_equals_a_search_with_scikit_learn():
    train, test, validation = learnable(0, 120), learnable(1, 200, split="test"), learnable(2, 90, split="val")
    found = LogisticProbe(**FEW, tolerance=1e-9)(train, test, validation, 0)
    expected = [scikit_learn(train.h, train.labels, l2).score(validation.h, validation.labels) for l2 in L2S]
    np.testing.assert_allclose(arrays(found)["logistic_path_l2"], L2S)
    np.testing.assert_allclose(arrays(found)["logistic_path_validation"], expected)
    best = L2S[int(np.argmax(expected))]
    assert numbers(found)["logistic_l2"] == pytest.approx(best)
    assert numbers(found)["logistic_validation_top1"] == max(expected)
    assert len(set(expected)) > 4
    together = both(train, validation)
    final = scikit_learn(together.h, together.labels, best)
    np.testing.assert_array_equal(arrays(found)["logistic_predicted"], final.predict(test.h))
    assert numbers(found)["logistic_top1"] == final.score(test.h, test.labels)
    assert final.score(test.h, test.labels) != scikit_learn(train.h, train.labels, best).score(test.h, test.labels)


def test_several_labels_equal_a_search_class_by_class():
    train, test, validation = several(0, 120), several(1, 200, split="test"), several(2, 90, split="val")
    found = LogisticProbe(**FEW, tolerance=1e-9)(train, test, validation, 0)
    expected = [literal_several(train, validation, l2) for l2 in L2S]
    np.testing.assert_allclose(arrays(found)["logistic_path_validation"], expected, rtol=1e-3)
    best = L2S[int(np.argmax(expected))]
    assert numbers(found)["logistic_l2"] == pytest.approx(best)
    assert numbers(found)["logistic_validation_map"] == pytest.approx(max(expected), rel=1e-3)
    assert numbers(found)["logistic_map"] == pytest.approx(literal_several(both(train, validation), test, best), rel=1e-3)
    assert arrays(found)["logistic_average_precisions"].mean() == pytest.approx(numbers(found)["logistic_map"])
    assert set(numbers(found)) == {
        "logistic_map",
        "logistic_l2",
        "logistic_l2_at_end",
        "logistic_validation_map",
        "logistic_gap",
    }


def test_l2_is_chosen_by_the_metric_of_the_dataset():
    """Nine images in ten are of one class, so the two metrics disagree on what is best."""
    differ = 0
    for seed in range(6):
        train, validation = (learnable(seed + number, 1500, d=5) for number in (0, 100))
        train, validation = (
            part.rows(np.flatnonzero((part.labels == 0) | (np.arange(1500) % 9 == 0))) for part in (train, validation)
        )
        validation = features(validation.h, validation.labels, split="val")
        test = features(validation.h, validation.labels, split="test")
        chosen = []
        for metric in ("top1", "mean_per_class"):
            found = LogisticProbe(**FEW)(train, test, validation, 0, metric)
            values = []
            for l2 in L2S:
                right = scikit_learn(train.h, train.labels, l2).predict(validation.h) == validation.labels
                each = [right[validation.labels == c].mean() for c in range(3)]
                values.append(right.mean() if metric == "top1" else np.mean(each))
            np.testing.assert_allclose(arrays(found)["logistic_path_validation"], values, atol=2e-3)
            assert numbers(found)[f"logistic_validation_{metric}"] == arrays(found)["logistic_path_validation"].max()
            chosen.append(numbers(found)["logistic_l2"])
        differ += chosen[0] != chosen[1]
    assert differ > 2
    assert LogisticProbe().settings(1, "mean_per_class") == {"chosen_by": "mean_per_class"}


def test_by_hand():
    """Points on either side of 0 are told apart whatever l2 is, so the largest is taken."""
    train, validation = features([[1], [-1], [2], [-2]], [0, 1, 0, 1]), features([[1], [-1]], [0, 1], split="val")
    found = LogisticProbe(**FEW)(train, features([[3], [-3], [0.5], [1]], [0, 1, 1, 0], split="test"), validation, 0)
    assert numbers(found) == {
        "logistic_top1": 0.75,
        "logistic_l2": pytest.approx(1e3),
        "logistic_l2_at_end": 1.0,
        "logistic_validation_top1": 1.0,
        "logistic_gap": pytest.approx(0, abs=1e-5),
    }
    assert arrays(found)["logistic_path_validation"].tolist() == [1.0] * 9
    assert arrays(found)["logistic_predicted"].tolist() == [0, 1, 0, 0]


def test_of_equals_the_largest_l2_wins():
    """Nine validation images have ten accuracies for thirty l2."""
    num_ties = 0
    for seed in range(8):
        found = LogisticProbe(num_l2=30)(learnable(seed, 80), learnable(9, 30, split="test"), None, seed)
        l2s, values = arrays(found)["logistic_path_l2"], arrays(found)["logistic_path_validation"]
        assert numbers(found)["logistic_l2"] == l2s[values == values.max()].max()
        assert numbers(found)["logistic_validation_top1"] == values.max()
        num_ties += (values == values.max()).sum() > 1
    assert num_ties > 4, "there is something to decide"


def test_a_strong_l2_is_not_taken_for_infinite():
    """Of classes of equal size even weights that are almost zero choose the right one: the class's mean is near."""
    labels = np.arange(300) % 3
    train = features(np.eye(3, 20)[labels] + 0.3 * np.random.default_rng(0).standard_normal((300, 20)), labels)
    found = LogisticProbe(l2=(1e5, 1e5), num_l2=1)(train, features(train.h, labels, split="test"), None, 0)
    assert numbers(found)["logistic_top1"] > 0.9


@pytest.mark.parametrize(("l2", "at_end"), [((1e-6, 1e5), 0.0), ((1e-1, 1e5), 0.0), ((1e2, 1e5), 1.0), ((1e-9, 1e-7), 1.0)])
def test_whether_the_grid_was_wide_enough(l2, at_end):
    train, validation = learnable(0, 300), learnable(2, 2000, split="val")
    found = numbers(LogisticProbe(l2=l2, num_l2=12)(train, learnable(1, 50, split="test"), validation, 0))
    assert found["logistic_l2_at_end"] == at_end
    assert l2[0] <= found["logistic_l2"] <= l2[1]


def test_without_a_validation_split_a_share_of_each_class_is_held_out():
    train, test = learnable(0, 150), learnable(1, 100, split="test")
    found = LogisticProbe(**FEW, validation_fraction=0.3)(train, test, None, 5)
    rows = share(train.labels, 0.3, seed=5)
    rest = train.rows(np.delete(np.arange(150), rows))
    named = LogisticProbe(**FEW)(rest, test, features(train.h[rows], train.labels[rows], split="val"), 0)
    np.testing.assert_array_equal(arrays(found)["logistic_path_validation"], arrays(named)["logistic_path_validation"])
    assert numbers(found)["logistic_l2"] == numbers(named)["logistic_l2"]
    np.testing.assert_array_equal(arrays(found)["logistic_predicted"], arrays(named)["logistic_predicted"])
    other = LogisticProbe(**FEW, validation_fraction=0.3)(train, test, None, 6)
    assert (arrays(other)["logistic_path_validation"] != arrays(found)["logistic_path_validation"]).any()


def test_the_choice_does_not_look_at_the_test_split():
    train = learnable(0, 150)
    found = [
        LogisticProbe(**FEW)(train, test, None, 0) for test in (learnable(1, 50, split="test"), learnable(2, 9, split="test"))
    ]
    assert numbers(found[0])["logistic_l2"] == numbers(found[1])["logistic_l2"]
    np.testing.assert_array_equal(*(arrays(each)["logistic_path_validation"] for each in found))


@pytest.mark.parametrize("make", [learnable, several])
def test_same_bits_twice(make):
    train, test = make(0, 100), make(1, 60, split="test")
    first, second = (LogisticProbe(**FEW)(train, test, None, 3) for _ in range(2))
    assert numbers(first) == numbers(second)
    for name, value in arrays(first).items():
        np.testing.assert_array_equal(value, arrays(second)[name])


def test_features_may_be_read_only():
    train, test = learnable(0, 100), learnable(1, 60, split="test")
    expected = numbers(LogisticProbe(**FEW)(train, test, None, 0))
    for array in (train.h, train.labels, test.h, test.labels):
        array.flags.writeable = False
    assert numbers(LogisticProbe(**FEW)(train, test, None, 0)) == expected


def test_the_only_image_of_a_class_is_not_held_out():
    train = features(learnable(0, 31, d=60).h, [0] * 15 + [1] * 15 + [2])
    rows = rows_to_hold_out(train.labels, 0.1, seed=0)
    assert 30 in share(train.labels, 0.1, seed=0)
    assert sorted(train.labels[rows]) == [0, 0, 1, 1]
    found = LogisticProbe(**FEW)(train, learnable(1, 20, d=60, split="test"), None, 0)
    assert 0 < numbers(found)["logistic_top1"] < 1


def test_features_that_say_nothing():
    train = features(np.ones((40, 3)), [0] * 30 + [1] * 10)
    found = numbers(LogisticProbe(**FEW)(train, features(np.ones((4, 3)), [0, 0, 0, 1], split="test"), None, 0))
    assert found["logistic_top1"] == 0.75
    assert found["logistic_mean_per_class"] == 0.5
    assert found["logistic_l2"] == pytest.approx(1e3), "all l2 are equal, so the largest"


def test_a_class_that_only_the_test_split_has_is_always_wrong():
    train, test = learnable(0, 100, num_classes=2), learnable(1, 60, num_classes=2, split="test")
    unseen = features(np.concatenate([test.h, test.h]), [*test.labels, *[2] * 60], split="test")
    seen = numbers(LogisticProbe(**FEW)(train, test, None, 0))["logistic_top1"]
    assert numbers(LogisticProbe(**FEW)(train, unseen, None, 0))["logistic_top1"] == pytest.approx(seen / 2)


def test_a_class_that_cannot_be_learnt_scores_all_images_alike():
    train, test = several(0, 100), several(1, 60, split="test")
    train.labels[:, 1] = 0
    each = arrays(LogisticProbe(**FEW)(train, test, None, 0))["logistic_average_precisions"]
    told = test.labels[:, 1] >= 0
    assert each[1] == pytest.approx((test.labels[told, 1] == 1).mean())
    test.labels[:, 2] = 0
    found = LogisticProbe(**FEW)(train, test, None, 0)
    assert np.isnan(arrays(found)["logistic_average_precisions"]).tolist() == [False, False, True, False]
    assert numbers(found)["logistic_map"] == pytest.approx(np.nanmean(arrays(found)["logistic_average_precisions"]))


def test_missing_labels_and_wrong_features():
    train, test = learnable(0, 30), learnable(1, 10, split="test")
    probe = LogisticProbe(**FEW)
    for make in (learnable, several):
        with pytest.raises(DataError, match="evaluate: the split 'test' has no labels, and 'logistic' needs them"):
            probe(make(0, 30), features(test.h, None, split="test"), None, 0)
        with pytest.raises(DataError, match="the split 'val' has no labels, and 'logistic' needs them"):
            probe(make(0, 30), make(1, 10, split="test"), features(test.h, None, split="val"), 0)
        with pytest.raises(DataError, match="the split 'test' has no images"):
            probe(make(0, 30), make(1, 10, split="test").rows(np.arange(0)), None, 0)
        wrong = make(0, 30)
        wrong.h[[2, 5], 1] = np.nan
        with pytest.raises(DataError, match="2 of the 30 rows of features of the split 'train' are not finite"):
            probe(wrong, make(1, 10, split="test"), None, 0)
    with pytest.raises(DataError, match="the split 'train' has no labels, and 'logistic' needs them"):
        probe(features(train.h, None), test, None, 0)
    with pytest.raises(DataError, match="there is a label 2, but only 2 classes"):
        probe(features(train.h, train.labels, classes=("a", "b")), test, None, 0)


def test_one_class_only():
    test = learnable(1, 10, split="test")
    with pytest.raises(DataError, match="all images of the split 'train' are of one class, and 'logistic' needs two or more"):
        LogisticProbe()(features(np.ones((5, 20)), [1] * 5), test, None, 0)
    train, test = several(0, 30), several(1, 10, split="test")
    with pytest.raises(DataError, match="no class that some images are of and others are not"):
        LogisticProbe()(features(train.h, train.labels[:, :0]), features(test.h, test.labels[:, :0]), None, 0)
    with pytest.raises(DataError, match="no class that some images are of and others are not"):
        LogisticProbe()(features(train.h, np.ones((30, 4))), test, None, 0)
    with pytest.raises(DataError, match="no image of the split 'test' is of any class"):
        LogisticProbe()(train, features(test.h, np.minimum(test.labels, 0), split="test"), None, 0)


def test_several_labels_that_do_not_fit():
    train, test = several(0, 30), several(1, 10, split="test")
    for wrong in (features(test.h, test.labels[:, :2], split="test"), learnable(1, 10, split="test")):
        with pytest.raises(DataError, match="the split 'train' and the split 'test' have different classes"):
            LogisticProbe()(train, wrong, None, 0)
    named = features(train.h, train.labels, classes=("a", "b", "c", "e"))
    with pytest.raises(DataError, match="the splits 'train' and 'test' have different classes"):
        LogisticProbe()(named, features(test.h, test.labels, split="test", classes=("a", "b", "c", "d")), None, 0)
    with pytest.raises(DataError, match="the split 'train' has labels from -1 to 2; where an image may be of several classes"):
        LogisticProbe()(features(train.h, np.where(train.labels == 1, 2, train.labels)), test, None, 0)
    with pytest.raises(DataError, match="an image of the split 'test' may be of several classes"):
        LogisticProbe()(learnable(0, 30), test, None, 0)


def test_the_validation_split_is_neither_of_the_others():
    train, test = learnable(0, 30), learnable(1, 10, split="test")
    with pytest.raises(DataError, match="'logistic' can't choose on the split 'test', which it is tested on. Name another"):
        LogisticProbe()(train, test, test, 0)
    with pytest.raises(DataError, match="'logistic' can't choose on the split 'train', which it learns from. Name another"):
        LogisticProbe()(train, test, train, 0)


def test_too_few_images_to_hold_some_out():
    test = learnable(1, 10, split="test")
    with pytest.raises(DataError, match="the split 'train' has too few images for 'logistic' to hold some out"):
        LogisticProbe()(features(np.eye(3, 20), [0, 1, 2]), test, None, 0)
    with pytest.raises(DataError, match="the split 'train' has too few images for 'logistic' to hold some out"):
        LogisticProbe()(
            features(np.eye(2, 20), [[1, 0], [0, 1]]), features(np.eye(2, 20), [[1, 0], [0, 1]], split="test"), None, 0
        )


def test_what_is_checked_before_training():
    for make in (learnable, several):
        train, test = (
            features(np.zeros((30, 0)), make(seed, 30).labels, split=split) for seed, split in ((0, "train"), (1, "test"))
        )
        LogisticProbe().check(train, test)
        with pytest.raises(DataError, match="the split 'test' has no labels"):
            LogisticProbe().check(train, features(test.h, None, split="test"))


def test_the_gpu_is_taken_where_it_has_room(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (1000, 2000))
    assert logistic._device(300).type == "cuda"
    assert logistic._device(400).type == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert logistic._device(300).type == "cpu"


def test_the_recipe_side():
    model = registry.model("logistic")
    assert (model().num_l2, model().l2, model().validation_fraction) == (45, (1e-6, 1e5), 0.1)
    assert model(validation="val", l2=(1e-8, 1.0)).l2 == (1e-8, 1.0)
    for wrong in [
        {"num_l2": 0},
        {"l2": (0.0, 1.0)},
        {"l2": (1.0,)},
        {"validation_fraction": 1.0},
        {"tolerance": 0.0},
        {"max_iterations": 0},
    ]:
        with pytest.raises(ValidationError):
            model(**wrong)
    with pytest.raises(UserError, match=r"l2: must be \(low, high\), is \(100, 1\). Did you mean \(1, 100\)\?"):
        LogisticProbe(l2=(100.0, 1.0))
    assert (LogisticProbe().l2s[0], LogisticProbe().l2s[-1], len(LogisticProbe().l2s)) == (1e5, 1e-6, 45)
    np.testing.assert_allclose(LogisticProbe().l2s[:-1] / LogisticProbe().l2s[1:], 10 ** (11 / 44))
