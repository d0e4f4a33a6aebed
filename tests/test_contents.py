"""Contents: images that were replaced are noticed, and kept features of theirs are not used."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

from sslkit import bounded
from sslkit.augmentations.center_crop import CenterCrop
from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.contents import contents_of
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import Subset
from sslkit.embedding import Split
from sslkit.errors import DataError
from sslkit.feature_cache import FeatureCache
from sslkit.progress import Lines
from sslkit.views import View


def photos(root, *, number=6, seed=0, ending="png"):
    random = np.random.default_rng(seed)
    for i in range(number):
        path = root / "train" / f"class{i % 2}" / f"{i:03}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(256, size=(12, 12, 3), dtype=np.uint8)).save(path)
    return ImageFolder("train", root=root)


class Rows(ArrayImages):
    """An array as it is."""

    def __init__(self, images):
        self._images, self.channels, self.labels, self.classes = images, 3, None, None


class Cached:
    """A cache of pixels' features, and how often it embeds."""

    def __init__(self, folder):
        self.said = io.StringIO()
        self.cache = FeatureCache(
            folder, data={}, view=[], device=torch.device("cpu"), report=Lines(Console(file=self.said, width=120))
        )

    def features(self, images):
        split = Split(images, "train", view=View([("center_crop", CenterCrop(size=8), 1.0)]))
        return self.cache.features(nn.Flatten().eval(), split, encoder="trained", layer="h").h

    @property
    def embedded(self):
        return self.said.getvalue().count("features of train")


def test_images_of_the_same_number_names_and_labels_are_embedded_anew(tmp_path):
    cached = Cached(tmp_path / "features")
    before = np.array(cached.features(photos(tmp_path)))
    assert np.array_equal(cached.features(ImageFolder("train", root=tmp_path)), before)
    once = cached.embedded
    after = np.array(cached.features(photos(tmp_path, seed=1)))
    assert cached.embedded == 2 * once > 0
    assert not np.array_equal(after, before)
    assert np.array_equal(cached.features(photos(tmp_path)), before)


def test_held_in_memory_or_skipping_they_are_the_same(tmp_path):
    photos(tmp_path)
    kinds = [ImageFolder("train", root=tmp_path, memory_gib=gib, on_unreadable=on) for gib in (0, 1) for on in ("fail", "skip")]
    assert len({contents_of(one) for one in kinds}) == 1


def test_another_size_of_any_file_is_seen_and_no_more_than_64_are_opened(tmp_path, monkeypatch):
    before = contents_of(photos(tmp_path, number=130))
    opened = []
    read = bounded.read
    monkeypatch.setattr(bounded, "read", lambda path, **limits: opened.append(path) or read(path, **limits))
    images = ImageFolder("train", root=tmp_path)
    opened.clear()
    assert contents_of(images) == before
    assert len(opened) == len(set(opened)) == 64
    for path in sorted((tmp_path / "train").rglob("*.png")):
        content = path.read_bytes()
        path.write_bytes(content + b"x")
        assert contents_of(ImageFolder("train", root=tmp_path, memory_gib=0)) != before
        path.write_bytes(content)
    assert contents_of(ImageFolder("train", root=tmp_path)) == before


def test_a_file_that_is_gone_is_named(tmp_path):
    images = photos(tmp_path)
    (tmp_path / "train" / "class1" / "003.png").unlink()
    with pytest.raises(DataError, match=r"003\.png': can't be read: No such file"):
        contents_of(images)


def test_every_byte_of_an_array_counts():
    images = np.random.default_rng(0).integers(256, size=(2100, 3, 4, 5), dtype=np.uint8)
    found = contents_of(Rows(images.transpose(0, 2, 3, 1)))
    assert found == contents_of(Rows(np.ascontiguousarray(images.transpose(0, 2, 3, 1))))
    for index in (0, 1023, 1024, 2099):
        other = images.copy()
        other[index, 2, 3, 4] ^= 1
        assert contents_of(Rows(other.transpose(0, 2, 3, 1))) != found
    assert contents_of(Rows(images.transpose(0, 3, 2, 1))) != found


class Untold:
    """Shapes that say nothing of themselves."""

    channels, labels, classes = 3, None, None

    def __init__(self, **drawn):
        self.shapes = Shapes(size=8, num_images=20, **drawn)

    def __len__(self):
        return len(self.shapes)

    def sizes(self, indices):
        return self.shapes.sizes(indices)

    def read(self, index, reduction):
        return self.shapes.read(index, reduction)


def test_a_dataset_that_does_not_tell_is_looked_at():
    images = Untold()
    assert contents_of(images) == contents_of(Subset(Untold(), np.arange(20)))
    assert contents_of(images) != contents_of(Untold(seed=1))
    assert contents_of(images) != contents_of(Subset(Untold(), np.arange(19)))
    assert contents_of(Subset(images, np.arange(0))) == contents_of(Subset(images, np.arange(0)))


def test_a_part_of_a_dataset_is_told_by_the_whole_and_which_part_it_is(tmp_path):
    """Of files by those that it has alone."""
    rows = np.array([1, 4])
    shapes = contents_of(Subset(Shapes(num_images=20), rows))
    assert shapes == contents_of(Subset(Shapes(num_images=20), rows.copy()))
    assert shapes != contents_of(Subset(Shapes(num_images=20), rows[::-1].copy()))
    assert shapes != contents_of(Subset(Shapes(num_images=20, seed=1), rows))
    files = contents_of(Subset(photos(tmp_path), rows))
    path = tmp_path / "train" / "class0" / "000.png"
    path.write_bytes(path.read_bytes() + b"x")
    images = ImageFolder("train", root=tmp_path, memory_gib=0)
    assert contents_of(Subset(images, rows)) == files
    assert contents_of(Subset(images, rows - 1)) != files
