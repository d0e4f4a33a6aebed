"""Evaluations as a run does them: layers, shares of the labels, repeats, what is kept, and features that are computed once."""

import io
import json
import shutil
from functools import partial
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.numpy import load_file
from small import TEXT, recipe_file, sslkit
from torch import nn

from sslkit import build, checkpoint, draws
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import share
from sslkit.errors import CheckpointError, DataError
from sslkit.evaluate import Evaluator
from sslkit.evaluations import neighbours_picture
from sslkit.evaluations.neighbours_picture import NeighboursPicture as Neighbours
from sslkit.features_file import read_features, write_features
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.table import results_table

EVALUATIONS = """
[[evaluate]]
name = "linear_cached"
layer = "z"
epochs = 2

[[evaluate]]
name = "linear_cached"
layer = "head.1"
epochs = 2
labels_fraction = 0.5
repeats = 3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    sslkit("run", recipe_file(folder, TEXT + EVALUATIONS), cwd=folder)
    return folder / "runs" / "small"


def results(run):
    return json.loads((run / "results.json").read_text())["results"]


def test_layers_shares_and_repeats_stand_in_the_protocol(run):
    found = {one["protocol"]["features"]: one for one in results(run) if one["name"] == "linear_cached_top1"}
    assert set(found) == {"h", "z", "head.1"}
    assert "spread" not in found["h"]
    repeated = found["head.1"]
    assert repeated["protocol"]["labels_fraction"] == 0.5
    assert repeated["protocol"]["repeats"] == 3
    assert len(repeated["values"]) == 3
    assert repeated["value"] == pytest.approx(np.mean(repeated["values"]))
    assert repeated["spread"] == pytest.approx(np.std(repeated["values"], ddof=1))
    assert repeated["protocol"]["train_images"] < found["h"]["protocol"]["train_images"]


def test_the_table_tells_layers_apart_and_shows_the_spread(run, tmp_path):
    done = sslkit("eval", run, cwd=tmp_path)
    for layer in ("layer z", "layer head.1"):
        assert layer in done.stdout
    rows = [line for line in done.stdout.splitlines() if "linear_cached_top1" in line]
    assert len(rows) == 3
    assert sum("+-" in line for line in rows) == 1


def number_of(evaluation, name, value, *, encoder="trained", **settings):
    facts = {"evaluation": evaluation, "law": "a law", "features": "h", "train": "train", "test": "test", "train_images": 60}
    protocol = {**facts, "test_images": 15, "view": [], "seed": 0, "recipe": "f00", **settings}
    return {"encoder": encoder, "name": name, "value": value, "epoch": 0 if encoder == "pixels" else 3, "protocol": protocol}


def test_the_protocol_stands_once_under_the_numbers_of_an_evaluation():
    found = [
        number_of("knn", "knn_top1", 0.25, encoder="pixels", k=[5]),
        number_of("linear", "linear_top1", 0.5, epochs=90),
        number_of("linear", "linear_top5", 0.75, epochs=90),
        number_of("linear", "linear_top1", 0.375, epochs=10),
        number_of("knn", "knn_top1", 0.625, k=[5]),
        number_of("knn", "knn_top1", 0.125, k=[5]) | {"epoch": 1},
    ]
    said = io.StringIO()
    Console(file=said, width=100).print(results_table(found, title="four"))
    lines = [line.strip("│├┤ \n").split() for line in said.getvalue().splitlines() if line.startswith(("│", "├"))]
    rows = [" ".join(word.strip("│") for word in line).split() for line in lines if line and not set(line[0]) <= set("─┼")]
    images = ["train", "60", "->", "test", "15"]
    assert rows == [
        ["knn_top1", "0.2500", "0.6250"],
        ["a", "law;", "k", "[5];", *images],
        ["linear_top1", "-", "0.5000"],
        ["linear_top5", "-", "0.7500"],
        ["a", "law;", "epochs", "90;", *images],
        ["linear_top1", "-", "0.3750"],
        ["a", "law;", "epochs", "10;", *images],
    ]


def test_each_layer_has_its_features_and_they_are_kept(run):
    kept = {path.name: read_features(path)[0] for path in (run / "features").iterdir()}
    assert set(kept) == {
        f"trained-{split}-{layer}.safetensors" for split in ("train", "test") for layer in ("h", "z", "head.1")
    }
    assert kept["trained-test-z.safetensors"].h.shape == (15, 8)
    assert kept["trained-test-h.safetensors"].h.shape == kept["trained-test-head.1.safetensors"].h.shape == (15, 64)


def test_what_was_said_of_each_image_is_kept_and_gives_the_number(run):
    for path in (run / "evaluations").iterdir():
        stored = checkpoint.load(path)
        name = stored.facts["protocol"]["evaluation"]
        predicted, labels = stored.tensors[f"{name}_predicted"], stored.tensors["labels"]
        confusion = stored.tensors[f"{name}_confusion"]
        assert confusion.sum() == len(labels)
        assert confusion.diagonal().sum() == (predicted == labels).sum()
        [record] = [
            one
            for one in results(run)
            if one["name"] == f"{name}_top1"
            and (one["encoder"], one["epoch"], one["protocol"])
            == tuple(stored.facts[k] for k in ("encoder", "epoch", "protocol"))
        ]
        assert record.get("values", [record["value"]])[0] == pytest.approx((predicted == labels).float().mean().item())
    assert len(list((run / "evaluations").iterdir())) == 6  # knn of three encoders, three probes of the trained one


def test_evaluating_again_embeds_nothing_and_gives_the_same(run, tmp_path):
    again = shutil.copytree(run, tmp_path / "again")
    done = sslkit("eval", again, cwd=tmp_path)
    assert "\ntrained: features" not in done.stdout
    assert "untrained: features" in done.stdout  # those are not kept
    assert results(again) == results(run)


def test_numbers_of_other_images_are_not_replaced_in_silence(tmp_path):
    for number, name in enumerate(("here", "there")):
        for split, count in (("train", 16), ("test", 8)):
            for i in range(count):
                path = tmp_path / name / split / f"class{i % 2}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.random.default_rng([number, i]).integers(256, size=(12, 12, 3), dtype=np.uint8)).save(path)
    data = '[data]\nname = "image_folder"\nroot = "here"\n\n'
    text = TEXT[: TEXT.index("[data]")] + data + TEXT[TEXT.index("[train]") : TEXT.index("every_epochs")]
    sslkit("run", recipe_file(tmp_path, text), cwd=tmp_path)
    run = tmp_path / "runs" / "small"
    [first] = results(run)[:1]
    assert "replaced" not in sslkit("eval", run, cwd=tmp_path).stdout
    done = sslkit("eval", run, "--set", "data.root=there", cwd=tmp_path)
    assert "numbers of other test images are replaced: knn_top1" in done.stdout
    [second] = results(run)[:1]
    assert first["protocol"] == second["protocol"]
    assert first["test_contents"] != second["test_contents"]


def test_features_of_other_weights_are_embedded_anew(run, tmp_path):
    again = shutil.copytree(run, tmp_path / "again")
    path = again / "features" / "trained-test-h.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    done = sslkit("eval", again, cwd=tmp_path)
    assert "trained-test-h.safetensors: is not a whole file of features" in done.stdout
    assert done.stdout.count("\ntrained: features of test") == 1
    assert results(again) == results(run)


def test_a_layer_that_the_head_has_not(tmp_path):
    text = TEXT + EVALUATIONS.replace("head.1", "head.3")
    done = sslkit("run", recipe_file(tmp_path, text), cwd=tmp_path, check=2)
    assert "evaluate.3 (linear_cached): layer: the head MLP has no layer 3. Known: h, head.1, head.2, z." in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_share_of_each_class():
    labels = np.repeat(np.arange(3), [100, 40, 3])
    for seed in range(5):
        rows = share(labels, 0.1, seed=seed)
        assert np.bincount(labels[rows]).tolist() == [10, 4, 1]
        assert set(rows) <= set(share(labels, 0.5, seed=seed))
        assert share(labels, 1.0, seed=seed).tolist() == list(range(143))
    assert share(labels, 0.1, seed=0).tolist() != share(labels, 0.1, seed=1).tolist()


PICTURES = """
[[evaluate]]
name = "neighbours_picture"
k = 2
num_queries = 3
labels_per_class = 1
baselines = ["pixels"]

