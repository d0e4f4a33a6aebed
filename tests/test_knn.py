"""k nearest neighbours: votes, ties, degenerate features, and what is refused."""

import math
import subprocess
import sys
import tracemalloc
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small import tops

from sslkit.errors import DataError
from sslkit.evaluations import knn, registry
from sslkit.evaluations.accuracy import guesses
from sslkit.evaluations.features import Features
from sslkit.evaluations.knn import KNN


def classified(**parameters):
    return lambda train, test: tops(KNN(**parameters)(train, test))


def features(h, labels, *, split="train", classes=None):
    return Features(np.asarray(h, np.float32), None if labels is None else np.asarray(labels, np.int64), classes, split)


def random_features(seed, n, *, d=8, num_classes=4, split="train"):
    rng = np.random.default_rng(seed)
    return features(rng.standard_normal((n, d)), rng.integers(num_classes, size=n), split=split)


def literal_top1(train, test, *, k, temperature):
    """The formula, image by image and neighbour by neighbour, in float64."""

    def cosine(a, b):
        norms = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
        return float(a @ b) / norms if norms > 0 else 0.0

    bank, queries = train.h.astype(np.float64), test.h.astype(np.float64)
    num_hits = 0
    for query, label in zip(queries, test.labels, strict=True):
        similarities = [cosine(query, row) for row in bank]
        nearest = sorted(range(len(bank)), key=lambda i: (-similarities[i], i))[:k]
        votes = [0.0] * (1 + max(train.labels.max(), test.labels.max()))
        for i in nearest:
            votes[train.labels[i]] += math.exp(similarities[i] / temperature)
        num_hits += votes.index(max(votes)) == label
    return num_hits / len(queries)


def duplicated(bank):
    """Every image three times, with its label."""
    return features(np.repeat(bank.h, 3, axis=0), np.repeat(bank.labels, 3))


def of_one_class(bank):
    return features(bank.h, np.zeros(len(bank.h)))


def with_zero_rows(bank):
    h = bank.h.copy()
    h[::3] = 0
    return features(h, bank.labels)


def collapsed(bank):
    return features(np.ones_like(bank.h), bank.labels)


@pytest.mark.parametrize("degenerate", [lambda bank: bank, duplicated, of_one_class, with_zero_rows, collapsed])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_equals_the_formula_in_float64(degenerate, temperature, k):
    for seed in range(3):
        train = degenerate(random_features(seed, 60))
        test = random_features(100 + seed, 40, split="test")
        assert classified(k=k, temperature=temperature)(train, test) == [
            ("knn_top1", literal_top1(train, test, k=k, temperature=temperature))
        ]


def test_zero_queries_are_equally_far_from_everything():
    train = random_features(0, 30)
    test = features(np.zeros((4, 8)), [0, 1, 2, 3], split="test")
    most_frequent = np.bincount(train.labels).argmax()
    assert classified(k=30)(train, features(test.h[:1], [most_frequent], split="test")) == [("knn_top1", 1.0)]
    assert classified(k=30)(train, test) == [("knn_top1", 0.25)]


@pytest.mark.parametrize(("temperature", "winner"), [(1.0, 1), (0.1, 0)])
def test_by_hand(temperature, winner):
    """Similarities 0.8 for class 0 and twice 0.6 for class 1: e^0.8 = 2.23 < 2 e^0.6 = 3.64, but e^8 = 2981 > 2 e^6 = 807."""
    train = features([[1, 0], [0, 1], [0, 5]], [0, 1, 1])
    test = features([[0.8, 0.6]], [winner], split="test")
    assert classified(k=3, temperature=temperature)(train, test) == [("knn_top1", 1.0)]


def test_equal_votes_go_to_the_smallest_class():
    train = features([[1, 0], [1, 0]], [2, 1])
    assert classified(k=2)(train, features([[1, 0]], [1], split="test")) == [("knn_top1", 1.0)]
    assert classified(k=2)(train, features([[1, 0]], [2], split="test")) == [("knn_top1", 0.0)]


def test_small_temperatures_do_not_overflow():
    train, test = random_features(0, 50), random_features(1, 50, split="test")
    assert classified(k=9, temperature=1e-4)(train, test) == classified(k=1)(train, test)


@given(seed=st.integers(0, 10_000), exponent=st.integers(-30, 30))
@settings(max_examples=25, deadline=None)
def test_the_length_of_features_does_not_matter(seed, exponent):
    train, test = random_features(seed, 40), random_features(seed + 1, 30, split="test")
    scale = np.random.default_rng(seed).uniform(0.1, 10, (40, 1)) * 10.0**exponent
    scaled = features(train.h * scale, train.labels)
    assert classified(k=5)(scaled, test) == classified(k=5)(train, test)


def test_several_k_equal_one_by_one():
    train, test = random_features(0, 200), random_features(1, 300, split="test")
    ks = (20, 1, 150)
    found = classified(k=ks, temperature=1.0)(train, test)
    assert found == [(f"knn_k{k}_top1", classified(k=k, temperature=1.0)(train, test)[0][1]) for k in ks]
    assert len({value for _, value in found}) == 3, "the k are told apart"
    assert classified(k=(20,))(train, test) == classified(k=20)(train, test)


