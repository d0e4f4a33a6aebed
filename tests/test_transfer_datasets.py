"""The datasets of the transfer evaluation: each is read from a tiny copy of the folder and the files that were published."""

import io
import json
import pickle
import sys
import urllib.error
import urllib.request
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy.io import savemat

from sslkit import draws, sheet
from sslkit.datasets import flowers102, registry, voc2007
from sslkit.datasets.caltech101 import Caltech101
from sslkit.datasets.cifar10 import CIFAR10
from sslkit.datasets.cifar100 import CIFAR100
from sslkit.datasets.dtd import DTD
from sslkit.datasets.fgvc_aircraft import FGVCAircraft
from sslkit.datasets.flowers102 import Flowers102
from sslkit.datasets.food101 import Food101
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.lists import numbered, read_lines, read_list
from sslkit.datasets.origins import num_shared
from sslkit.datasets.oxford_pets import OxfordPets
from sslkit.datasets.partition import completed, held_out, of_each_class, published
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.stanford_cars import StanfordCars
from sslkit.datasets.sun397 import SUN397
from sslkit.datasets.voc2007 import VOC2007
from sslkit.errors import DataError

SPLITS = ("train", "val", "trainval", "test")


def message(call, *args, **kwargs):
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test touches the network."""

    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def encoded(mode="RGB", file_format="JPEG", seed=0):
    """A small image, 20 high and 30 wide, with smooth colours."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8))
    stream = io.BytesIO()
    coarse.resize((30, 20), Image.Resampling.BICUBIC).convert(mode).save(stream, file_format)
    return stream.getvalue()