[[evaluate]]
name = "map_picture"
layer = "z"
"""


class Kept(Neighbours):
    """A neighbours' picture that remembers what it was handed."""

    handed: ClassVar[list[dict]] = []

    def __call__(self, train, test, images, folder, seed):
        self.handed.append({"train": train, "test": test, "images": images, "folder": folder})
        return super().__call__(train, test, images, folder, seed)


def test_pictures_lie_where_they_belong_and_show_the_images_of_the_rows(tmp_path, monkeypatch):
    recipe = Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + PICTURES)
    monkeypatch.setattr(neighbours_picture, "NeighboursPicture", Kept)
    Kept.handed.clear()
    report = Lines(Console(file=io.StringIO()))
    evaluator = Evaluator(recipe, partial(build.images, recipe), folder=tmp_path, report=report, poll=lambda: None)
    method = build.method(recipe, in_channels=3)
    assert evaluator.baselines(in_channels=3) == []
    assert evaluator.trained(method.backbone, method.head, epoch=3, parts=recipe.evaluate) == []
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")} == {
        "pixels/neighbours.png",
        "neighbours.png",
        "z/map.png",
    }
    assert [one["folder"] for one in Kept.handed] == [tmp_path / "pixels", tmp_path]
    whole = {name: build.images(recipe, name) for name in ("train", "test")}
    for one in Kept.handed:
        assert len(one["train"].h) == 10, "one a class"
        for name in ("train", "test"):
            read = getattr(one["images"], f"{name}_image")
            for row, index in enumerate(one[name].indices.tolist()):
                assert np.array_equal(read(row), whole[name].read(index))


