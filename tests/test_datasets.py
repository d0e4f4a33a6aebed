import gzip
import hashlib
import pickle
import tarfile
import urllib.error
import urllib.request
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torchvision

from sslkit import draws
from sslkit.datasets import registry
from sslkit.datasets.cifar10 import CIFAR10
from sslkit.datasets.cifar100 import CIFAR100
from sslkit.datasets.fashion_mnist import FashionMNIST
from sslkit.datasets.idx import read_idx
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.imagenet import ImageNet
from sslkit.datasets.mnist import MNIST
from sslkit.datasets.origins import num_shared
from sslkit.datasets.partition import tenth
from sslkit.datasets.stl10 import STL10
from sslkit.errors import DataError

RNG = np.random.default_rng(0)


def message(call, *args, **kwargs):
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test touches the network."""

    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def idx(array):
    """The bytes of an idx file, spelt out: two zeros, the type, the axes, their lengths, the values."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.tobytes()


def put_mnist(folder, *, pack=lambda data: data, ending="", counts=(5, 3)):
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    for stem, count in zip(("train", "t10k"), counts, strict=True):
        images[stem] = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (folder / f"{stem}-images-idx3-ubyte{ending}").write_bytes(pack(idx(images[stem])))
        (folder / f"{stem}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(np.arange(count, dtype=np.uint8))))
    return images


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def put_cifar(root, monkeypatch, *, of, folder, batches, meta, key, names):
    """The folder that torchvision expects, with a few images in it, of which we declare the md5."""
    source = getattr(torchvision.datasets, of)
    place = root / folder
    place.mkdir()
    rows = {}
    for number, batch in enumerate(batches):
        rows[batch] = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
        content = {"data": rows[batch], key: [(number + row) % 10 for row in range(4)]}
        (place / batch).write_bytes(pickle.dumps(content, protocol=2))
    (place / meta).write_bytes(pickle.dumps({source.meta["key"]: list(names)}, protocol=2))
    monkeypatch.setattr(source, "train_list", [[batch, md5(place / batch)] for batch in batches[:-1]])
    monkeypatch.setattr(source, "test_list", [[batches[-1], md5(place / batches[-1])]])
    monkeypatch.setattr(source, "meta", {**source.meta, "filename": meta, "md5": md5(place / meta)})
    return rows


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    batches = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    options = {"of": "CIFAR10", "folder": "cifar-10-batches-py", "meta": "batches.meta", "key": "labels"}
    rows = put_cifar(tmp_path, monkeypatch, batches=batches, names=names, **options)
    return tmp_path, rows, names


@pytest.fixture
def cifar100(tmp_path, monkeypatch):
    names = tuple(f"class {number:02}" for number in range(100))
    options = {"of": "CIFAR100", "folder": "cifar-100-python", "meta": "meta", "key": "fine_labels"}
    rows = put_cifar(tmp_path, monkeypatch, batches=["train", "test"], names=names, **options)
    return tmp_path, rows, names


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    """Files in STL-10's own order: (n, channel, column, row), labels from 1."""
    place = tmp_path / "stl10_binary"
    place.mkdir()
    stored = {}
    for name, count in {"train_X": 4, "test_X": 3, "unlabeled_X": 2}.items():
        stored[name] = RNG.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
        stored[name].tofile(place / f"{name}.bin")
    np.array([1, 10, 3, 3], dtype=np.uint8).tofile(place / "train_y.bin")
    np.array([2, 1, 2], dtype=np.uint8).tofile(place / "test_y.bin")
    source = torchvision.datasets.STL10
    monkeypatch.setattr(source, "train_list", [[name, md5(place / name)] for name, _ in source.train_list])
    monkeypatch.setattr(source, "test_list", [[name, md5(place / name)] for name, _ in source.test_list])
    return tmp_path, stored


def check_contract(images):
    """What every dataset of one size promises."""
    indices = np.array([len(images) - 1, 0], dtype=np.int64)
    first = images.read(0, 1)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert first.shape == (*images.sizes(indices)[1], images.channels)
    assert images.sizes(indices).dtype == np.int64
    assert images.sizes(indices[:0]).shape == (0, 2)
    assert np.array_equal(images.read(0, 8), first)
    if images.labels is None:
        assert images.classes is None
    else:
        assert images.labels.dtype == np.int64
        assert images.labels.shape == (len(images),)
        assert images.labels.max() < len(images.classes)
    again = pickle.loads(pickle.dumps(images))
    assert np.array_equal(again.read(len(images) - 1, 1), images.read(len(images) - 1, 1))
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1


# MNIST and Fashion-MNIST


@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, ".gz"), (bytes, ""), (gzip.compress, ""), (bytes, ".gz")])
@pytest.mark.parametrize(("dataset", "below"), [(MNIST, ""), (MNIST, "MNIST/raw"), (FashionMNIST, "FashionMNIST/raw")])
def test_idx_files_are_opened_where_they_lie(tmp_path, dataset, below, pack, ending):
    stored = put_mnist(tmp_path / below, pack=pack, ending=ending)
    for split, stem in {"train": "train", "test": "t10k"}.items():
        images = dataset(split, root=tmp_path, download=False)
        check_contract(images)
        assert images.channels == 1
        assert images.labels.tolist() == list(range(len(stored[stem])))
        assert np.array_equal(images.read(1, 1)[..., 0], stored[stem][1])


