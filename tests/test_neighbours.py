"""The nearest rows of a bank: exact and approximate, in blocks, by either backend, and what of them can be trusted."""

import subprocess
import sys
import tracemalloc

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from sslkit.errors import UserError
from sslkit.evaluations import approximate_search, block_search, blocks, neighbours
from sslkit.evaluations.approximate_search import HNSW, IVF, ApproximateSearch
from sslkit.evaluations.exact_search import ExactSearch
from sslkit.evaluations.features import Features
from sslkit.evaluations.knn import KNN
from sslkit.evaluations.nearness import Cosine, nearness_by
from sslkit.evaluations.neighbours import NONE, Neighbours, nearest, recall, scored
from sslkit.evaluations.votes import best, votes_of

METRICS = ["cosine", "euclidean"]
BACKENDS = ["faiss", "torch"]
INDICES = [IVF(num_probes=4), HNSW(num_links=8)]


def random_h(seed, n, d=8):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def features(h, *, split="train"):
    return Features(h, np.arange(len(h)) % 3, None, split)


def exact(bank, queries, k, *, metric="cosine", backend="faiss"):
    return ExactSearch(bank, nearness=nearness_by(metric, bank, queries), backend=backend)(queries, k)


def finely(bank, queries, k, *, metric, backend="faiss"):
    """Neighbours with scores in float64, as votes for which digits count take them."""
    near = nearness_by(metric, bank, queries)
    found = ExactSearch(bank, nearness=near, backend=backend)(queries, k)
    return scored(found, features(bank), queries, near)


def theirs(bank, queries, k, *, metric):
    """Scores and rows of scikit-learn, by brute force in float64."""
    search = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(bank.astype(np.float64))
    distances, rows = search.kneighbors(queries.astype(np.float64))
    return (1 - distances if metric == "cosine" else -(distances**2)), rows


