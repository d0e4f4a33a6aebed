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
from sklearn.neighbors import KNeighborsClassifier
from small import tops

from sslkit.errors import DataError, UserError
from sslkit.evaluations import knn, neighbours, registry
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


def cosine(a, b):
    norms = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(a @ b) / norms if norms > 0 else 0.0


def squared_distance(a, b):
    return float(((a - b) ** 2).sum())


def literal_weight(a, b, *, metric, votes, temperature):
    """What a neighbour adds to its class; divided by nothing, so temperatures must not be small."""
    score = cosine(a, b) if metric == "cosine" else -squared_distance(a, b)
    distance = 1 - score if metric == "cosine" else math.sqrt(-score)
    return {"exp": math.exp(score / temperature), "inverse": 1 / (distance + 1e-5), "uniform": 1.0}[votes]


def literal_top1(train, test, *, k, temperature=0.07, metric="cosine", votes="exp"):
    """The formula, image by image and neighbour by neighbour, in float64."""
    bank, queries = train.h.astype(np.float64), test.h.astype(np.float64)
    num_hits = 0
    for number, (query, label) in enumerate(zip(queries, test.labels, strict=True)):
        others = [i for i in range(len(bank)) if train.split != test.split or train.indices[i] != test.indices[number]]
        far = (lambda i: -cosine(query, bank[i])) if metric == "cosine" else (lambda i: squared_distance(query, bank[i]))  # noqa: B023
        sums = [0.0] * (1 + max(train.labels.max(), test.labels.max()))
        for i in sorted(others, key=lambda i: (far(i), i))[:k]:
            sums[train.labels[i]] += literal_weight(query, bank[i], metric=metric, votes=votes, temperature=temperature)
        num_hits += sums.index(max(sums)) == label
    return num_hits / len(queries)


def duplicated(bank):
    """Every image three times, with its label."""
    return features(np.repeat(bank.h, 3, axis=0), np.repeat(bank.labels, 3))


def nearly_of_one_class(bank):
    return features(bank.h, np.arange(len(bank.h)) == 0)


def with_zero_rows(bank):
    h = bank.h.copy()
    h[::3] = 0
    return features(h, bank.labels)


def collapsed(bank):
    return features(np.ones_like(bank.h), bank.labels)


DEGENERATE = [lambda bank: bank, duplicated, nearly_of_one_class, with_zero_rows, collapsed]


@pytest.mark.parametrize("degenerate", DEGENERATE)
@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_equals_the_formula_in_float64(degenerate, temperature, k):
    for seed in range(3):
        train = degenerate(random_features(seed, 60))
        test = random_features(100 + seed, 40, split="test")
        assert classified(k=k, temperature=temperature)(train, test) == [
            ("knn_top1", literal_top1(train, test, k=k, temperature=temperature))
        ]