def test_a_second_section_of_a_name_does_not_draw_over_the_first(tmp_path):
    drawn = [
        'k = 1\nbaselines = ["pixels"]',
        "k = 2",
        'k = 3\nlayer = "z"\nbaselines = ["pixels", "untrained"]',
        "k = 2",
        'layer = "z"',
    ]
    sections = "".join(f'[[evaluate]]\nname = "neighbours_picture"\nnum_queries = 2\n{one}\n' for one in drawn)
    recipe = Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + sections)
    report = Lines(Console(file=io.StringIO()))
    evaluator = Evaluator(recipe, partial(build.images, recipe), folder=tmp_path, report=report, poll=lambda: None)
    method = build.method(recipe, in_channels=3)
    evaluator.baselines(in_channels=3)
    evaluator.trained(method.backbone, method.head, epoch=3, parts=recipe.evaluate)
    names = ["", "neighbours_picture-2/", "z/", "neighbours_picture-3/", "z/neighbours_picture-2/"]
    names += ["pixels/", "pixels/neighbours_picture-2/", "untrained/z/"]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")} == {f"{name}neighbours.png" for name in names}
    widths = [cv2.imread(str(tmp_path / name / "neighbours.png")).shape[1] for name in names[:4]]
    assert widths[0] < widths[1] < widths[2]
    evaluator.trained(method.backbone, method.head, epoch=3, parts=[recipe.evaluate[3]])
    assert len(list(tmp_path.rglob("*.png"))) == 8, "the same place whatever else is due"


def test_a_recipe_that_only_draws(tmp_path):
    text = TEXT[: TEXT.index("[[evaluate]]")] + PICTURES[: PICTURES.rindex("[[evaluate]]")] + "every_epochs = 2"
    done = sslkit("run", recipe_file(tmp_path, text), cwd=tmp_path)
    assert "the recipe asks for no number" in done.stdout
    run = tmp_path / "runs" / "small"
    assert {path.name for path in run.iterdir()} >= {"neighbours.png", "pixels"}
    assert results(run) == []
    assert results_table([], title="nothing").caption == "no numbers"
    one, two = (results_table([], title="", unreadable=["a"] * num).caption for num in (1, 2))
    assert one == "no numbers; 1 image could not be read, and another stood in for it"
    assert two == "no numbers; 2 images could not be read, and others stood in for them"


