"""Leaks: splits that share stored images are told, whatever they are called, and refused where one judges the other."""

import io
import os
from functools import partial

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import TEXT

from sslkit import build
from sslkit.datasets.folders import list_images
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.joined import Joined
from sslkit.datasets.origins import num_shared, of_files, of_rows, origins_of
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import Subset
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.progress import Lines
from sslkit.recipe import Recipe


def photos(root, **splits):
    """Two classes of small pictures a split: `photos(root, train=6, test=4)`."""
    random = np.random.default_rng(0)
    for split, number in splits.items():
        for i in range(number):
            path = root / split / f"class{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(256, size=(12, 12, 3), dtype=np.uint8)).save(path)
    return root


def evaluator(folder, section, *, data='name = "shapes"\nnum_images = 60\nsize = 12', images=None, loss="nt_xent"):
    text = (
        TEXT[: TEXT.index("[data]")].replace("nt_xent", loss)
        + f"[data]\n{data}\n\n"
        + TEXT[TEXT.index("[train]") : TEXT.index("[[evaluate]]")]
    )
    recipe = Recipe.parse(f"{text}[[evaluate]]\n{section}\n")
    report = Lines(Console(file=io.StringIO()))
    return Evaluator(recipe, images or partial(build.images, recipe), folder=folder, report=report, poll=lambda: None)


def refused(folder, section, **more):
    with pytest.raises(DataError) as caught:
        evaluator(folder, section, **more)
    return str(caught.value)


@pytest.fixture
def root(tmp_path):
    return photos(tmp_path / "photos", train=6, val=4, test=4)


class TestOrigins:
    """Which stored image is which."""

    def test_two_names_of_one_folder(self, root):
        first, second = ImageFolder("val", root=root), ImageFolder("validation", root=root)
        assert num_shared(first, second) == 4
        assert num_shared(first, ImageFolder("test", root=root)) == 0

    def test_links_to_folders_and_files(self, root, tmp_path):
        linked = tmp_path / "linked"
        (linked / "train").mkdir(parents=True)
        (linked / "train" / "class0").symlink_to(root / "test" / "class0", target_is_directory=True)
        (linked / "train" / "class1").mkdir()
        (linked / "train" / "class1" / "other.png").symlink_to(root / "val" / "class1" / "1.png")
        train = ImageFolder("train", root=linked)
        assert num_shared(train, ImageFolder("test", root=root)) == 2
        assert num_shared(train, ImageFolder("val", root=root)) == 1
        assert num_shared(train, ImageFolder("train", root=root)) == 0

    def test_held_in_memory_or_skipping_they_are_the_same(self, root):
        kinds = [ImageFolder("val", root=root, memory_gib=gib, on_unreadable=on) for gib in (0, 1) for on in ("fail", "skip")]
        assert len({one.origins.tobytes() for one in kinds}) == 1
        assert len(np.unique(kinds[0].origins)) == 4

    def test_by_hand(self, root, monkeypatch):
        listing = list_images(root / "train")
        there = {os.path.realpath(root / "train" / os.fsdecode(name)) for name in listing.names}
        opened = []
        monkeypatch.setattr(os, "scandir", lambda folder, scandir=os.scandir: opened.append(folder) or scandir(folder))
        assert len(set(of_files(listing.folder, listing.names).tolist())) == len(there) == 6
        assert len(opened) == 2, "each folder once"

    def test_parts_and_sums(self):
        shapes = Shapes("train", num_images=20, size=8)
        part = Subset(shapes, np.array([3, 5, 7]))
        assert origins_of(part).tolist() == shapes.origins[[3, 5, 7]].tolist()
        other = Shapes("val", num_images=20, size=8)
        assert num_shared(shapes, other) == 0
        both = Joined(part, other)
        assert len(both.origins) == 8
        assert num_shared(both, shapes) == 3
        assert num_shared(Joined(other, shapes), part) == 3

    def test_a_dataset_that_does_not_tell_shares_nothing(self):
        assert num_shared(object(), Shapes()) == 0
        assert origins_of(Subset(Shapes(num_images=4), np.arange(2))) is not None

    def test_rows_of_other_arrays_differ(self):
        rows = np.arange(1000)
        every = np.concatenate([of_rows(rows, *place) for place in (("a", "train"), ("a", "test"), ("b", "train"))])
        assert len(np.unique(every)) == 3000