@pytest.mark.parametrize("degenerate", DEGENERATE)
@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize("votes", ["exp", "inverse", "uniform"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_metric_and_vote_equals_its_formula_in_float64(metric, votes, backend, degenerate):
    rule = {"k": 60, "temperature": 1.0, "metric": metric, "votes": votes}
    for seed in range(2):
        train = degenerate(random_features(seed, 60))
        test = random_features(100 + seed, 40, split="test")
        test.h[:5] = train.h[:5]  # at distance 0
        expected = literal_top1(train, test, **rule)
        assert classified(**rule, backend=backend)(train, test) == [("knn_top1", expected)]


@pytest.mark.parametrize("k", [1, 5, 200])
@pytest.mark.parametrize("votes", ["exp", "inverse", "uniform"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_guess_is_scikit_learns(metric, votes, k):
    weights = {
        "exp": lambda d: np.exp((1 - d if metric == "cosine" else -(d**2)) / 0.5),
        "inverse": lambda d: 1 / (d + 1e-5),
        "uniform": "uniform",
    }[votes]
    train, test = random_features(0, 500, num_classes=7), random_features(1, 200, num_classes=7, split="test")
    classifier = KNeighborsClassifier(k, weights=weights, metric=metric, algorithm="brute")
    expected = classifier.fit(train.h.astype(np.float64), train.labels).predict(test.h.astype(np.float64))
    found = dict(KNN(k=k, metric=metric, votes=votes, temperature=0.5)(train, test))
    np.testing.assert_array_equal(found["knn_predicted"], expected)


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


def test_several_temperatures_equal_one_by_one():
    train, test = random_features(0, 200), random_features(1, 300, split="test")
    found = classified(k=150, temperature=(0.05, 1, 10.0))(train, test)
    assert [name for name, _ in found] == ["knn_t0.05_top1", "knn_t1_top1", "knn_t10.0_top1"]
    assert [value for _, value in found] == [classified(k=150, temperature=t)(train, test)[0][1] for t in (0.05, 1.0, 10.0)]
    assert len({value for _, value in found}) == 3, "the temperatures are told apart"
    both = classified(k=(20, 150), temperature=(0.07, 1.0))(train, test)
    assert both == [
        (f"knn_k{k}_t{t}_top1", classified(k=k, temperature=t)(train, test)[0][1]) for k in (20, 150) for t in (0.07, 1.0)
    ]


@pytest.mark.parametrize(("num_further", "winner"), [(1, 0), (3, 1)])
def test_inverse_votes_by_hand(num_further, winner):
    """At distance 0 a vote of 1e5, at 1e-5 one of 5e4: three of these win, one does not; float32 alone would not tell."""
    train = features([[0.5], *[[0.5 + 1e-5]] * num_further, [9]], [0, *[1] * num_further, 1])
    test = features([[0.5]], [winner], split="test")
    assert classified(k=1 + num_further, metric="euclidean", votes="inverse")(train, test) == [("knn_top1", 1.0)]


def test_uniform_votes_by_hand():
    train = features([[1, 0], [0, 1], [0, 5]], [0, 1, 1])
    test = features([[1, 0]], [1], split="test")
    assert classified(k=3, votes="uniform")(train, test) == [("knn_top1", 1.0)]
    assert classified(k=3)(train, test) == [("knn_top1", 0.0)]


def test_votes_of_far_neighbours_do_not_vanish():
    """e^(-d^2 / T) is 0 in float64 from the second on, and still the nearer of the classes is the better guess."""
    train = features(np.arange(12)[:, None], np.arange(12)[::-1])
    for metric, h in [("euclidean", train.h), ("cosine", np.stack([np.cos(train.h[:, 0] / 9), np.sin(train.h[:, 0] / 9)], 1))]:
        bank = features(h, train.labels)
        for label in range(12):
            test = features(h[:1], [label], split="test")
            found = dict(KNN(k=12, temperature=1e-5, metric=metric)(bank, test))
            assert found["knn_top5"] == (label >= 7), (metric, label)


def test_many_equally_far_neighbours_outvote_few_however_far():
    train = features([[1e10], [-1e10], [-1e10], [-1e10]], [0, 1, 1, 1])
    assert classified(k=4, metric="euclidean")(train, features([[0]], [1], split="test")) == [("knn_top1", 1.0)]


def test_twice_the_temperature_for_euclidean_on_the_unit_sphere():
    train, test = random_features(0, 300), random_features(1, 200, split="test")
    for one in (train, test):
        one.h[:] /= np.linalg.norm(one.h, axis=1, keepdims=True)
    expected = KNN(k=50, temperature=0.2)(train, test)
    found = KNN(k=50, temperature=0.4, metric="euclidean")(train, test)
    np.testing.assert_array_equal(dict(found)["knn_predicted"], dict(expected)["knn_predicted"])


def test_a_class_that_is_not_in_the_bank_is_never_right():
    train = random_features(0, 60, num_classes=3)
    test = features(train.h, [*train.labels[:30], *[3] * 30], split="test")
    assert classified(k=1)(train, test) == [("knn_top1", 0.5)]


@pytest.mark.fault(
    "ties among neighbours",
    injected="equal features",
    expected="the earlier image first",
    theme="numbers",
)
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
    monkeypatch.setattr(neighbours, "_ROWS", 37)
    monkeypatch.setattr(neighbours, "_NUMBERS", 60 * 50)
    assert classified(k=(5, 50))(train, test) == first


def test_memory_does_not_grow_with_the_queries(monkeypatch):
    def peak(num_queries):
        train, test = random_features(0, 1000), random_features(1, num_queries, split="test")
        tracemalloc.start()
        classified(k=200)(train, test)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    monkeypatch.setattr(neighbours, "_NUMBERS", 2048 * 200)
    assert peak(8192) < 1.3 * peak(2048)
    monkeypatch.setattr(neighbours, "_NUMBERS", 8192 * 200)
    assert peak(8192) > 1.3 * peak(2048), "this check can fail"


def test_separates_what_is_separable():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    h = np.eye(3)[labels] + 0.2 * rng.standard_normal((120, 3))
    train, test = features(h[:60], labels[:60]), features(h[60:], labels[60:], split="test")
    assert classified(k=10)(train, test) == [("knn_top1", 1.0)]
    assert classified(k=10)(features(h[:60], rng.permutation(labels[:60])), test)[0][1] < 0.7


def same_split(bank, rows, *, split="train"):
    """Some rows of a split as a bank."""
    return Features(bank.h[rows], bank.labels[rows], None, split, bank.indices[rows])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5, 29])
def test_an_image_does_not_vote_for_itself(k, metric):
    images = random_features(0, 60)
    banks = {
        "all": np.arange(60),
        "in another order": np.random.default_rng(0).permutation(60),
        "a part": np.arange(0, 60, 2),
        "twice": np.tile(np.arange(30), 2),
    }
    for name, rows in banks.items():
        bank = same_split(images, rows)
        rule = {"k": min(k, len(rows) - 2), "temperature": 1.0, "metric": metric}
        assert classified(**rule)(bank, images) == [("knn_top1", literal_top1(bank, images, **rule))], name
        other = Features(bank.h, bank.labels, None, "val", bank.indices)
        assert dict(classified(k=1)(other, same_split(images, rows)))["knn_top1"] == 1.0, "of another split it is another image"


def test_leave_one_out_by_hand():
    images = features([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [0, 1, 2, 2])
    assert classified(k=1)(images, images) == [("knn_top1", 0.5)]  # 0 and 1 take each other's class
    assert classified(k=1)(images, features(images.h, images.labels, split="test")) == [("knn_top1", 1.0)]
    bank = same_split(images, np.array([0, 2]))
    assert classified(k=1)(bank, same_split(images, np.array([0, 1, 2, 3]))) == [("knn_top1", 0.25)]  # 3 alone


def test_leave_one_out_needs_one_image_more():
    images = random_features(0, 20)
    assert KNN(k=19)(images, images)
    with pytest.raises(DataError, match="k = 20, but the bank 'train' has only 19 images that are not the image itself"):
        KNN(k=20)(images, images)
    with pytest.raises(DataError, match="set k to 9 or less"):
        KNN(k=10)(same_split(images, np.arange(10)), images)
    assert KNN(k=10)(same_split(images, np.arange(10)), same_split(images, np.arange(10, 20)))


@pytest.mark.fault(
    "more neighbours than images",
    injected="k larger than the bank",
    expected="refused",
    theme="numbers",
)
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
    with pytest.raises(
        DataError, match=r"'train' and 'val' have different classes \(in another order: a, b, c, d and a, c, b, d\)"
    ):
        classified(k=5)(
            features(train.h, train.labels, classes=("a", "b", "c", "d")),
            features(test.h, test.labels, split="val", classes=("a", "c", "b", "d")),
        )
    many = [tuple(f"{prefix}{number}" for number in range(7)) for prefix in "xy"]
    says = r"\(only 'train' has x0, x1, x2, x3, x4, \.\.\. 7 in all and only 'val' has y0, y1, y2, y3, y4, \.\.\. 7 in all\)"
    with pytest.raises(DataError, match=says):
        classified(k=5)(
            features(train.h, train.labels, classes=("both", *many[0])),
            features(test.h, test.labels, split="val", classes=(*many[1], "both")),
        )
    with pytest.raises(DataError, match=r"\(only 'val' has c\)"):
        classified(k=5)(
            features(train.h, train.labels, classes=("a", "b")),
            features(test.h, test.labels, split="val", classes=("a", "b", "c")),
        )
    with pytest.raises(DataError, match="there is a label 3, but only 2 classes"):
        classified(k=5)(features(train.h, train.labels, classes=("a", "b")), test)


@pytest.mark.fault(
    "features that are not finite",
    injected="NaN and infinity in rows",
    expected="refused, with their number",
    theme="numbers",
)
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
    for wrong in [
        {"k": 0}, {"k": ()}, {"k": (5, 0)}, {"temperature": 0.0}, {"temperature": (0.1, 0.0)}, {"temperature": ()},
        {"metric": "manhattan"}, {"votes": "rank"}, {"index": "pq"}, {"backend": "numpy"}, {"num_probes": 0},
    ]:  # fmt: skip
        with pytest.raises(ValidationError):
            model(**wrong)
    assert registry.filled("knn", {"temperature": [1, 0.1]})[0]["temperature"] == (1.0, 0.1)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"votes": "uniform", "temperature": (0.1, 0.2)}, 'temperature: votes = "uniform" have none'),
        ({"index": "ivf", "backend": "torch"}, 'index: "ivf" is faiss\'s; with backend = "torch" there is "flat" only'),
        ({"num_probes": 3}, 'num_probes: index = "flat" has no such number'),
        ({"index": "hnsw", "num_lists": 3}, 'num_lists: index = "hnsw" has no such number'),
        ({"index": "ivf", "ef_search": 3}, 'ef_search: index = "ivf" has no such number'),
    ],
)
def test_parameters_that_do_not_go_together(parameters, says):
    with pytest.raises(UserError, match=says):
        KNN(**parameters)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "votes exp(cos/T)"),
        ({"metric": "euclidean"}, "votes exp(-d^2/T)"),
        ({"metric": "euclidean", "votes": "inverse"}, "votes 1/(d + 1e-05)"),
        ({"votes": "uniform"}, "equal votes"),
    ],
)
def test_the_protocol_says_the_rule(parameters, says):
    assert KNN(**parameters).law == says


@pytest.mark.parametrize(
    ("parameters", "settings"),
    [
        ({}, {}),
        ({"index": "ivf"}, {"num_lists": 31, "num_probes": 31}),
        ({"index": "ivf", "num_lists": 90, "num_probes": 3}, {"num_lists": 90, "num_probes": 3}),
        ({"index": "hnsw", "ef_search": 20}, {"num_links": 32, "ef_construction": 80, "ef_search": 20}),
    ],
)
def test_what_an_index_leaves_open_is_told(parameters, settings):
    assert KNN(**parameters).settings(1000) == settings


def imported_by(statement: str) -> str:
    code = f"import sys\n{statement}\nprint('faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_faiss_is_not_imported_before_it_is_needed():
    assert isinstance(knn, ModuleType)
    assert imported_by("import sslkit.evaluations.knn") == "False"
    assert imported_by("import faiss") == "True", "this check can fail"