CHOOSING = """
[[evaluate]]
name = "{name}"
validation = "{validation}"
"""


class Uneven(Shapes):
    """Two classes, the first twice as large; judged as some data sets of the paper are."""

    metric = "mean_per_class"

    def __init__(self, split):
        super().__init__(split, num_images=120, size=12)
        self.labels = (self.labels % 3 == 2).astype(np.int64)


@pytest.mark.parametrize(
    ("images", "metric"), [(Uneven, "mean_per_class"), (lambda split: Shapes(split, num_images=60, size=12), "top1")]
)
def test_settings_are_chosen_by_the_metric_of_the_dataset(tmp_path, images, metric):
    text = TEXT[: TEXT.index("[[evaluate]]")] + CHOOSING.format(name="logistic", validation="val") + "num_l2 = 3"
    report = Lines(Console(file=io.StringIO()))
    evaluator = Evaluator(Recipe.parse(text), images, folder=tmp_path, report=report, poll=lambda: None)
    found = evaluator.trained(nn.Flatten(), nn.Identity(), epoch=1, parts=evaluator.recipe.evaluate)
    assert f"logistic_validation_{metric}" in {one["name"] for one in found}
    assert {one["protocol"]["chosen_by"] for one in found} == {metric}


class Unlabelled(Shapes):
    """Drawn images whose classes nobody tells."""

    def __len__(self):
        return 15


def opened(change):
    """The small recipe's images, the split `val` changed."""

    def images(split):
        found = Shapes(split, num_images=60, size=12)
        if split == "val":
            change(found)
        return found

    return images


def labelled(labels):
    return lambda images: setattr(images, "labels", labels(images.labels))


def unlabelled(images):
    images.__class__ = Unlabelled
    images.labels = None


@pytest.mark.parametrize("name", ["logistic", "finetune_grid"])
@pytest.mark.parametrize(
    ("validation", "change", "says"),
    [
        ("vall", None, "): validation: dataset 'shapes' has no split 'vall'. Did you mean 'val'? It has: test, train, val."),
        ("train", None, "can't choose on the split 'train', which it learns from"),
        ("test", None, "can't choose on the split 'test', which it is tested on"),
        ("val", unlabelled, "the split 'val' has no labels"),
        ("val", labelled(np.zeros_like), "all images of the split 'val' are of one class"),
        ("val", labelled(lambda labels: labels + 5), "there is a label 14, but only 10 classes"),
        ("val", labelled(lambda labels: labels - 1), "images without a label"),
        ("val", lambda images: setattr(images, "classes", tuple("abcdefghij")), "different classes"),
        ("val", labelled(lambda labels: np.eye(10, dtype=np.int64)[labels]), "several classes"),
    ],
)
def test_what_is_wrong_with_a_validation_split_shows_before_any_training(tmp_path, name, validation, change, says):
    text = TEXT[: TEXT.index("[[evaluate]]")] + CHOOSING.format(name=name, validation=validation)
    report = Lines(Console(file=io.StringIO()))
    with pytest.raises(DataError, match=rf"^evaluate\.0 \({name}\): ") as caught:
        Evaluator(Recipe.parse(text), opened(change), folder=tmp_path, report=report, poll=lambda: None)
    assert says in str(caught.value)
    assert "evaluate: " not in str(caught.value), "the place is said once"


@pytest.mark.parametrize("name", ["logistic", "finetune_grid"])
def test_too_few_images_to_hold_some_out_shows_before_any_training(tmp_path, name):
    text = TEXT[: TEXT.index("[[evaluate]]")] + f'[[evaluate]]\nname = "{name}"\nlabels_per_class = 1\n'
    report = Lines(Console(file=io.StringIO()))
    with pytest.raises(DataError, match="too few images"):
        Evaluator(Recipe.parse(text), opened(None), folder=tmp_path, report=report, poll=lambda: None)