def test_among_equally_near_neighbours_the_earlier_come_first():
    train = features(np.ones((200, 8)), [0, 1, 1] + [2] * 197)
    test = features(np.ones((6, 8)), [0, 1, 1, 2, 2, 2], split="test")
    expected = {1: 1 / 6, 3: 2 / 6, 150: 3 / 6}
    assert classified(k=tuple(expected))(train, test) == [(f"knn_k{k}_top1", value) for k, value in expected.items()]
    assert [classified(k=k)(train, test)[0][1] for k in expected] == list(expected.values())


def test_top5_counts_the_five_classes_with_most_votes_and_none_without_a_vote():
    angles = np.linspace(0.1, 1.2, 11)
    train = features(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(11)[::-1])  # nearest: 10, then 9, ...
    for label, hit in [(10, 1.0), (6, 1.0), (5, 0.0), (0, 0.0)]:
        test = features([[1, 0]], [label], split="test")
        assert classified(k=11, temperature=1.0)(train, test)[1] == ("knn_top5", hit)
    test = features([[1, 0]], [0], split="test")
    assert classified(k=2)(train, test) == [("knn_top1", 0.0), ("knn_top5", 0.0)], "0 has no vote, though it is a small index"


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.3, 0.1, 0.2]])
    assert guesses(scores, np.array([2, 0, 1, 1])).ranks.tolist() == [1, 0, 1, 2]


def test_same_bits_twice_and_in_any_chunks(monkeypatch):
    train, test = random_features(0, 500, num_classes=12), random_features(1, 300, num_classes=12, split="test")
    first = classified(k=(5, 50))(train, test)
    assert classified(k=(5, 50))(train, test) == first
    monkeypatch.setattr(knn, "_ROWS", 37)
    assert classified(k=(5, 50))(train, test) == first


def test_memory_does_not_grow_with_the_queries():
    def peak(num_queries):
        train, test = random_features(0, 1000), random_features(1, num_queries, split="test")
        tracemalloc.start()
        classified(k=200)(train, test)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(8192) < 1.3 * peak(2048)


def test_separates_what_is_separable():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    h = np.eye(3)[labels] + 0.2 * rng.standard_normal((120, 3))
    train, test = features(h[:60], labels[:60]), features(h[60:], labels[60:], split="test")
    assert classified(k=10)(train, test) == [("knn_top1", 1.0)]
    assert classified(k=10)(features(h[:60], rng.permutation(labels[:60])), test)[0][1] < 0.7


def test_k_above_the_bank():
    with pytest.raises(DataError, match="k = 200, but the bank 'train' has only 64 images; set k to 64 or less"):
        classified(k=(5, 200))(random_features(0, 64), random_features(1, 5, split="test"))


def test_missing_labels_classes_and_images():
    train, test = random_features(0, 30), random_features(1, 5, split="val")
    with pytest.raises(DataError, match="evaluate: the split 'val' has no labels, and 'knn' needs them"):
        classified(k=5)(train, features(test.h, None, split="val"))
    with pytest.raises(DataError, match="the split 'val' has 2 images without a label"):
        classified(k=5)(train, features(test.h, [-1, 0, 1, -1, 2], split="val"))
    with pytest.raises(DataError, match="the split 'val' has no images"):
        classified(k=5)(train, features(np.empty((0, 8)), [], split="val"))
    with pytest.raises(DataError, match=r"'train' and 'val' have different classes \(a, b, c, d and a, c, b, d\)"):
        classified(k=5)(
            features(train.h, train.labels, classes=("a", "b", "c", "d")),
            features(test.h, test.labels, split="val", classes=("a", "c", "b", "d")),
        )
    with pytest.raises(DataError, match="there is a label 3, but only 2 classes"):
        classified(k=5)(features(train.h, train.labels, classes=("a", "b")), test)


def test_features_that_are_not_finite():
    train, test = random_features(0, 30), random_features(1, 5, split="test")
    train.h[3, 1] = train.h[3, 2] = np.nan
    train.h[7, 0] = np.inf
    with pytest.raises(DataError, match="2 of the 30 rows of features of the split 'train' are not finite"):
        classified(k=5)(train, test)


def test_the_recipe_side():
    model = registry.model("knn")
    assert model(k=(5, 20)).k == (5, 20)
    assert model().k == 20
    for wrong in [{"k": 0}, {"k": ()}, {"k": (5, 0)}, {"temperature": 0.0}]:
        with pytest.raises(ValidationError):
            model(**wrong)


def imported_by(statement: str) -> str:
    code = f"import sys\n{statement}\nprint('faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_faiss_is_not_imported_before_it_is_needed():
    assert isinstance(knn, ModuleType)
    assert imported_by("import sslkit.evaluations.knn") == "False"
    assert imported_by("import faiss") == "True", "this check can fail"