def test_an_idx_file_by_hand(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]))
    assert read_idx(tmp_path / "a").tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not an idx file of bytes: it begins with ''"),
        (b"<html>", "is not an idx file of bytes: it begins with '3c 68 74 6d'"),
        (b"\0\0\x0d\x01", "is not an idx file of bytes: it begins with '00 00 0d 01'"),
        (b"\0\0\x08\x03\0\0", "should have a longer header, but has 6 bytes"),
        (idx(np.zeros((2, 28, 28), np.uint8))[:-1], "should have 1584 bytes for the shape (2, 28, 28), but has 1583 bytes"),
        (idx(np.zeros((2, 28, 28), np.uint8)) + b"x", "should have 1584 bytes for the shape (2, 28, 28), but has 1585 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "bytes for the shape (4294967295, 4294967295, 4294967295), but has 16 bytes"),
        (gzip.compress(idx(np.zeros((2, 28, 28), np.uint8)), mtime=0)[:-9], "can't be read: Compressed file ended"),
        (b"\x1f\x8b nothing packed", "can't be read: "),
        (idx(np.zeros((2, 32, 32), np.uint8)), "should hold images of 28 x 28, but has the shape (2, 32, 32)"),
        (idx(np.zeros((0, 28, 28), np.uint8)), "should hold images of 28 x 28, but has the shape (0, 28, 28)"),
        (idx(np.zeros(9, np.uint8)), "should hold images of 28 x 28, but has the shape (9,)"),
    ],
)
def test_damaged_images_are_named(tmp_path, content, reason):
    put_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    said = message(MNIST, "train", root=tmp_path)
    assert said.startswith(f"{str(path)!r}: ")
    assert reason in said


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros(4, np.uint8), "should hold 5 labels, one an image, but has the shape (4,)"),
        (np.zeros((5, 1), np.uint8), "should hold 5 labels, one an image, but has the shape (5, 1)"),
        (np.array([0, 1, 2, 3, 10], np.uint8), "labels should lie in 0..9, but one is 10"),
    ],
)
def test_wrong_labels_are_named(tmp_path, labels, reason):
    put_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    assert f"train-labels-idx1-ubyte': {reason}" in message(FashionMNIST, "train", root=tmp_path)


def test_missing_idx_files_say_what_to_do(tmp_path):
    said = message(FashionMNIST, "test", root=tmp_path, download=False)
    assert said.startswith(f"dataset 'fashion_mnist': no idx files in {str(tmp_path)!r}, and data.download is false. Place ")
    assert "t10k-images-idx3-ubyte.gz" in said
    said = message(FashionMNIST, "test", root=tmp_path)
    assert said.startswith(f"dataset 'fashion_mnist': the download into {str(tmp_path)!r} failed: ")
    assert "no network here" in said
    assert "Place the four files" in said
    assert "\n" not in said


def test_downloaded_idx_files_are_opened(tmp_path, monkeypatch, capsys):
    def download(self):
        print("Downloading")
        put_mnist(tmp_path / "MNIST/raw")
        assert self.root == str(tmp_path) or self.root == tmp_path

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    assert len(MNIST("train", root=tmp_path)) == 5
    assert capsys.readouterr().out == ""


def test_fashion_mnist_as_published(shared):
    images = FashionMNIST("test", root=shared / "data/fashion-mnist", download=False)
    check_contract(images)
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert [images.classes[label] for label in images.labels[:4]] == ["Ankle boot", "Pullover", "Trouser", "Trouser"]
    assert 0.28 < np.mean([images.read(index, 1).mean() for index in range(10_000)]) / 255 < 0.29  # the known mean is .286