@pytest.mark.parametrize(
    ("section", "channels", "says"),
    [
        (
            'name = "finetune"\nbaselines = ["untrained", "pixels"]',
            3,
            "raw pixels have no weights to learn; leave 'pixels' out",
        ),
        ('name = "finetune_grid"\nbaselines = ["pixels"]', 3, "raw pixels have no weights to learn; leave 'pixels' out"),
        ('name = "probe_transform"', 1, "leave grayscale out of its transforms"),
    ],
)
def test_what_can_not_be_asked_of_such_images_or_baselines_shows_before_any_training(tmp_path, section, channels, says):
    text = TEXT[: TEXT.index("[[evaluate]]")].replace("size = 12\n\n", f"size = 12\nchannels = {channels}\n\n")
    recipe, name = Recipe.parse(f"{text}[[evaluate]]\n{section}\n"), section.split('"')[1]
    report = Lines(Console(file=io.StringIO()))
    with pytest.raises(DataError, match=rf"^evaluate\.0 \({name}\): ") as caught:
        Evaluator(recipe, partial(build.images, recipe), folder=tmp_path, report=report, poll=lambda: None)
    assert says in str(caught.value)


FACTS = {"split": "val", "classes": ["a", "b"], "more": [1]}


class TestFile:
    """A file of features."""

    def written(self, path, *, labels=True):
        h = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
        indices = draws.shuffled(7, 0)
        write_features(path, iter([h[:4], h[4:]]), indices=indices, labels=np.arange(7) % 2 if labels else None, facts=FACTS)
        return h, indices

    def test_comes_back_as_a_memory_map(self, tmp_path):
        h, indices = self.written(tmp_path / "f.safetensors")
        features, facts = read_features(tmp_path / "f.safetensors")
        assert isinstance(features.h, np.memmap)
        assert features.h.tobytes() == h.tobytes()
        assert features.indices.tolist() == indices.tolist()
        assert features.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
        assert (features.split, features.classes, facts["more"]) == ("val", ("a", "b"), [1])
        assert [path.name for path in tmp_path.iterdir()] == ["f.safetensors"]

    def test_is_what_safetensors_reads(self, tmp_path):
        h, _ = self.written(tmp_path / "f.safetensors", labels=False)
        tensors = load_file(tmp_path / "f.safetensors")
        assert set(tensors) == {"h", "indices"}
        assert (tensors["h"] == h).all()
        assert read_features(tmp_path / "f.safetensors")[0].labels is None

    @pytest.mark.parametrize("cut", [0, 3, 8, 60, -1])
    def test_cut_off(self, tmp_path, cut):
        self.written(tmp_path / "f.safetensors")
        whole = (tmp_path / "f.safetensors").read_bytes()
        (tmp_path / "f.safetensors").write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match=r"f\.safetensors: is not a whole file of features"):
            read_features(tmp_path / "f.safetensors")

    def test_its_digest_is_that_of_a_checkpoint(self, tmp_path):
        h, _ = self.written(tmp_path / "f.safetensors")
        stored = checkpoint.load(tmp_path / "f.safetensors")
        assert stored.tensors["h"].numpy().tobytes() == h.tobytes()
        assert stored.facts == FACTS

    @pytest.mark.parametrize("place", [-1, -60, -130])
    def test_one_flipped_bit(self, tmp_path, place):
        self.written(tmp_path / "f.safetensors")
        data = bytearray((tmp_path / "f.safetensors").read_bytes())
        data[place] ^= 1
        (tmp_path / "f.safetensors").write_bytes(data)
        with pytest.raises(CheckpointError, match="does not match its digest"):
            read_features(tmp_path / "f.safetensors")

    def test_a_kill_leaves_what_was_there(self, tmp_path):
        self.written(tmp_path / "f.safetensors")
        before = (tmp_path / "f.safetensors").read_bytes()

        def killed():
            yield np.zeros((4, 3), np.float32)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_features(tmp_path / "f.safetensors", killed(), indices=np.arange(7), labels=None, facts=FACTS)
        assert (tmp_path / "f.safetensors").read_bytes() == before


