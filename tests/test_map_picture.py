"""The map as a picture: points keep neighbours together, classes have their looks, and what is missing is said in time."""

import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from pydantic import ValidationError

from sslkit.errors import DataError, UserError
from sslkit.evaluations import layout, map_picture, registry
from sslkit.evaluations.features import Features
from sslkit.evaluations.map_picture import MapPicture, is_installed
from sslkit.evaluations.scatter import COLORS, MARKERS, MOST, REST, groups, scatter


def features(h, labels=None, *, classes=None):
    return Features(np.asarray(h, np.float32), None if labels is None else np.asarray(labels, np.int64), classes, "test")


def clusters(n, *, d=10, num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=n)
    return features(4 * rng.standard_normal((num_classes, d))[labels] + rng.standard_normal((n, d)), labels)


def apart(n):
    """Points far enough apart that each shows."""
    return np.stack([np.arange(n), np.arange(n) % 7], axis=1).astype(np.float64)


def read(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def count(pixels, color):
    return int((np.abs(pixels.astype(int) - np.rint(255 * np.array(to_rgb(color)))) <= 1).all(axis=2).sum())


def lines(pixels):
    """How many lines the legend has: they stand apart, right of the frame."""
    frame = np.flatnonzero((pixels < 245).any(axis=2).mean(axis=0) > 0.8).max()
    filled = (pixels[:, frame + 4 :] < 250).any(axis=(1, 2))
    return int(np.count_nonzero(np.diff(filled.astype(int)) == 1))


class TestLayout:
    """What becomes of features."""

    def test_keeps_neighbours_together(self):
        found = clusters(150)
        points = layout.tsne(found.h, neighbours=20, seed=0)
        distances = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(150)
        assert (found.labels[distances.argmin(axis=1)] == found.labels).mean() > 0.95

    def test_is_of_directions(self):
        h = clusters(40).h
        longer = h * np.float32(2) ** np.random.default_rng(0).integers(-3, 4, (40, 1)).astype(np.float32)
        assert np.array_equal(*(layout.tsne(one, neighbours=5, seed=1) for one in (h, longer)))

    @pytest.mark.parametrize("shape", [(5, 1), (5, 3), (12, 2)])
    @pytest.mark.parametrize("kind", [np.ones, np.zeros, lambda shape: np.random.default_rng(0).standard_normal(shape)])
    def test_of_little_or_collapsed_features_is_finite(self, shape, kind):
        points = layout.tsne(kind(shape).astype(np.float32), neighbours=30, seed=0)
        assert points.shape == (shape[0], 2)
        assert np.isfinite(points).all()
        assert len(np.unique(points, axis=0)) == shape[0], "each has its own place"

    def test_of_collapsed_features_is_drawn_by_the_seed(self):
        first, again, other = (layout.tsne(np.ones((20, 4), np.float32), neighbours=5, seed=seed) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.allclose(first, other)

    def test_by_umap_is_handed_what_it_needs(self, monkeypatch):
        seen = {}

        class UMAP:
            def __init__(self, **parameters):
                seen.update(parameters)

            def fit_transform(self, directions):
                return directions[:, :2].astype(np.float32)

        monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
        points = layout.umap(np.array([[3, 4, 0]] * 30, np.float32), neighbours=30, seed=7)
        assert seen == {"n_neighbors": 9, "random_state": 7, "n_jobs": 1}
        assert points == pytest.approx(np.tile([0.6, 0.8], (30, 1)))
        layout.umap(np.ones((5, 3), np.float32), neighbours=30, seed=7)
        assert seen["n_neighbors"] == 2


class TestGroups:
    """Which points look alike."""

    def test_a_class_each(self):
        found = groups(features(np.ones((5, 1)), [2, 0, -1, 2, 7], classes=("a", "b", "c")))
        assert [(one.name, np.flatnonzero(one.rows).tolist()) for one in found] == [
            ("a", [1]),
            ("c", [0, 3]),
            ("class 7", [4]),
            ("without a class", [2]),
        ]
        assert [(one.color, one.marker) for one in found] == [*zip(COLORS[:3], MARKERS, strict=True), (REST, "o")]

    def test_of_several_classes(self):
        found = groups(features(np.ones((4, 1)), [[1, 0], [1, 1], [0, -1], [0, 1]]))
        assert [(one.name, np.flatnonzero(one.rows).tolist()) for one in found] == [
            ("class 0", [0]),
            ("class 1", [3]),
            ("of several classes or none", [1, 2]),
        ]

    def test_the_largest_thirty_differ_and_the_others_are_one(self):
        labels = np.concatenate([np.arange(40), np.arange(10, 40)])
        found = groups(features(np.ones((70, 1)), labels))
        assert [one.name for one in found] == [*(f"class {label}" for label in range(10, 40)), "10 more classes"]
        assert len({(one.color, one.marker) for one in found[:MOST]}) == MOST == 30
        assert sum(one.rows.astype(int) for one in found).tolist() == [1] * 70

    def test_without_labels(self):
        (one,) = groups(features(np.ones((3, 1))))
        assert one.rows.all()


class TestDrawing:
    """What the picture shows."""

    def test_each_class_in_its_colour_once_in_the_plane_and_once_in_the_legend(self):
        points = apart(30)
        labels = np.arange(30) % 10
        ten = read(scatter(points, features(np.ones((30, 1)), labels), title="ten"))
        assert all(count(ten, color) > 100 for color in COLORS)
        assert count(ten, REST) < 100, "what smooth text leaves"
        three = read(scatter(points, features(np.ones((30, 1)), labels % 3), title="three"))
        assert [count(three, color) > 100 for color in COLORS] == [True] * 3 + [False] * 7
        assert (lines(ten), lines(three)) == (10, 3)

    def test_without_labels_there_is_no_legend(self):
        points = apart(30)
        plain, labelled = (
            read(scatter(points, features(np.ones((30, 1)), labels), title="plain")) for labels in (None, np.zeros(30))
        )
        assert count(plain, COLORS[0]) > 100
        assert labelled.shape[1] > plain.shape[1] + 50

    def test_nothing_is_cut_and_names_are_shown_as_they_are(self):
        """Names that begin with _, or have a pair of $ in them, mean something else to matplotlib."""
        classes = ("_hidden", "$x^$", "American Staffordshire terrier or so", *"abcdefghijklmnopqrstuvwxyz")
        labels = np.arange(60) % len(classes)
        png = scatter(apart(60), features(np.ones((60, 1)), labels, classes=classes), title="$t_$")
        pixels = read(png)
        assert lines(pixels) == len(classes)
        for border in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
            assert (border == 255).all()


def test_same_bits_twice_whatever_else_is_random_and_another_seed_shows_others(tmp_path):
    test = clusters(60)
    bits = []
    for seed in (0, 0, 1):
        np.random.seed(len(bits))
        assert MapPicture(limit=40)(test, tmp_path, seed) == []
        bits.append((tmp_path / "map.png").read_bytes())
    assert bits[0] == bits[1] != bits[2]
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_more_images_than_asked_are_drawn_by_the_seed(tmp_path, monkeypatch):
    seen = []

    def spied(h, *, neighbours, seed):
        seen.append((h[:, 0].tolist(), neighbours, seed))
        return apart(len(h))

    monkeypatch.setitem(map_picture._METHODS, "tsne", spied)
    test = features(np.arange(50)[:, None], np.arange(50) % 2)
    for limit, seed in ((20, 0), (20, 0), (20, 1), (50, 0), (2000, 0)):
        MapPicture(limit=limit, neighbours=7)(test, tmp_path, seed)
    rows = [found for found, _, _ in seen]
    assert len(rows[0]) == 20
    assert rows[0] == rows[1] == sorted(set(rows[0]))
    assert rows[0] != rows[2]
    assert rows[3] == rows[4] == list(range(50))
    assert {neighbours for _, neighbours, _ in seen} == {7}
    assert seen[0][2] != seen[2][2]


@pytest.mark.parametrize(
    ("method", "missing", "install"),
    [
        ("tsne", "matplotlib", r'"sslkit\[plots\]"'),
        ("tsne", "sklearn", r'"sslkit\[plots\]"'),
        ("umap", "matplotlib", r'"sslkit\[plots\]"'),
        ("umap", "umap", "umap-learn"),
    ],
)
def test_a_missing_package_is_said_before_any_training(monkeypatch, tmp_path, method, missing, install):
    monkeypatch.setattr(map_picture, "is_installed", lambda package: package != missing)
    width_0 = features(np.zeros((60, 0)))
    says = f'evaluate: map_picture with method = "{method}" needs {missing}, which is not installed: pip install {install}'
    with pytest.raises(UserError, match=says):
        MapPicture(method=method).check(width_0, width_0)
    with pytest.raises(UserError, match=says):
        MapPicture(method=method)(clusters(60), tmp_path, 0)
    monkeypatch.setattr(map_picture, "is_installed", lambda package: True)
    MapPicture(method=method).check(width_0, width_0)


def test_what_is_installed():
    assert is_installed("numpy")
    assert not is_installed("no_such_package_as_this")


def test_what_is_refused(tmp_path):
    for wrong, parameters, says in (
        (clusters(4), {}, "'map_picture' needs 5 images or more, and from 'test' it gets 4"),
        (clusters(60), {"limit": 3}, "it gets 3"),
        (
            features([[np.inf]] * 6),
            {},
            "6 of the 6 rows of features of the split 'test' are not finite, and 'map_picture' can't",
        ),
    ):
        with pytest.raises(DataError, match=says):
            MapPicture(**parameters)(wrong, tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_side():
    model = registry.model("map_picture")
    assert (model().method, model().limit, model().neighbours) == ("tsne", 2000, 30)
    for wrong in [{"method": "pca"}, {"limit": 0}, {"neighbours": 1}]:
        with pytest.raises(ValidationError):
            model(**wrong)


def imported_by(statement):
    code = f"import sys\n{statement}\nprint(bool({{'matplotlib', 'sklearn', 'umap'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_is_imported_before_it_is_needed():
    assert (
        imported_by("from sslkit.evaluations.map_picture import MapPicture, is_installed; is_installed('sklearn')") == "False"
    )
    assert imported_by("import matplotlib") == "True", "this check can fail"