FOLDER = 'name = "image_folder"\nroot = "{root}"'


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('name = "knn"\nk = 1\ntrain = "val"\ntest = "validation"', "'val' (4 images) and 'validation' (4) share 4 images"),
        ('name = "linear"\ntrain = "val"\ntest = "valid"', "'val' (4 images) and 'valid' (4) share 4 images"),
        ('name = "logistic"\nvalidation = "testing"', "'testing' (4 images) and 'test' (4) share 4 images"),
        ('name = "logistic"\nvalidation = "training"', "'train' (6 images) and 'training' (6) share 6 images"),
        ('name = "finetune"\ntrain = "training"\ntest = "train"', "'training' (6 images) and 'train' (6) share 6 images"),
        ('name = "neighbours_picture"\ntrain = "val"\ntest = "valid"', "share 4 images"),
        ('name = "probe_transform"\ntrain = "val"\ntest = "valid"', "share 4 images"),
    ],
)
def test_shared_images_are_refused_before_anything_starts(root, tmp_path, section, message):
    found = refused(tmp_path, section, data=FOLDER.format(root=root))
    assert found.startswith(f"evaluate.0 ({section.split()[2].strip(chr(34))}): the splits ")
    assert message in found


@pytest.mark.parametrize(
    "section",
    [
        'name = "knn"\nk = 1\ntrain = "test"',
        'name = "linear"\ntrain = "test"',
        'name = "probe_transform"\ntest = "train"',
        'name = "health"\ntrain = "val"\ntest = "validation"',
        'name = "map_picture"\ntest = "training"',
        'name = "logistic"\nvalidation = "val"',
    ],
)
def test_what_shares_none_or_is_meant_is_let_through(root, tmp_path, section):
    evaluator(tmp_path, section, data=FOLDER.format(root=root))


def test_a_part_is_found_among_others(tmp_path):
    def images(split):
        train, val, test = (Shapes(name, num_images=60, size=12) for name in ("train", "val", "test"))
        return {"train": train, "val": val, "test": test, "trainval": Joined(train, val)}[split]

    evaluator(tmp_path, 'name = "logistic"\ntrain = "trainval"', images=images)
    found = refused(tmp_path, 'name = "logistic"\ntrain = "trainval"\nvalidation = "val"', images=images)
    assert "'trainval' (75 images) and 'val' (15) share 15 images" in found


def test_what_labels_were_learnt_from_judges_nothing(root, tmp_path):
    """A loss that sees labels has seen those of the pretraining split; one without labels may train on any image."""
    section, data = 'name = "knn"\nk = 1\ntrain = "val"\ntest = "training"', FOLDER.format(root=root)
    evaluator(tmp_path, section, data=data)
    found = refused(tmp_path, section, data=data, loss="sup_con")
    assert found == (
        "evaluate.0 (knn): the pretraining on 'train' sees the labels of 6 of the 6 images of the split 'training', so it can't be "
        "judged on it. Name another one with 'test'."
    )
    evaluator(tmp_path, 'name = "knn"\nk = 1\ntrain = "val"', data=data, loss="sup_con")


@pytest.mark.parametrize("train", ["test", "train"])
def test_the_pretraining_split_judges_nothing_by_its_own_name_either(root, tmp_path, train):
    """That train and test are one stands in the protocol; on which split was pretrained does not."""
    section, data = f'name = "knn"\nk = 1\ntrain = "{train}"\ntest = "train"', FOLDER.format(root=root)
    evaluator(tmp_path, section, data=data)
    assert "the pretraining on 'train' sees the labels of 6 of the 6 images of the split 'train'" in refused(
        tmp_path, section, data=data, loss="sup_con"
    )


def test_what_learns_nothing_may_look_at_any_split(root, tmp_path):
    evaluator(tmp_path, 'name = "health"\ntest = "train"', data=FOLDER.format(root=root), loss="sup_con")