class TestEmbed:
    """`sslkit embed`."""

    @pytest.mark.parametrize("layer", ["h", "z", "head.1"])
    def test_equals_the_features_of_the_evaluations(self, run, tmp_path, layer):
        done = sslkit("embed", run, "--layer", layer, "-o", "f.safetensors", cwd=tmp_path)
        assert f"f.safetensors: 15 x {8 if layer == 'z' else 64}" in done.stdout
        features, facts = read_features(tmp_path / "f.safetensors")
        kept = read_features(run / "features" / f"trained-test-{layer}.safetensors")[0]
        assert features.h.tobytes() == kept.h.tobytes()
        assert features.labels.tolist() == kept.labels.tolist()
        assert (facts["layer"], facts["split"], facts["encoder"]) == (layer, "test", str(run))

    def test_the_file_notes_what_was_done(self, run, tmp_path):
        seen = {}
        data = '{ name = "shapes", num_images = 28, size = 12 }'
        view = "evaluation_augmentations.0.fraction=0.5"
        for name, more in {"own": [], "view": ["--set", view], "data": ["--data", data]}.items():
            sslkit("embed", run, "-o", f"{name}.safetensors", *more, cwd=tmp_path)
            seen[name] = read_features(tmp_path / f"{name}.safetensors")
        trained = {one["protocol"]["recipe"] for one in results(run)}
        assert {facts["recipe"] for _, facts in seen.values()} == trained
        assert [facts["view"][0]["fraction"] for _, facts in seen.values()] == [1.0, 0.5, 1.0]
        assert [facts["data"]["num_images"] for _, facts in seen.values()] == [60, 60, 28]
        (own, _), (view, _), (data, _) = seen.values()
        assert not np.array_equal(own.h, view.h), "the view that is noted is the one that was used"
        assert len(data.h) == 7

    def test_other_images(self, run, tmp_path):
        random = np.random.default_rng(0)
        for number in range(3):
            path = tmp_path / "photos" / "val" / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(256, size=(9, 14, 3), dtype=np.uint8)).save(path)
        sslkit("embed", run, "--data", "photos", "--split", "val", cwd=tmp_path)
        features, _ = read_features(tmp_path / "features.safetensors")
        assert features.h.shape == (3, 64)
        assert (features.labels.tolist(), features.classes) == ([0, 0, 1], ("class0", "class1"))
        sslkit("embed", run, "--data", '{ name = "shapes", num_images = 7, size = 9 }', "--split", "train", cwd=tmp_path)
        assert read_features(tmp_path / "features.safetensors")[0].h.shape == (7, 64)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--layer", "y"], "--layer: must be h, z or head.N, is 'y'."),
            (["--layer", "head.3"], "layer: the head MLP has no layer 3. Known: h, head.1, head.2, z."),
            (["-o", "f.npy"], "--output: must end in .safetensors, is 'f.npy'."),
            (["--data", "nowhere"], "--data nowhere: there is no such folder."),
            (["--data", '{ name = "shapse" }'], "Did you mean 'shapes'?"),
            (["--split", "vall"], "--split vall: dataset 'shapes' has no split 'vall'. Did you mean 'val'?"),
            (["--data", '{ name = "shapes", channels = 1 }'], "--data: has images of 1 channel, and the encoder takes 3."),
            (["--set", "train.epochs=7"], "--set: embedding can't change what was trained:\n  train.epochs: 3 -> 7"),
        ],
    )
    def test_what_is_wrong(self, run, tmp_path, arguments, message):
        done = sslkit("embed", run, *arguments, cwd=tmp_path, check=2)
        assert message in done.stderr
        assert not list(tmp_path.iterdir())

    def test_no_run(self, tmp_path):
        assert "is no run folder" in sslkit("embed", tmp_path, cwd=tmp_path, check=2).stderr

    def test_a_run_that_lies_elsewhere(self, run):
        for command in (("embed", "small"), ("eval", "small"), ("transfer", "small", "--data", ".")):
            found = sslkit(*command, cwd=run.parents[1], check=2).stderr
            assert found == "small: there is no such run folder. Did you mean 'runs/small'?\n"