def put(path, content=None):
    """A file; an image, another one for every path, if nothing else is said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        content = encoded(seed=zlib.crc32(f"{path.parent.name}/{path.name}".encode()))
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# The published folders, tiny. Each gives, for each published part, the file of every image, below the root, and its class.


def put_food101(root):
    base = root / "food-101"
    parts = {"train": range(10), "test": range(10, 13)}
    classes = ("apple_pie", "beet_salad")
    put(base / "meta/classes.txt", "".join(f"{name}\n" for name in classes))
    expected = {}
    for part, numbers in parts.items():
        listed = [f"{name}/{1000 + number}" for name in classes for number in numbers]
        put(base / f"meta/{part}.txt", "\n".join(listed))
        of_class = {name: [image for image in listed if image.startswith(name)] for name in classes}
        put(base / f"meta/{part}.json", json.dumps(of_class))  # what torchvision reads
        for image in listed:
            put(base / f"images/{image}.jpg")
        expected[part] = {f"food-101/images/{image}.jpg": image.split("/")[0] for image in listed}
    return expected


def put_sun397(root):
    base = root / "SUN397"
    classes = {
        "/a/abbey": "abbey",
        "/a/apartment_building/outdoor": "apartment_building/outdoor",
        "/z/zen_garden": "zen_garden",
    }
    put(base / "ClassName.txt", "".join(f"{name}\r\n" for name in classes))
    expected = {}
    for file, part, numbers in (("Training_01", "train", range(5)), ("Testing_01", "test", range(5, 8))):
        listed = {f"{folder}/sun_{number}.jpg": name for folder, name in classes.items() for number in numbers}
        put(base / f"Partitions/{file}.txt", "".join(f"{image}\r\n" for image in listed))
        for image in listed:
            put(base / image[1:])
        expected[part] = {f"SUN397{image}": name for image, name in listed.items()}
    put(base / "a/abbey/sun_of_another_partition.jpg")
    return expected


def struct(rows):
    """An array of MATLAB structs with one row, as the authors of Cars saved it."""
    names = ("bbox_x1", "class", "fname")
    array = np.zeros((1, len(rows)), dtype=[(name, object) for name in names])
    for at, row in enumerate(rows):
        array[0, at] = row
    return array


def put_stanford_cars(root):
    base = root / "stanford_cars"
    classes = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    (base / "devkit").mkdir(parents=True)
    savemat(base / "devkit/cars_meta.mat", {"class_names": np.array([classes], dtype=object)})
    expected = {}
    for part, count, path in (("train", 10, "devkit/cars_train_annos.mat"), ("test", 4, "cars_test_annos_withlabels.mat")):
        rows = [(np.uint8(39), np.uint8(1 + at % 2), f"{at + 1:05}.jpg") for at in range(count)]
        savemat(base / path, {"annotations": struct(rows)})
        for _, _, file in rows:
            put(base / f"cars_{part}/{file}")
        expected[part] = {f"stanford_cars/cars_{part}/{file}": classes[number - 1] for _, number, file in rows}
    return expected


def put_fgvc_aircraft(root):
    base = root / "fgvc-aircraft-2013b/data"
    classes = ("DC-3", "F/A-18", "Spitfire Mk IX")
    put(base / "variants.txt", "".join(f"{name}\n" for name in classes))
    expected, number = {}, 1025794
    for part, count in (("train", 4), ("val", 3), ("test", 5)):
        listed = {f"{number + at:07}": classes[at % 3] for at in range(count)}
        number += count
        put(base / f"images_variant_{part}.txt", "".join(f"{image} {name}\n" for image, name in listed.items()))
        for image in listed:
            put(base / f"images/{image}.jpg")
        expected[part] = {f"fgvc-aircraft-2013b/data/images/{image}.jpg": name for image, name in listed.items()}
    return expected


def put_dtd(root):
    base = root / "dtd/dtd"
    expected = {}
    for part, numbers in (("train", (1, 2)), ("val", (3,)), ("test", (4, 5))):
        listed = [f"{name}/{name}_{number:04}.jpg" for name in ("zigzagged", "banded") for number in numbers]
        put(base / f"labels/{part}1.txt", "".join(f"{image}\n" for image in listed))
        put(base / f"labels/{part}2.txt", "banded/banded_0001.jpg\n")
        for image in listed:
            put(base / f"images/{image}")
        expected[part] = {f"dtd/dtd/images/{image}": image.split("/")[0] for image in listed}
    return expected


def put_oxford_pets(root):
    base = root / "oxford-iiit-pet"
    breeds = ("Abyssinian", "american_bulldog", "Bengal")  # breeds of cats have capitals; numbers follow the alphabet
    put(base / "annotations/list.txt", "#Image CLASS-ID SPECIES BREED ID\n")
    expected = {}
    for part, file, numbers in (("train", "trainval", range(1, 6)), ("test", "test", range(6, 9))):
        listed = {f"{breed}_{number}": at for at, breed in enumerate(breeds, 1) for number in numbers}
        put(base / f"annotations/{file}.txt", "".join(f"{image} {at} {1 + at % 2} 1\n" for image, at in listed.items()))
        for image in listed:
            put(base / f"images/{image}.jpg")
        expected[part] = {
            f"oxford-iiit-pet/images/{image}.jpg": breeds[at - 1].replace("_", " ") for image, at in listed.items()
        }
    put(base / "images/Abyssinian_100.mat", b"no image")
    return expected


def put_caltech101(root):
    base = root / "caltech101/101_ObjectCategories"
    put(base / "BACKGROUND_Google/image_0001.jpg")
    put(base / "BACKGROUND_Google/tmp", b"")
    for name, count in (("Faces", 33), ("accordion", 31)):
        for number in range(1, count + 1):
            put(base / name / f"image_{number:04}.jpg")


def put_flowers102(root):
    base = root / "flowers-102"
    parts = {"trnid": (3, 1), "valid": (6, 2), "tstid": (5, 4, 7)}
    labels = {1: 1, 2: 77, 3: 102, 4: 1, 5: 5, 6: 2, 7: 1}
    for image in labels:
        put(base / f"jpg/image_{image:05}.jpg")
    savemat(base / "imagelabels.mat", {"labels": np.array([list(labels.values())], dtype=np.uint8)})
    savemat(base / "setid.mat", {key: np.array([images], dtype=np.uint16) for key, images in parts.items()})
    names = torchvision.datasets.Flowers102.classes
    return {
        part: {f"flowers-102/jpg/image_{image:05}.jpg": names[labels[image] - 1] for image in images}
        for part, images in zip(("train", "val", "test"), parts.values(), strict=True)
    }


# The objects of VOC 2007's images; those marked with ! are difficult.
OBJECTS = {
    "train": {"000005": "chair chair! person", "000007": "car", "000009": "horse! person"},
    "val": {"000012": "car", "000016": "bicycle!"},
    "test": {"000001": "dog person", "000002": "train"},
}


def put_voc2007(root, *, archives=("trainval", "test")):
    base = root / "VOCdevkit/VOC2007"
    trainval = {"train": OBJECTS["train"], "val": OBJECTS["val"], "trainval": {**OBJECTS["train"], **OBJECTS["val"]}}
    parts = {"trainval": trainval, "test": {"test": OBJECTS["test"]}}
    for part, images in {part: images for archive in archives for part, images in parts[archive].items()}.items():
        put(base / f"ImageSets/Main/{part}.txt", "".join(f"{image}\n" for image in images))
        for name in voc2007.CLASSES:
            lines = []
            for image, objects in images.items():
                written = 1 if name in objects.split() else 0 if f"{name}!" in objects.split() else -1
                lines.append(f"{image} {written:2}\n")
            put(base / f"ImageSets/Main/{name}_{part}.txt", "".join(lines))
        for image in images:
            put(base / f"JPEGImages/{image}.jpg")


COMPLETED = [
    (Food101, put_food101),
    (SUN397, put_sun397),
    (StanfordCars, put_stanford_cars),
    (OxfordPets, put_oxford_pets),
]
PUBLISHED = [(FGVCAircraft, put_fgvc_aircraft), (DTD, put_dtd), (Flowers102, put_flowers102)]
ALL = [*COMPLETED, *PUBLISHED, (Caltech101, put_caltech101), (VOC2007, put_voc2007)]
NAMES = {target.partition(":")[2]: name for name, target in registry.builtins.items()}


def torchvision_s(dataset):
    names = {"OxfordPets": "OxfordIIITPet", "VOC2007": "VOCDetection"}
    return getattr(torchvision.datasets, names.get(dataset.__name__, dataset.__name__))


def paths(images, root):
    return [str(images._images.path(at).relative_to(root)) for at in range(len(images))]


def seen(images, root):
    """The file of each image, and the name of its class."""
    return dict(zip(paths(images, root), (images.classes[label] for label in images.labels), strict=True))


# What every one of them promises


@pytest.mark.parametrize(("dataset", "make"), ALL)
def test_what_all_promise(tmp_path, dataset, make):
    make(tmp_path)
    found = {split: dataset(split, root=tmp_path) for split in dataset.splits}
    assert tuple(found) == SPLITS
    for split, images in found.items():
        assert (images.labels.dtype, len(images.labels), images.channels) == (np.int64, len(images), 3)
        assert images.unreadable == {}
        assert paths(images, tmp_path) == sorted(paths(images, tmp_path))
        indices = np.array([len(images) - 1, 0])
        assert images.sizes(indices).tolist() == [[20, 30], [20, 30]]
        assert images.read(0, 1).shape == (20, 30, 3)
        again = pickle.loads(pickle.dumps(dataset(split, root=tmp_path)))
        assert paths(again, tmp_path) == paths(images, tmp_path)
        assert np.array_equal(again.labels, images.labels)
        assert np.array_equal(again.read(0, 1), images.read(0, 1))
    train, val, trainval, test = (set(paths(images, tmp_path)) for images in found.values())
    assert not train & val
    assert train | val == trainval
    assert not trainval & test
    assert min(map(len, found.values())) > 0
    assert len({images.classes for images in found.values()}) == 1
    splits = list(found.values())
    assert num_shared(splits[2], splits[0]) == len(train)
    assert num_shared(splits[2], splits[1]) == len(val)
    assert not any(num_shared(*two) for two in ((splits[0], splits[1]), (splits[2], splits[3])))


@pytest.mark.parametrize(("dataset", "make"), ALL)
def test_the_folder_itself_may_be_the_root(tmp_path, dataset, make):
    make(tmp_path)
    below = {DTD: "dtd/dtd", VOC2007: "VOCdevkit/VOC2007"}.get(dataset) or next(tmp_path.iterdir()).name
    inside = dataset("test", root=tmp_path / below)
    assert np.array_equal(inside.labels, dataset("test", root=tmp_path).labels)


@pytest.mark.parametrize(("dataset", "make"), PUBLISHED)
def test_published_splits_equal_the_lists(tmp_path, dataset, make):
    expected = make(tmp_path)
    for split in ("train", "val", "test"):
        assert seen(dataset(split, root=tmp_path), tmp_path) == expected[split]
    assert seen(dataset("trainval", root=tmp_path), tmp_path) == {**expected["train"], **expected["val"]}


@pytest.mark.parametrize(("dataset", "make"), COMPLETED)
def test_a_fifth_of_each_class_is_held_out(tmp_path, dataset, make):
    expected = make(tmp_path)
    assert seen(dataset("test", root=tmp_path), tmp_path) == expected["test"]
    assert seen(dataset("trainval", root=tmp_path), tmp_path) == expected["train"]
    val = seen(dataset("val", root=tmp_path), tmp_path)
    every = Counter(expected["train"].values())
    assert Counter(val.values()) == {name: count // 5 for name, count in every.items()}  # of five or ten images each
    assert seen(dataset("train", root=tmp_path), tmp_path) == {k: v for k, v in expected["train"].items() if k not in val}


@pytest.mark.parametrize(
    ("dataset", "make", "splits"),
    [
        (Food101, put_food101, {"trainval": "train", "test": "test"}),
        (StanfordCars, put_stanford_cars, {"trainval": "train", "test": "test"}),
        (OxfordPets, put_oxford_pets, {"trainval": "trainval", "test": "test"}),
        *((dataset, make, {part: part for part in ("train", "val", "test")}) for dataset, make in PUBLISHED),
    ],
)
def test_images_and_labels_are_torchvision_s(tmp_path, monkeypatch, dataset, make, splits):
    """Pixel by pixel, from the same files; torchvision has no partition of SUN397 and Caltech-101, and no labels of VOC."""
    make(tmp_path)
    source = torchvision_s(dataset)
    if dataset is Flowers102:
        monkeypatch.setattr(source, "_check_integrity", lambda self: True)  # it wants the md5 of the true lists
    for split, theirs in splits.items():
        images, reference = dataset(split, root=tmp_path), source(tmp_path, split=theirs)
        expected = Counter((np.asarray(image.convert("RGB")).tobytes(), int(label)) for image, label in reference)
        assert Counter((images.read(at, 1).tobytes(), int(label)) for at, label in enumerate(images.labels)) == expected
        assert max(expected.values()) == 1
        assert len(images.classes) == len(reference.classes)


@pytest.mark.parametrize(
    ("dataset", "metric"),
    [
        *((one, "top1") for one in (Food101, CIFAR10, CIFAR100, SUN397, StanfordCars, DTD, ImageFolder)),
        *((one, "mean_per_class") for one in (FGVCAircraft, OxfordPets, Caltech101, Flowers102)),
        (VOC2007, "map"),
    ],
)
def test_the_number_that_transfer_is_judged_by(dataset, metric):
    registry.check(dataset)
    assert dataset.metric == metric


@pytest.mark.parametrize(("dataset", "make"), ALL)
def test_absent_files_say_what_to_do(tmp_path, dataset, make):
    name = NAMES[dataset.__name__]
    said = message(dataset, "train", root=tmp_path / "none")
    assert said.startswith(f"dataset {name!r}: ")
    assert repr(str(tmp_path / "none"))[:-1] in said
    assert "Unpack " in said
    make(tmp_path)
    assert message(dataset, "trian", root=tmp_path) == (
        f"dataset {name!r} has no split 'trian'. Did you mean 'train'? It has: test, train, trainval, val."
    )


@pytest.mark.parametrize(("dataset", "make"), ALL)
def test_half_an_archive_is_noticed_at_once(tmp_path, dataset, make):
    make(tmp_path)
    images = dataset("test", root=tmp_path)
    first = images._images.path(0)
    first.unlink()
    if dataset is Caltech101:
        put(first.with_name("another.jpg"))  # it has no list: what lies there is what there is
        assert len(dataset("test", root=tmp_path)) == len(images)
    else:
        said = message(dataset, "test", root=tmp_path)
        assert f": 1 of {len(images)} images of this split are not there, the first is " in said
        assert first.name in said


@pytest.mark.parametrize(("dataset", "make"), ALL)
def test_an_unreadable_image_stops_or_is_skipped(tmp_path, dataset, make):
    make(tmp_path)
    images = dataset("trainval", root=tmp_path, on_unreadable="skip")
    alike = np.flatnonzero((images.labels == images.labels[0]).reshape(len(images), -1).all(axis=1))
    put(images._images.path(0), b"nothing of the kind")
    if len(alike) > 1:
        put(images._images.path(int(alike[1])), encoded(seed=5))
        assert np.array_equal(images.read(0, 1), images.read(int(alike[1]), 1))
    else:
        assert "No other image of its class" in message(images.read, 0, 1)
    assert list(images.unreadable) == [0]
    assert 'on_unreadable = "skip"' in message(dataset("trainval", root=tmp_path).read, 0, 1)


def test_grey_and_cmyk_and_what_is_no_jpeg_come_out_rgb(tmp_path):
    put_dtd(tmp_path)
    images = DTD("test", root=tmp_path)
    kinds = {"L": "JPEG", "CMYK": "JPEG", "P": "GIF", "RGBA": "PNG"}
    for at, (mode, file_format) in enumerate(kinds.items()):
        put(images._images.path(at), encoded(mode, file_format))
        pixels = images.read(at, 1)
        assert (pixels.shape, pixels.dtype) == ((20, 30, 3), np.uint8)
        assert (np.ptp(pixels.astype(int), axis=2).max() == 0) == (mode == "L")
    put(images._images.path(0))
    assert images.read(0, 2).shape == (10, 15, 3)


# Partitions


def test_held_out_equals_its_rule():
    """The images of a class in the drawn order; the first fifth of them, to the nearest whole number."""
    labels = np.random.default_rng(0).integers(0, 7, 200)
    order = draws.shuffled(200, "held_out")
    expected = set()
    for label in range(7):
        own = [row for row in order.tolist() if labels[row] == label]
        expected |= set(own[: int(np.floor(len(own) / 5 + 0.5))])
    assert set(np.flatnonzero(held_out(labels)).tolist()) == expected


@pytest.mark.parametrize(("count", "out"), [(1, 0), (2, 0), (3, 1), (5, 1), (7, 1), (8, 2), (30, 6), (50, 10), (750, 150)])
def test_how_many_are_held_out_by_hand(count, out):
    assert held_out(np.zeros(count, np.int64)).sum() == out


def test_the_images_that_are_held_out_never_change():
    assert np.flatnonzero(held_out(np.arange(20) % 2)).tolist() == [0, 8, 11, 19]
    taken = of_each_class(np.arange(20) % 2, lambda _: 3, address="caltech101")
    assert np.flatnonzero(taken).tolist() == [1, 8, 11, 14, 16, 17]


def test_the_order_of_a_list_does_not_matter():
    there = {f"{number:02}.jpg": number % 3 for number in range(30)}
    back = dict(reversed(there.items()))
    for split in SPLITS:
        assert completed(split, lambda part: there) == completed(split, lambda part: back)
    asked = []
    published("trainval", lambda part: asked.append(part) or {})
    completed("val", lambda part: asked.append(part) or there)
    completed("test", lambda part: asked.append(part) or there)
    assert asked == ["train", "val", "train", "test"]


def test_a_split_that_stays_empty_is_an_error(tmp_path):
    put_dtd(tmp_path)
    for part in ("train", "test"):
        put(tmp_path / f"food-101/meta/{part}.txt", "banded/banded_0001\n")
    put(tmp_path / "food-101/meta/classes.txt", "banded\n")
    put(tmp_path / "food-101/images/banded/banded_0001.jpg")
    assert len(Food101("train", root=tmp_path)) == 1
    assert "images': no image of it belongs to this split." in message(Food101, "val", root=tmp_path)


# One by one


def test_caltech101_draws_thirty_of_each_class(tmp_path):
    put_caltech101(tmp_path)
    found = {split: Caltech101(split, root=tmp_path) for split in SPLITS}
    assert {split: np.bincount(images.labels).tolist() for split, images in found.items()} == {
        "train": [24, 24],
        "val": [6, 6],
        "trainval": [30, 30],
        "test": [3, 1],
    }
    assert found["test"].classes == ("Faces", "accordion")
    names = sorted(path for split in ("trainval", "test") for path in paths(found[split], tmp_path))
    order = [names[at] for at in draws.shuffled(64, "caltech101")]
    expected = {path for name in ("Faces", "accordion") for path in [p for p in order if f"/{name}/" in p][:30]}
    assert set(paths(found["trainval"], tmp_path)) == expected


def test_caltech101_needs_more_than_thirty_of_each(tmp_path):
    put_caltech101(tmp_path)
    (tmp_path / "caltech101/101_ObjectCategories/accordion/image_0031.jpg").unlink()
    said = message(Caltech101, "train", root=tmp_path)
    assert said.endswith("accordion': has 30 images; 30 are to train on, and none is left to test.")


def test_voc2007_labels_by_hand(tmp_path):
    put_voc2007(tmp_path)
    train = VOC2007("train", root=tmp_path)
    assert train.labels.shape == (3, 20)
    shown = [{train.classes[c]: int(row[c]) for c in np.flatnonzero(row)} for row in train.labels]
    assert shown == [{"chair": 1, "person": 1}, {"car": 1}, {"horse": -1, "person": 1}]
    sizes = {split: len(VOC2007(split, root=tmp_path)) for split in SPLITS}
    assert sizes == {"train": 3, "val": 2, "trainval": 5, "test": 2}
    assert VOC2007("val", root=tmp_path).labels.sum(axis=1).tolist() == [1, -1]
    assert train.classes == tuple(sorted(train.classes))
    assert [sheet._name(train, at) for at in (0, 2)] == ["sample 0, chair, person", "sample 2, person"]


def test_voc2007_lists_have_to_agree(tmp_path):
    put_voc2007(tmp_path)
    put(tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/sofa_train.txt", "000005 -1\n")
    assert message(VOC2007, "train", root=tmp_path).endswith(
        "sofa_train.txt': should list the images that aeroplane_train.txt lists."
    )
    (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/sofa_train.txt").unlink()
    assert message(VOC2007, "train", root=tmp_path).endswith("sofa_train.txt': can't be read: No such file or directory.")
    (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/aeroplane_test.txt").unlink()
    said = message(VOC2007, "test", root=tmp_path)
    assert "has no ImageSets/Main/aeroplane_test.txt. Unpack VOCtest_06-Nov-2007.tar (from https://" in said


@pytest.mark.parametrize("place", ["SUN397", "SUN397/Partitions", "Partitions", "."])
def test_sun397_finds_its_lists(tmp_path, place):
    put_sun397(tmp_path)
    (tmp_path / place).mkdir(exist_ok=True)
    for name in ("Training_01.txt", "Testing_01.txt"):
        (tmp_path / "SUN397/Partitions" / name).replace(tmp_path / place / name)
    assert len(SUN397("test", root=tmp_path)) == 9


def test_sun397_without_lists_says_what_to_put_where(tmp_path, monkeypatch):
    put(tmp_path / "SUN397/Partitions/Training_01.txt", "/a/abbey/sun_1.jpg")
    monkeypatch.setattr(torchvision.datasets.SUN397, "_download", lambda self: pytest.fail("downloads before it looks"))
    assert message(SUN397, "train", root=tmp_path, download=True) == (
        f"dataset 'sun397': no Training_01.txt and Testing_01.txt in {str(tmp_path / 'SUN397/Partitions')!r}. Unpack "
        "Partitions.zip there (from https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip); torchvision has "
        "no way to fetch it."
    )


def test_sun397_classes_have_plain_names(tmp_path):
    put_sun397(tmp_path)
    assert SUN397("train", root=tmp_path).classes == ("abbey", "apartment_building/outdoor", "zen_garden")


def test_oxford_pets_labels_are_the_published_numbers(tmp_path):
    put_oxford_pets(tmp_path)
    images = OxfordPets("test", root=tmp_path)
    lines = (tmp_path / "oxford-iiit-pet/annotations/test.txt").read_text().splitlines()
    numbers = {f"{line.split()[0]}.jpg": int(line.split()[1]) for line in lines}
    assert images.labels.tolist() == [numbers[Path(path).name] - 1 for path in paths(images, tmp_path)]
    assert images.classes == ("Abyssinian", "american bulldog", "Bengal")


def test_the_names_of_the_flowers_are_torchvision_s():
    assert list(flowers102.CLASSES) == torchvision.datasets.Flowers102.classes
    assert len(set(flowers102.CLASSES)) == 102


def test_flowers102_names_what_is_wrong(tmp_path):
    put_flowers102(tmp_path)
    base = tmp_path / "flowers-102"
    savemat(base / "setid.mat", {"trnid": np.array([[1, 8]], np.uint16), "tstid": np.array([[1.5]])})
    assert message(Flowers102, "train", root=tmp_path).endswith("trnid should hold numbers of images, from 1 to 7.")
    assert message(Flowers102, "test", root=tmp_path).endswith("tstid should hold numbers of images, from 1 to 7.")
    assert message(Flowers102, "val", root=tmp_path).endswith("setid.mat': has no variable 'valid'.")
    savemat(base / "imagelabels.mat", {"labels": np.array([[103, 0]])})
    savemat(base / "setid.mat", {"trnid": np.array([[1]], np.uint16), "valid": np.array([[2, 2]], np.uint16)})
    assert message(Flowers102, "train", root=tmp_path).endswith("classes should lie in 1..102, but one is 103.")
    put(base / "imagelabels.mat", b"no MATLAB file of any version, but long enough for a header")
    assert "imagelabels.mat': is no MATLAB file, or damaged: " in message(Flowers102, "train", root=tmp_path)
    (base / "setid.mat").unlink()
    assert "'flowers-102' has no" not in message(Flowers102, "train", root=tmp_path)
    assert "has no setid.mat. Unpack 102flowers.tgz" in message(Flowers102, "train", root=tmp_path)


def test_stanford_cars_names_what_is_wrong(tmp_path):
    put_stanford_cars(tmp_path)
    path = tmp_path / "stanford_cars/devkit/cars_train_annos.mat"
    savemat(path, {"annotations": np.arange(3)})
    assert message(StanfordCars, "train", root=tmp_path).endswith("should have the fields 'fname' and 'class'.")
    savemat(path, {"annotations": struct([(1, 3, "00001.jpg")])})
    assert message(StanfordCars, "train", root=tmp_path).endswith("classes should lie in 1..2, but one is 3.")
    savemat(path, {"annotations": struct([(1, 2, "00001.jpg")])})
    assert seen(StanfordCars("train", root=tmp_path), tmp_path) == {"stanford_cars/cars_train/00001.jpg": "Acura RL Sedan 2012"}


@pytest.mark.parametrize(("dataset", "make"), [(StanfordCars, put_stanford_cars), (Flowers102, put_flowers102)])
def test_without_scipy_it_says_so(tmp_path, monkeypatch, dataset, make):
    make(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert message(dataset, "train", root=tmp_path) == (
        f"dataset {NAMES[dataset.__name__]!r}: its lists are MATLAB files; scipy reads them and is not installed: "
        "pip install scipy."
    )


# Lists


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", ": is empty."),
        ("\n \n", ": is empty."),
        (b"\xff\xfe", ": is not a text file in UTF-8."),
        ("DC-3\n", ", line 1: is not of the form that is usual there: 'DC-3'."),
        ("1 DC-3\n\n2 DC-3\n", ", line 2: is not of the form that is usual there: ''."),
        ("1 DC-3\n2 DC_3\n", ", line 2: none of the 3 classes is called 'DC_3'. Did you mean 'DC-3'?"),
        ("1 DC-3\n1 F/A-18\n", ", line 2: names '1.jpg', which another line names too."),
    ],
)
def test_a_wrong_list_is_named(tmp_path, content, reason):
    put_fgvc_aircraft(tmp_path)
    path = tmp_path / "fgvc-aircraft-2013b/data/images_variant_train.txt"
    put(path, content)
    assert message(FGVCAircraft, "train", root=tmp_path) == f"{str(path)!r}{reason}"


@pytest.mark.parametrize(
    ("dataset", "make", "path", "line"),
    [
        (Food101, put_food101, "food-101/meta/train.txt", "apple_pie"),
        (DTD, put_dtd, "dtd/dtd/labels/train1.txt", "banded"),
        (SUN397, put_sun397, "SUN397/Partitions/Training_01.txt", "a/abbey/sun_1.jpg"),
        (OxfordPets, put_oxford_pets, "oxford-iiit-pet/annotations/trainval.txt", "Bengal_1 2"),
        (VOC2007, put_voc2007, "VOCdevkit/VOC2007/ImageSets/Main/aeroplane_train.txt", "000005"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path, dataset, make, path, line):
    make(tmp_path)
    put(tmp_path / path, f"{line}\n")
    assert message(dataset, "train", root=tmp_path) == (
        f"{str(tmp_path / path)!r}, line 1: is not of the form that is usual there: {line!r}."
    )


def test_read_list_by_hand(tmp_path):
    put(tmp_path / "list", "b/2\r\n a/1 \n")
    assert read_lines(tmp_path / "list") == ["b/2", "a/1"]
    assert read_list(tmp_path / "list", lambda line: (line, line[0]), ("a", "b")) == {"b/2": 1, "a/1": 0}
    assert numbered(tmp_path / "list", ["x", "y"], [2, 1.0], num_classes=2) == {"x": 1, "y": 0}
    assert message(numbered, tmp_path, ["x", "x"], [2, 1], num_classes=2).endswith("names 1 images more than once.")


# Downloads, as far as they can be tried without a network


@pytest.mark.parametrize("dataset", [Food101, FGVCAircraft, VOC2007, DTD, OxfordPets, Caltech101, Flowers102])
def test_a_download_that_fails_says_what_to_do(tmp_path, dataset):
    said = message(dataset, "train", root=tmp_path, download=True)
    assert f"the download into {str(tmp_path)!r} failed: <urlopen error no network here>. Unpack " in said
    assert "data.download" not in said
    assert message(dataset, "train", root=tmp_path).endswith(". Or set data.download = true.")


def test_sun397_s_download_fails_so_too(tmp_path):
    for name in ("Training_01.txt", "Testing_01.txt"):
        put(tmp_path / "Partitions" / name, "/a/abbey/sun_1.jpg")
    said = message(SUN397, "train", root=tmp_path, download=True)
    assert "failed: <urlopen error no network here>. Unpack SUN397.tar.gz (from http" in said


def test_cars_can_not_be_downloaded(tmp_path):
    assert "data.download" not in message(StanfordCars, "train", root=tmp_path)
    assert "download" not in registry.model("stanford_cars").model_fields


@pytest.mark.parametrize(("dataset", "make"), [pair for pair in ALL if pair[0] is not StanfordCars])
def test_what_is_downloaded_is_read(tmp_path, monkeypatch, capsys, dataset, make):
    """The class of torchvision is asked once, with parameters that it has, and only if files are absent."""
    asked = []

    def fetch(self, root, *args, **options):
        print("Downloading")
        asked.append(options)
        make(Path(root))

    monkeypatch.setattr(torchvision_s(dataset), "__init__", fetch)
    if dataset is SUN397:
        for name in ("Training_01.txt", "Testing_01.txt"):
            put(tmp_path / "SUN397/Partitions" / name, "/a/abbey/sun_1.jpg")
    for split in ("test", "train"):
        assert len(dataset(split, root=tmp_path, download=True)) > 0
    year = {"year": "2007", "image_set": "test"} if dataset is VOC2007 else {}
    assert asked == [{**year, "download": True}]
    assert capsys.readouterr().out == ""


def test_voc2007_fetches_the_archive_that_a_split_needs(tmp_path, monkeypatch):
    asked = []

    def fetch(self, root, *, year, image_set, download):
        asked.append((year, image_set, download))
        put_voc2007(root, archives=[image_set])

    monkeypatch.setattr(torchvision.datasets.VOCDetection, "__init__", fetch)
    sizes = [len(VOC2007(split, root=tmp_path, download=True)) for split in ("val", "train", "test", "trainval")]
    assert sizes == [2, 3, 2, 5]
    assert asked == [("2007", "trainval", True), ("2007", "test", True)]


def test_a_download_that_leaves_files_out_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.DTD, "__init__", lambda self, root, download: None)
    source = Source("dtd", "dtd", ("images", "labels"), "dtd.tar.gz", of="DTD")
    assert message(placed, source, tmp_path, download=True) == (
        f"dataset 'dtd': {str(tmp_path / 'dtd')!r} has no images and no labels. Unpack dtd.tar.gz in {str(tmp_path)!r}, "
        "or set data.root to the folder that holds 'dtd'."
    )