# CIFAR


def test_cifar10_equals_its_rows(cifar10):
    root, rows, names = cifar10
    train, test = CIFAR10("train", root=root), CIFAR10("test", root=root, download=False)
    check_contract(train)
    check_contract(test)
    assert (len(train), len(test), train.channels, train.classes) == (20, 4, 3, names)
    assert train.labels.tolist() == [number + row for number in range(5) for row in range(4)]
    image, row = train.read(6, 1), rows["data_batch_2"][2]
    for y, x, c in [(0, 0, 0), (3, 31, 1), (31, 4, 2)]:
        assert image[y, x, c] == row[1024 * c + 32 * y + x]  # 1,024 red values, then green, then blue, row by row


def test_cifar100_has_the_fine_classes(cifar100):
    root, rows, names = cifar100
    train, test = CIFAR100("train", root=root), CIFAR100("test", root=root)
    check_contract(train)
    assert (len(train), train.classes, test.labels.tolist()) == (4, names, [1, 2, 3, 4])
    assert np.array_equal(test.read(3, 1).transpose(2, 0, 1).ravel(), rows["test"][3])


@pytest.mark.filterwarnings("ignore:.*extraction filter:DeprecationWarning")
def test_an_archive_in_the_root_is_unpacked(cifar10, monkeypatch):
    root, _, _ = cifar10
    archive = root / "cifar-10-python.tar.gz"
    folder = root / "cifar-10-batches-py"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    said = message(CIFAR10, "train", root=root, download=False)
    assert "no complete 'cifar-10-batches-py' in" in said
    assert (
        f"Place cifar-10-python.tar.gz (from https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz) in {str(root)!r}" in said
    )
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", md5(archive))
    assert len(CIFAR10("train", root=root)) == 20


@pytest.mark.fault(
    "a published data set with another content",
    injected="a pickle whose md5 is another",
    expected="refused before it is opened",
    theme="data",
)
def test_a_damaged_pickle_is_never_opened(cifar10, tmp_path):
    class Burglar:
        def __reduce__(self):
            return (tmp_path / "opened").touch, ()

    root, _, _ = cifar10
    (root / "cifar-10-batches-py/data_batch_3").write_bytes(pickle.dumps(Burglar()))
    assert "no complete 'cifar-10-batches-py'" in message(CIFAR10, "train", root=root, download=False)
    assert "failed: <urlopen error no network here>. Place" in message(CIFAR10, "train", root=root)
    assert not (tmp_path / "opened").exists()


# STL-10


def test_stl10_equals_its_columns(stl10):
    root, stored = stl10
    train = STL10("train", root=root, download=False)
    check_contract(train)
    assert (train.channels, train.labels.tolist()) == (3, [0, 9, 2, 2])
    assert [train.classes[label] for label in train.labels] == ["airplane", "truck", "car", "car"]
    for y, x, c in [(0, 0, 0), (5, 95, 1), (90, 4, 2)]:
        assert train.read(1, 1)[y, x, c] == stored["train_X"][1, c, x, y]


def test_stl10_without_labels(stl10):
    root, stored = stl10
    unlabeled, both = STL10("unlabeled", root=root), STL10("train+unlabeled", root=root)
    for images in (unlabeled, both):
        check_contract(images)
        assert images.labels is None
        assert np.array_equal(images.read(len(images) - 1, 1), stored["unlabeled_X"][1].transpose(2, 1, 0))
    assert (len(unlabeled), len(both), len(STL10("test", root=root))) == (2, 6, 3)


def test_which_images_splits_share(tmp_path, stl10, cifar10, cifar100):
    put_mnist(tmp_path)
    parts = {split: STL10(split, root=stl10[0]) for split in STL10.splits}
    assert [num_shared(parts["train+unlabeled"], parts[split]) for split in STL10.splits] == [4, 0, 4, 0, 2, 6]
    others = [dataset(split, root=tmp_path) for dataset in (CIFAR10, CIFAR100, MNIST) for split in ("train", "test")]
    small = [*(parts[split] for split in ("train", "test", "unlabeled")), *others, FashionMNIST("test", root=tmp_path)]
    assert all(len(np.unique(images.origins)) == len(images) for images in small)
    assert all(num_shared(one, other) == 0 for one, other in combinations(small, 2))