@pytest.mark.parametrize("k", [1, 20, 300])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_equals_scikit_learn(metric, backend, k):
    bank, queries = random_h(0, 300), random_h(1, 50)
    scores, rows = theirs(bank, queries, k, metric=metric)
    found = finely(bank, queries, k, metric=metric, backend=backend)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12, atol=1e-12)
    quick = exact(bank, queries, k, metric="cosine", backend=backend)
    np.testing.assert_allclose(quick.scores, theirs(bank, queries, k, metric="cosine")[0], atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_blocks_change_nothing(monkeypatch, metric, backend):
    bank, queries = random_h(0, 300), random_h(1, 50)
    whole = finely(bank, queries, 40, metric=metric, backend=backend)
    for rows in (299, 100, 7):  # also blocks with fewer rows than are looked for
        monkeypatch.setattr(blocks, "_NUMBERS", rows * 8)
        assert len(list(blocks.parts(bank))) == -(-300 // rows)
        np.testing.assert_array_equal(finely(bank, queries, 40, metric=metric, backend=backend).rows, whole.rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_few_queries_at_a_time_for_torch_and_for_scores(monkeypatch, backend):
    bank, queries = random_h(0, 300), random_h(1, 50)
    whole = finely(bank, queries, 40, metric="euclidean", backend=backend)
    monkeypatch.setattr(block_search, "_SCORES", 7 * 300)
    monkeypatch.setattr(neighbours, "_SCORED_NUMBERS", 3 * 40 * 8)
    few = finely(bank, queries, 40, metric="euclidean", backend=backend)
    np.testing.assert_array_equal(few.rows, whole.rows)
    np.testing.assert_array_equal(few.scores, whole.scores)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [300, 64, 7])
def test_the_earlier_of_equal_rows_comes_first(monkeypatch, metric, rows):
    """30 different rows, each ten times: all ten copies of the nearest come in the order of the bank, then those of the next."""
    monkeypatch.setattr(blocks, "_NUMBERS", rows * 8)
    different, queries = random_h(0, 30), random_h(1, 20)
    bank = np.tile(different, (10, 1))
    _, order = theirs(different, queries, 2, metric=metric)
    expected = np.concatenate([order[:, [place]] + 30 * np.arange(10) for place in (0, 1)], axis=1)
    np.testing.assert_array_equal(finely(bank, queries, 20, metric=metric).rows, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_equal_rows_in_several_blocks_the_earlier_are_kept(monkeypatch, backend):
    monkeypatch.setattr(blocks, "_NUMBERS", 30 * 8)
    different, queries = random_h(0, 30), random_h(1, 20)
    found = exact(np.tile(different, (10, 1)), queries, 15, backend=backend)
    _, order = theirs(different, queries, 2, metric="cosine")
    copies = 30 * np.arange(10)
    np.testing.assert_array_equal(found.rows, np.concatenate([order[:, [0]] + copies, order[:, [1]] + copies[:5]], axis=1))


@given(seed=st.integers(0, 10_000), exponent=st.integers(-30, 30))
@settings(max_examples=25, deadline=None)
def test_no_scale_changes_who_is_near(seed, exponent):
    bank, queries = random_h(seed, 40), random_h(seed + 1, 20)
    for metric in METRICS:
        expected = finely(bank, queries, 10, metric=metric).rows
        scaled = [(h * 10.0**exponent).astype(np.float32) for h in (bank, queries)]
        np.testing.assert_array_equal(finely(*scaled, 10, metric=metric).rows, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_common_offset_hides_no_distance(backend):
    """At 1000 float32 has steps of 6e-5: squares of a million, less each other, would leave nothing of distances of 0.1."""
    bank, queries = (1000 + 0.03 * random_h(seed, n) for seed, n in ((0, 300), (1, 50)))
    literal = -np.sum((queries.astype(np.float64)[:, None] - bank.astype(np.float64)) ** 2, axis=2)
    found = finely(bank, queries, 20, metric="euclidean", backend=backend)
    np.testing.assert_array_equal(found.rows, np.argsort(-literal, axis=1, kind="stable")[:, :20])
    np.testing.assert_allclose(found.scores, np.take_along_axis(literal, found.rows, axis=1), rtol=1e-12)


@given(seed=st.integers(0, 10_000), d=st.integers(1, 20), k=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_both_backends_find_the_same(seed, d, k):
    bank, queries = random_h(seed, 30, d), random_h(seed + 1, 10, d)
    for metric in METRICS:
        first, second = (exact(bank, queries, k, metric=metric, backend=backend) for backend in BACKENDS)
        np.testing.assert_allclose(first.scores, second.scores, atol=1e-5)
        differs = first.rows != second.rows
        assert np.abs(first.scores - second.scores)[differs].max(initial=0) < 1e-5, "but for ties"
        fine = [finely(bank, queries, k, metric=metric, backend=backend) for backend in BACKENDS]
        np.testing.assert_allclose(fine[0].scores, fine[1].scores, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bank_on_disk_takes_the_memory_of_a_block(tmp_path, monkeypatch, backend):
    shape = (40_000, 64)
    bank = np.memmap(tmp_path / "h", np.float32, mode="w+", shape=shape)
    bank[:] = random_h(0, *shape)
    bank.flush()
    bank = np.memmap(tmp_path / "h", np.float32, mode="r", shape=shape)
    train, test = features(bank), features(random_h(1, 50, 64), split="test")
    monkeypatch.setattr(block_search, "_SCORES", 2**16)

    def peak(part_numbers, **parameters):
        monkeypatch.setattr(blocks, "_NUMBERS", part_numbers)
        tracemalloc.start()
        found = dict(KNN(backend=backend, **parameters)(train, test))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most, found["knn_predicted"].tolist()

    peak(2**16)  # what is imported stays
    for metric in METRICS:
        (few, first), (many, second) = peak(2**16, metric=metric), peak(2**25, metric=metric)
        assert first == second
        assert few < 3e6
        assert many > 10e6, "the bank has 10 MB"


def test_the_own_image_is_left_out():
    h = random_h(0, 30)
    images = features(h)
    search = ExactSearch(h, nearness=Cosine(), backend="faiss")
    part = images.rows(np.array([4, 9, 2]))
    for queries in (images, part):
        found = np.concatenate([near.rows for _, near in nearest(search, images, queries, 29)])
        for index, rows in zip(queries.indices, found, strict=True):
            assert sorted(rows) == sorted(set(range(30)) - {index})
    few = features(h, split="test")
    assert np.concatenate([near.rows[:, 0] for _, near in nearest(search, images, few, 1)]).tolist() == list(range(30))


@pytest.mark.parametrize("index", INDICES, ids=lambda index: type(index).__name__)
@pytest.mark.parametrize("metric", METRICS)
def test_an_index_gives_the_same_bits_twice_and_misses_few(metric, index):
    centres = random_h(7, 20, 16)
    bank, queries = (centres[np.arange(n) % 20] + 0.5 * random_h(seed, n, 16) for seed, n in ((0, 2000), (1, 300)))
    near = nearness_by(metric, bank, queries)
    first, second = (ApproximateSearch(index, bank, nearness=near)(queries, 10) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.scores, second.scores)
    assert (np.diff(first.scores, axis=1) <= 0).all()
    right = exact(bank, queries, 10, metric=metric)
    same = first.rows == right.rows
    np.testing.assert_allclose(first.scores[same], right.scores[same], atol=1e-5)
    assert same.mean() > 0.5
    shares = [np.isin(a, b).mean() for a, b in zip(first.rows, right.rows, strict=True)]
    assert np.mean(shares) > 0.9


def test_a_graph_is_built_by_one_thread_and_the_others_come_back(monkeypatch):
    before, seen, add = faiss.omp_get_max_threads(), [], approximate_search._add
    monkeypatch.setattr(approximate_search, "_add", lambda *given: (seen.append(faiss.omp_get_max_threads()), add(*given)))
    try:
        faiss.omp_set_num_threads(2)
        for index in INDICES:
            ApproximateSearch(index, random_h(0, 50), nearness=Cosine())
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
    assert seen == [2, 1]


def test_recall_is_the_share_that_is_found():
    bank, test = features(random_h(0, 400)), features(random_h(1, 100), split="test")
    search = ExactSearch(bank.h, nearness=Cosine(), backend="faiss")

    def half(queries, k):
        found = search(queries, k)
        found.rows[:, k // 2 :] = NONE
        return found

    assert recall(search, search, bank, test, 10) == 1.0
    assert recall(half, search, bank, test, 10) == 0.5
    few = ApproximateSearch(IVF(num_lists=40, num_probes=1), bank.h, nearness=Cosine())
    found, right = (np.concatenate([near.rows for _, near in nearest(one, bank, test, 10)]) for one in (few, search))
    literal = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found.tolist(), right.tolist(), strict=True)])
    assert 0.1 < literal < 0.9
    assert recall(few, search, bank, test, 10) == pytest.approx(literal)


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_that_looks_everywhere_gives_the_exact_numbers_and_says_so(metric):
    train, test = features(random_h(0, 400)), features(random_h(1, 100), split="test")
    found = dict(KNN(metric=metric, index="ivf", num_lists=10, num_probes=10)(train, test))
    assert found["knn_recall"] == 1.0
    expected = dict(KNN(metric=metric)(train, test))
    assert "knn_recall" not in expected
    assert {name: np.asarray(found[name]).tolist() for name in expected} == {
        name: np.asarray(value).tolist() for name, value in expected.items()
    }


def test_recall_is_of_the_largest_k_and_leaves_the_own_image_out():
    images = features(random_h(0, 400))
    found = KNN(k=(5, 30), index="ivf", num_lists=20, num_probes=20)(images, images)
    assert found[-1] == ("knn_recall", 1.0)
    assert dict(KNN(k=(5, 30), index="ivf", num_lists=20, num_probes=1)(images, images))["knn_recall"] < 0.9


@pytest.mark.parametrize("votes", ["exp", "inverse", "uniform"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_place_that_an_index_leaves_empty_has_no_vote(metric, votes):
    """Two far groups, a list each, one probed: of 20 places five are filled, whatever the other group's labels."""
    h = np.concatenate([np.array([[10, 0]]) + 0.1 * random_h(0, 5, 2), np.array([[0, 10]]) + 0.1 * random_h(1, 95, 2)])
    train = Features(h.astype(np.float32), np.array([2] * 5 + [0] * 95), None, "train")
    test = Features(np.array([[10, 0]], np.float32), np.array([2]), None, "test")
    found = dict(KNN(k=20, metric=metric, votes=votes, index="ivf", num_lists=2, num_probes=1)(train, test))
    assert found["knn_top1"] == 1.0
    assert found["knn_recall"] == 0.25
    exact_votes = dict(KNN(k=20, metric=metric, votes="uniform")(train, test))
    assert exact_votes["knn_top1"] == 0.0


def test_empty_places_stay_behind_when_scores_are_computed_again():
    bank = random_h(0, 4)
    found = Neighbours(np.array([[0.5, -np.inf]], np.float32), np.array([[1, NONE]]))
    again = scored(found, features(bank), bank[3:], Cosine())  # the last row of the bank is the query itself
    assert again.rows.tolist() == [[1, NONE]]
    assert again.scores[0, 1] == -np.inf


def test_a_query_without_neighbours_is_wrong():
    nothing = Neighbours(np.full((1, 3), -np.inf, np.float32), np.full((1, 3), NONE))
    for rule in ("exp", "inverse", "uniform"):
        votes = votes_of(nothing, np.zeros(5, np.int64), rule=rule, temperature=0.1, nearness=Cosine(), num_classes=2)
        assert best(votes, np.array([0])).ranks.tolist() == [2]


def test_an_index_of_fewer_rows_than_lists(capfd):
    train, test = features(random_h(0, 6)), features(random_h(1, 5), split="test")
    for index in ({"index": "ivf", "num_lists": 50, "num_probes": 50}, {"index": "ivf"}, {"index": "hnsw"}):
        found, expected = dict(KNN(k=6, **index)(train, test)), dict(KNN(k=6)(train, test))
        assert found["knn_predicted"].tolist() == expected["knn_predicted"].tolist()
    assert capfd.readouterr() == ("", ""), "no warning of faiss's"


def test_a_gpu_is_used_where_faiss_finds_one(monkeypatch):
    """No GPU here: what is checked is who is called with what."""
    calls = []

    def knn_gpu(resources, queries, rows, k, *, metric):
        calls.append((resources, k))
        return faiss.knn(queries, rows, k, metric=metric)

    bank, queries = random_h(0, 3000), random_h(1, 20)
    expected = {k: exact(bank, queries, k, metric="euclidean") for k in (10, 3000)}
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "knn_gpu", knn_gpu, raising=False)
    for k, cpu in expected.items():  # a GPU finds at most 2048
        np.testing.assert_array_equal(exact(bank, queries, k, metric="euclidean").rows, cpu.rows)
    assert calls == [("resources", 10)]


def test_without_faiss_there_is_a_message_and_torch(monkeypatch):
    train, test = features(random_h(0, 40)), features(random_h(1, 10), split="test")
    expected = dict(KNN()(train, test))
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(
        UserError, match=r"can't import faiss: it is not installed\. Install faiss-cpu, or set backend = \"torch\""
    ):
        KNN().check(train, test)
    with pytest.raises(UserError, match="can't import faiss: import of faiss halted"):
        block_search.load_faiss()
    found = dict(KNN(backend="torch")(train, test))
    assert found["knn_predicted"].tolist() == expected["knn_predicted"].tolist()


def test_torch_alone_does_not_import_faiss():
    code = (
        "import sys, numpy as np; from sslkit import Features, KNN\n"
        "one = Features(np.eye(3, dtype=np.float32), np.arange(3), None, 'train')\n"
        "for backend in ('torch', 'faiss'):\n"
        "    KNN(k=1, backend=backend)(one, one)\n"
        "    print('faiss' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"], "the second shows that the first can fail"