def put_many(root, monkeypatch, name):
    """The training images of a dataset, forty of each class, in place of its files; a number in each tells them apart."""
    labels, numbers = np.arange(400) % 10, np.arange(400, dtype=np.int64)
    if name in ("mnist", "fashion_mnist"):
        images = np.zeros((400, 28, 28, 1), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
        monkeypatch.setattr(f"sslkit.datasets.{name}.load_idx", lambda split, *_, **__: (images, labels))
        return
    data = np.zeros((400, 32, 32, 3), np.uint8)
    data[:, 0, 0, 0], data[:, 0, 1, 0] = numbers % 256, numbers // 256
    found = SimpleNamespace(
        data=data.transpose(0, 3, 1, 2) if name == "stl10" else data, labels=labels, targets=labels.tolist()
    )
    found.classes = [str(number) for number in range(10)]
    monkeypatch.setattr(f"sslkit.datasets.{name}.found_or_fetched", lambda *_, **__: found)


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST, CIFAR10, CIFAR100, STL10])
def test_a_fixed_tenth_of_each_class_validates(tmp_path, monkeypatch, dataset):
    [name] = [name for name, target in registry.builtins.items() if target.endswith(f":{dataset.__name__}")]
    put_many(tmp_path, monkeypatch, name)
    train, val, rest = (dataset(split, root=tmp_path) for split in ("train", "val", "train_without_val"))
    assert (len(train), len(val), len(rest)) == (400, 40, 360)
    assert np.bincount(val.labels).tolist() == [4] * 10
    assert np.bincount(rest.labels).tolist() == [36] * 10
    assert (num_shared(train, val), num_shared(train, rest), num_shared(val, rest)) == (40, 360, 0)

    def numbers(images):
        firsts = [images.read(row, 1)[0, :2, 0].astype(int) for row in range(len(images))]
        return [low + 256 * high for low, high in firsts]

    assert sorted([*numbers(val), *numbers(rest)]) == numbers(train) == list(range(400))
    assert [number % 10 for number in numbers(val)] == val.labels.tolist()
    assert numbers(val)[:5] == [7, 32, 35, 50, 57], "the same for everybody, for ever"
    assert val.classes == train.classes
    check_contract(val)


def test_the_tenth_equals_its_rule():
    labels = np.random.default_rng(0).integers(0, 7, 200)
    order = draws.shuffled(200, "tenth")
    expected = set()
    for label in range(7):
        own = [row for row in order.tolist() if labels[row] == label]
        expected |= set(own[: int(np.floor(len(own) / 10 + 0.5))])
    assert set(tenth("val", labels).tolist()) == expected
    assert set(tenth("train_without_val", labels).tolist()) == set(range(200)) - expected
    assert tenth("train", labels).tolist() == list(range(200))
    assert tenth("val", np.arange(60) % 3).tolist() == [7, 35, 36, 46, 50, 57]


# All of them


@pytest.mark.parametrize(
    ("name", "dataset", "asked", "rest"),
    [
        ("mnist", MNIST, "tset", " Did you mean 'test'? It has: test, train, train_without_val, val."),
        ("fashion_mnist", FashionMNIST, "xyz", " It has: test, train, train_without_val, val."),
        ("cifar10", CIFAR10, "trian", " Did you mean 'train'? It has: test, train, train_without_val, val."),
        ("cifar100", CIFAR100, "xyz", " It has: test, train, train_without_val, val."),
        (
            "stl10",
            STL10,
            "unlabelled",
            " Did you mean 'unlabeled'? It has: test, train, train+unlabeled, train_without_val, unlabeled, val.",
        ),
        ("imagenet", ImageNet, "vla", " Did you mean 'val'? It has: train, val."),
    ],
)
def test_a_wrong_split_names_the_right_ones(tmp_path, name, dataset, asked, rest):
    said = message(dataset, asked, root=tmp_path)
    assert said == f"dataset {name!r} has no split {asked!r}.{rest}"


@pytest.mark.parametrize("dataset", [CIFAR10, CIFAR100, STL10])
def test_absent_files_say_what_to_do(tmp_path, dataset):
    source = getattr(torchvision.datasets, dataset.__name__)
    for download, reason in ((False, "and data.download is false"), (True, "failed: <urlopen error no network here>")):
        said = message(dataset, "train", root=tmp_path / "none", download=download)
        assert reason in said
        assert f"Place {source.filename} (from {source.url})" in said
        assert f"or set data.root to the folder that holds {source.base_folder!r}." in said


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST, CIFAR10, CIFAR100, STL10, ImageFolder, ImageNet])
def test_the_registry_accepts_it(dataset):
    registry.check(dataset)
    assert all(isinstance(split, str) for split in dataset.splits)
